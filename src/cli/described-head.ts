import type { ListenSettings } from "../config/settings.ts";
import type { RequestHead } from "../http1/request-head.ts";
import { RequestHeadReader } from "../http1/request-reader.ts";
import { type Denial, deny } from "../policy/decision.ts";
import { findRequestProblem } from "../proxy/request-facts.ts";

export type DescribedHead =
  | { readonly kind: "head"; readonly head: RequestHead }
  | { readonly kind: "refused"; readonly denial: Denial };

/** Reads a described request as the listener would off the wire, and refuses what it would refuse before any check. */
export function readDescribedHead(
  { method, target }: { readonly method: string; readonly target: string },
  rawHeaders: readonly string[],
  { maxHeaderBytes, maxHeaders }: ListenSettings,
): DescribedHead {
  const lines = rawHeaders.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join("");
  const bytes = Buffer.from(`${method} ${Buffer.from(target).toString("latin1")} HTTP/1.1\r\n${lines}\r\n`, "latin1");
  const read = new RequestHeadReader().read(bytes, 0, bytes.length, maxHeaderBytes);
  switch (read.kind) {
    case "head": {
      const problem = findRequestProblem(read.head, maxHeaders);
      return problem === undefined ? { kind: "head", head: read.head } : refuse(problem.reason, problem.detail);
    }
    case "malformed":
      return refuse("request_invalid", read.problem);
    case "too-large":
      return refuse("headers_too_large", `a head of more than ${maxHeaderBytes} bytes`);
    case "partial":
      return refuse("request_invalid", "the head does not end");
    default:
      return read satisfies never;
  }
}

function refuse(reason: "request_invalid" | "headers_too_large", detail: string): DescribedHead {
  return { kind: "refused", denial: deny(reason, { detail }) };
}
