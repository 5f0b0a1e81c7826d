/** One answer as the client read it. */
export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  /** Whether its body ended as its own framing says. */
  readonly whole: boolean;
}

export interface Answers {
  /** Interim answers (1xx but 101) and final ones apart, in order. */
  readonly interim: readonly Answer[];
  readonly final: readonly Answer[];
  /** Bytes after the last answer that are none. */
  readonly rest: string;
}

/** Splits what a connection received into answers. `bodiless`: the first final answer is one to a HEAD. */
export function readAnswers(received: string, closed: boolean, bodiless: boolean): Answers {
  const interim: Answer[] = [];
  const final: Answer[] = [];
  let rest = received;
  while (rest !== "") {
    const end = rest.indexOf("\r\n\r\n");
    const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |\r\n)/.exec(rest)?.[1]);
    if (end === -1 || Number.isNaN(status)) break;
    const head = rest.slice(0, end);
    rest = rest.slice(end + 4);
    if (status < 200 && status !== 101) {
      interim.push({ status, head, body: "", whole: true });
      continue;
    }
    const none = status === 101 || status === 204 || status === 304 || (bodiless && final.length === 0);
    const { body, whole, left } = none ? { body: "", whole: true, left: rest } : takeBody(head, rest, closed);
    final.push({ status, head, body, whole });
    rest = left;
    if (status === 101) break;
  }
  return { interim, final, rest };
}

interface TakenBody {
  readonly body: string;
  readonly whole: boolean;
  readonly left: string;
}

function takeBody(head: string, bytes: string, closed: boolean): TakenBody {
  if (/^transfer-encoding:\s*chunked\s*$/im.test(head)) return takeChunks(bytes);
  const length = /^content-length:\s*(\d+)\s*$/im.exec(head)?.[1];
  if (length === undefined) return { body: bytes, whole: closed, left: "" };
  const size = Number(length);
  return { body: bytes.slice(0, size), whole: bytes.length >= size, left: bytes.slice(size) };
}

function takeChunks(bytes: string): TakenBody {
  let body = "";
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const size = Number.parseInt(bytes.slice(at, lineEnd === -1 ? undefined : lineEnd), 16);
    if (lineEnd === -1 || Number.isNaN(size)) return { body, whole: false, left: "" };
    if (size === 0) break;
    if (bytes.length < lineEnd + 2 + size + 2) {
      return { body: body + bytes.slice(lineEnd + 2, lineEnd + 2 + size), whole: false, left: "" };
    }
    body += bytes.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
  // The last chunk, any trailers, and the empty line.
  const end = bytes.startsWith("0\r\n\r\n", at) ? at + 3 : bytes.indexOf("\r\n\r\n", at) + 2;
  return end < 2 ? { body, whole: false, left: "" } : { body, whole: true, left: bytes.slice(end + 2) };
}
