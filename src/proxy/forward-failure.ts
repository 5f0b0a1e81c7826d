import type { ForwardFailure } from "./forward.ts";
import { BodySilent, BodyTooLarge } from "./request-body.ts";

const FAILURES: ReadonlyMap<string, ForwardFailure> = new Map([
  ["UND_ERR_CONNECT_TIMEOUT", "upstream_timeout"],
  ["UND_ERR_HEADERS_TIMEOUT", "upstream_timeout"],
  ["UPGRADE_TIMEOUT", "upstream_timeout"],
  ["ETIMEDOUT", "upstream_timeout"],
  ["ECONNREFUSED", "upstream_unreachable"],
  ["ENOTFOUND", "upstream_unreachable"],
  ["EAI_AGAIN", "upstream_unreachable"],
  ["EHOSTUNREACH", "upstream_unreachable"],
  ["ENETUNREACH", "upstream_unreachable"],
  ["ENOENT", "upstream_unreachable"],
  ["EACCES", "upstream_unreachable"],
]);

/** What a client is told of an error on the way to the upstream: unknown ones are an answer that was none. */
export function toFailure(error: Error): ForwardFailure {
  if (error instanceof BodyTooLarge) return "body_too_large";
  if (error instanceof BodySilent) return "request_timeout";
  return FAILURES.get(codeOf(error)) ?? "upstream_invalid";
}

/** The code Node and undici put on their errors; empty without one. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** For the operator's log. */
export function describe(error: unknown): string {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  return code === "" || message.includes(code) ? message : `${message} (${code})`;
}
