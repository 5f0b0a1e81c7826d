import type { ForwardFailure } from "./forward.ts";

const FAILURES: ReadonlyMap<string, ForwardFailure> = new Map([
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
  return FAILURES.get(codeOf(error)) ?? "upstream_invalid";
}

/** The code Node puts on its errors; empty without one. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** For the operator's log. */
export function describe(error: unknown): string {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  return code === "" || message.includes(code) ? message : `${message} (${code})`;
}
