import { type FieldLines, parseFieldLines, toFieldName } from "./fields.ts";
import { type BodyFraming, isChunkedAlone, parseContentLength } from "./framing.ts";

/** The head of a response, taken apart, with what it says of its body and of its connection. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly lines: FieldLines;
  /** What its fields say; HEAD, 1xx, 204 and 304 have no body whatever they say. */
  readonly framing: { readonly kind: "close" } | Exclude<BodyFraming, { readonly kind: "none" }>;
  /** Whether the connection may carry another message after this one. */
  readonly persistent: boolean;
  /** Seconds the other side keeps an idle connection, where it says so. */
  readonly keepAliveSeconds: number | undefined;
}

export type ParsedResponseHead =
  | { readonly kind: "head"; readonly head: ResponseHead }
  | { readonly kind: "malformed"; readonly problem: string };

const STATUS_LINE = /^HTTP\/1\.[01] [1-9]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?\r\n/;
const MINOR_AT = "HTTP/1.".length;
const STATUS_AT = "HTTP/1.1 ".length;
const REASON_AT = "HTTP/1.1 200 ".length;

const CLOSE = { kind: "close" } as const;

/** Parses a response head: latin1 text up to and with the CRLF of its last line, without the empty line. */
export function parseResponseHead(text: string): ParsedResponseHead {
  if (!STATUS_LINE.test(text)) return malformed("the status line is not HTTP/1.1 200 reason");
  const lineEnd = text.indexOf("\r");
  const isLatest = text.charAt(MINOR_AT) === "1";
  const lines = parseFieldLines(text, lineEnd + 2);
  if (typeof lines === "string") return malformed(lines);
  let framing: ResponseHead["framing"] = CLOSE;
  let persistent = isLatest;
  let keepAliveSeconds: number | undefined;
  for (let index = 0; index < lines.length; index += 2) {
    const value = lines[index + 1] ?? "";
    const { kind } = toFieldName(lines[index] ?? "");
    switch (kind) {
      case "content-length":
      case "transfer-encoding": {
        const next = addFraming(framing, kind, value, isLatest);
        if (typeof next === "string") return malformed(next);
        framing = next;
        break;
      }
      case "connection":
        // In doubt it is not used again, which costs a handshake and no more.
        persistent &&= !value.toLowerCase().includes("close");
        break;
      case "keep-alive":
        keepAliveSeconds = readTimeout(value);
        break;
    }
  }
  return {
    kind: "head",
    head: {
      status: Number(text.slice(STATUS_AT, STATUS_AT + 3)),
      reason: text.slice(REASON_AT, lineEnd),
      lines,
      framing,
      persistent,
      keepAliveSeconds,
    },
  };
}

/**
 * Takes one more field that frames the body. Two lengths, a length beside a coding, or any coding but chunked are
 * problems: two readers could end such a body in two places (RFC 9112 §6.3).
 */
function addFraming(
  framing: ResponseHead["framing"],
  kind: "content-length" | "transfer-encoding",
  value: string,
  knowsChunks: boolean,
): ResponseHead["framing"] | string {
  if (kind === "content-length") {
    const bytes = parseContentLength(value);
    if (bytes === undefined || framing.kind !== "close") return "the Content-Length is not one number";
    return { kind: "length", bytes };
  }
  // In HTTP/1.0 its framing is faulty, whatever the coding (RFC 9112 §6.1).
  if (framing.kind !== "close" || !knowsChunks || !isChunkedAlone(value)) {
    return "the transfer coding is not chunked alone";
  }
  return { kind: "chunked" };
}

function readTimeout(value: string): number | undefined {
  const [, seconds] = /(?:^|[\s,;])timeout=(\d{1,6})(?:$|[\s,;])/i.exec(value) ?? [];
  return seconds === undefined ? undefined : Number(seconds);
}

function malformed(problem: string): ParsedResponseHead {
  return { kind: "malformed", problem };
}
