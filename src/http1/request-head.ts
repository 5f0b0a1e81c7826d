import { type FieldLines, parseFieldLines, toFieldName } from "./fields.ts";
import { type BodyFraming, CHUNKED, isChunkedAlone, NO_BODY, parseContentLength } from "./framing.ts";
import { sliceKept } from "./kept-text.ts";
import { KNOWN_METHODS } from "./methods.ts";

/** The head of a request, taken apart and nothing more: what it means is decided elsewhere. */
export interface RequestHead {
  readonly method: string;
  /** The request target exactly as received. */
  readonly target: string;
  readonly version: "1.0" | "1.1";
  readonly rawHeaders: FieldLines;
  readonly framing: BodyFraming;
  /** Whether the client wants the connection to live on (RFC 9112 §9.3). */
  readonly persistent: boolean;
  /** RFC 9110 §10.1.1: the client waits for a 100 before it sends its body. */
  readonly expectsContinue: boolean;
  /** The protocol to switch to, in lower case; undefined unless `Connection` names `Upgrade` (RFC 9110 §7.8). */
  readonly upgrade: string | undefined;
}

export type ParsedRequestHead =
  | { readonly kind: "head"; readonly head: RequestHead }
  | { readonly kind: "malformed"; readonly problem: string };

// RFC 9112 §3: three parts with one blank between. A target holds no blank and no control byte; bytes beyond
// ASCII pass here, to be refused as a target with a valid key's answers, not as a broken message.
const REQUEST_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\x7e\x80-\xff]+ HTTP\/\d\.\d\r\n/;

// A tab after it is legal, and where it stops others from seeing the coding they frame the body otherwise.
const PLAIN_CODING = /\r\ntransfer-encoding:[ \t]*chunked *\r\n/i;

/**
 * Parses a request head: latin1 text up to and with the CRLF of its last line, without the empty line. Strict where
 * parsers differ: framing that could be read two ways (RFC 9112 §6.3), a second length, any coding but chunked, or a
 * coding in HTTP/1.0 make it malformed, and the connection must end.
 */
export function parseRequestHead(text: string): ParsedRequestHead {
  if (!REQUEST_LINE.test(text)) return malformed("the request line is not METHOD target HTTP/1.1");
  const [methodEnd, lineEnd] = [text.indexOf(" "), text.indexOf("\r")];
  const method = sliceKept(text, 0, methodEnd);
  const target = text.slice(methodEnd + 1, lineEnd - " HTTP/1.1".length);
  const version = text.slice(lineEnd - "1.1".length, lineEnd);
  if (version !== "1.1" && version !== "1.0") return malformed(`HTTP/${version} is not spoken here`);
  if (!KNOWN_METHODS.has(method)) return malformed("the method is not known");
  const rawHeaders = parseFieldLines(text, lineEnd + 2);
  if (typeof rawHeaders === "string") return malformed(rawHeaders);
  const read = readFields(method, target, version, rawHeaders);
  if (read.kind === "head" && read.head.framing.kind === "chunked" && !PLAIN_CODING.test(text)) {
    return malformed("an unsupported transfer coding");
  }
  return read;
}

function readFields(method: string, target: string, version: "1.0" | "1.1", rawHeaders: FieldLines): ParsedRequestHead {
  let framing: BodyFraming = NO_BODY;
  let hasHost = false;
  let connection = "";
  let expectsContinue = false;
  let upgrade: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const value = rawHeaders[index + 1] ?? "";
    switch (toFieldName(rawHeaders[index] ?? "").kind) {
      case "host":
        hasHost = true;
        break;
      case "connection":
        connection = connection === "" ? value : `${connection},${value}`;
        break;
      case "content-length": {
        const bytes = parseContentLength(value);
        if (bytes === undefined) return malformed("the Content-Length is no number");
        if (framing.kind !== "none") return malformed("the body is framed twice");
        framing = { kind: "length", bytes };
        break;
      }
      case "transfer-encoding":
        if (framing.kind !== "none") return malformed("the body is framed twice");
        if (!isChunkedAlone(value)) return malformed("an unsupported transfer coding");
        // RFC 9112 §6.1: its framing is faulty, whatever the coding.
        if (version === "1.0") return malformed("a transfer coding in HTTP/1.0");
        framing = CHUNKED;
        break;
      case "expect":
        if (value.toLowerCase() !== "100-continue") return malformed("an expectation that nobody knows");
        // RFC 9110 §10.1.1: one in HTTP/1.0 is ignored.
        expectsContinue = version === "1.1";
        break;
      case "upgrade":
        upgrade = value.toLowerCase();
        break;
    }
  }
  // RFC 9112 §3.2: a request of HTTP/1.1 without one is refused.
  if (!hasHost && version === "1.1") return malformed("a request without a Host line");
  const options = readOptions(connection);
  return {
    kind: "head",
    head: {
      method,
      target,
      version,
      rawHeaders,
      framing,
      persistent: !options.includes("close") && (version === "1.1" || options.includes("keep-alive")),
      expectsContinue,
      upgrade: options.includes("upgrade") ? upgrade : undefined,
    },
  };
}

const NO_OPTIONS: readonly string[] = [];

function readOptions(connection: string): readonly string[] {
  if (connection === "") return NO_OPTIONS;
  return connection
    .toLowerCase()
    .split(",")
    .map((option) => option.trim());
}

function malformed(problem: string): ParsedRequestHead {
  return { kind: "malformed", problem };
}
