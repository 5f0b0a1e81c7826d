import { parseRequestHead, type RequestHead } from "./request-head.ts";

export type ReadRequestHead =
  /** The head goes on in what has not come yet. */
  | { readonly kind: "partial" }
  /** `next`: where in the buffer what follows the head begins. */
  | { readonly kind: "head"; readonly head: RequestHead; readonly next: number }
  | { readonly kind: "malformed"; readonly problem: string }
  | { readonly kind: "too-large" };

// RFC 9112 §2.2: "at least one" empty line before a request is to be ignored.
const MAX_EMPTY_LINES = 8;
// RFC 8446 §5.1: the first byte of a handshake record.
const TLS_HANDSHAKE = 0x16;
const PARTIAL: ReadRequestHead = { kind: "partial" };

/** Reads the heads of one connection's requests, in pieces of any size. */
export class RequestHeadReader {
  /** The part of a head that has come; latin1. */
  #partial = "";
  /** Empty lines before the head that is awaited. */
  #emptyLines = 0;

  /** Whether nothing of the next head has come. */
  get isEmpty(): boolean {
    return this.#partial === "" && this.#emptyLines === 0;
  }

  /** Whether a part of the next head has come: empty lines before it are none. */
  get isPartial(): boolean {
    return this.#partial !== "";
  }

  /** Reads from one place to another. Nothing of the buffer is kept. */
  read(buffer: Buffer, from: number, to: number, maxHeaderBytes: number): ReadRequestHead {
    const before = this.#partial.length;
    let text = buffer.toString("latin1", from, to);
    if (before > 0) text = this.#partial + text;
    let skipped = 0;
    while (text.startsWith("\r\n", skipped)) skipped += 2;
    this.#emptyLines += skipped / 2;
    if (this.#emptyLines > MAX_EMPTY_LINES) return malformed("empty lines instead of a request");
    if (skipped > 0) text = text.slice(skipped);
    const end = text.indexOf("\r\n\r\n", Math.max(0, before - skipped - 3));
    // Without an end it is at the earliest where its four bytes have begun, so that cuts make no difference.
    if ((end === -1 ? text.length - 3 : end) > maxHeaderBytes) return { kind: "too-large" };
    if (end === -1) {
      const problem = findEarlyProblem(text);
      if (problem !== undefined) return malformed(problem);
      this.#partial = text;
      return PARTIAL;
    }
    this.#partial = "";
    this.#emptyLines = 0;
    const parsed = parseRequestHead(text.slice(0, end + 2));
    if (parsed.kind === "malformed") return parsed;
    return { kind: "head", head: parsed.head, next: from + end + 4 + skipped - before };
  }
}

function malformed(problem: string): ReadRequestHead {
  return { kind: "malformed", problem };
}

/** Why the part of a head that has come can never become a sound one: it need not be waited for. */
function findEarlyProblem(text: string): string | undefined {
  const first = text.charCodeAt(0);
  if (first === TLS_HANDSHAKE) return "a TLS handshake on a listener without TLS";
  if (text !== "\r" && text !== "" && !/^[A-Z]/.test(text)) return "no request begins like this";
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) {
    if (text.charCodeAt(at - 1) !== 0x0d) return "a line does not end in CRLF";
  }
  return undefined;
}
