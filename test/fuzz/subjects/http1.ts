import { isDeepStrictEqual } from "node:util";
import { ChunkedDecoder } from "../../../src/http1/chunked-decoder.ts";
import { parseRequestHead } from "../../../src/http1/request-head.ts";
import { parseResponseHead } from "../../../src/http1/response-head.ts";
import type { Subject } from "../fuzzer.ts";
import { assert } from "./assert.ts";
import { methodName, type Read, readWithLlhttp } from "./llhttp.ts";

const FIELD_WORDS = [
  "\r\n",
  "\r",
  "\n",
  "\0",
  "\t",
  " :",
  ": ",
  "Host: a\r\n",
  "Content-Length: 5\r\n",
  "Content-Length: 0\r\n",
  "Transfer-Encoding: chunked\r\n",
  "transfer-encoding:\tchunked \r\n",
  "gzip, ",
  ", chunked",
  "Connection: close\r\n",
  "Connection: keep-alive, upgrade\r\n",
  "Upgrade: websocket\r\n",
  "Expect: 100-continue\r\n",
  "X-A: b\r\n c\r\n",
];
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Heads of requests; what is accepted, Node's parser reads the same. */
export const requestHead: Subject = {
  name: "request-head",
  sources: ["/src/http1/request-head.ts", "/src/http1/fields.ts", "/src/http1/framing.ts"],
  dictionary: [...FIELD_WORDS, "GET / HTTP/1.1\r\n", "POST ", "HTTP/1.0", "HTTP/2.0", "QUERY", "http://a/", "*", "%00"],
  maxLength: 4096,
  limitMs: 250,
  run: (input) => {
    const text = toLatin1(input);
    const parsed = parseRequestHead(text);
    if (parsed.kind === "malformed") {
      assert(parsed.problem !== "", "a problem has words");
      return;
    }
    const { head } = parsed;
    checkLines(head.rawHeaders);
    assert(/^[\x21-\x7e\x80-\xff]+$/.test(head.target), "a target holds no blank and no control byte");
    const again = `${head.method} ${head.target} HTTP/${head.version}\r\n${toText(head.rawHeaders)}`;
    assert(isDeepStrictEqual(parseRequestHead(again), parsed), "written anew it is the same");
    // Refused later, as a target; Node refuses them as no request.
    if (/[\x80-\xff]/.test(head.target) || head.method === "CONNECT" || !/^[/*h]/.test(head.target)) return;
    const { framing } = head;
    const body =
      framing.kind === "chunked"
        ? "1\r\na\r\n0\r\n\r\n"
        : "a".repeat(framing.kind === "length" ? Math.min(framing.bytes, 64) : 0);
    const read = expectRead(readWithLlhttp("REQUEST", Buffer.from(`${text}\r\n${body}`, "latin1")));
    if (read === undefined) return;
    assert(methodName(read.method) === head.method && read.target === head.target, "Node reads the same request line");
    assertSameLines(read.lines, head.rawHeaders);
    if (read.isUpgrade) return;
    // Ours may end a connection that could live; never the other way round.
    assert(!head.persistent || read.persistent, "Node keeps the connection as long");
    assert(read.isWhole === (framing.kind !== "length" || framing.bytes <= 64), "Node ends the body in the same place");
    assert(read.body === (framing.kind === "chunked" ? "a" : body), "Node reads the same body");
  },
};

/** Heads of responses. */
export const responseHead: Subject = {
  name: "response-head",
  sources: ["/src/http1/response-head.ts", "/src/http1/fields.ts", "/src/http1/framing.ts"],
  dictionary: [
    ...FIELD_WORDS,
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 ",
    "204",
    "304",
    "103",
    "Keep-Alive: timeout=5, max=9\r\n",
  ],
  maxLength: 4096,
  limitMs: 250,
  run: (input) => {
    const text = toLatin1(input);
    const parsed = parseResponseHead(text);
    if (parsed.kind === "malformed") {
      assert(parsed.problem !== "", "a problem has words");
      return;
    }
    const { head } = parsed;
    checkLines(head.lines);
    assert(VALUE.test(head.reason), "a reason holds no control byte");
    // Interim ones, and those that switch, are no answers yet.
    if (head.status < 200 || TAB_BEHIND_CODING.test(text)) return;
    const { framing } = head;
    const body =
      framing.kind === "chunked"
        ? "1\r\na\r\n0\r\n\r\n"
        : "a".repeat(framing.kind === "length" ? Math.min(framing.bytes, 64) : 3);
    const read = expectRead(readWithLlhttp("RESPONSE", Buffer.from(`${text}\r\n${body}`, "latin1")));
    if (read === undefined) return;
    assert(read.status === head.status, "Node reads the same status");
    assertSameLines(read.lines, head.lines);
    if (read.isUpgrade || head.status === 204 || head.status === 304) return;
    assert(read.body === (framing.kind === "chunked" ? "a" : body), "Node reads the same body");
    const isWhole = framing.kind === "chunked" || (framing.kind === "length" && framing.bytes <= 64);
    assert(read.isWhole === isWhole, "Node ends the body in the same place");
    assert(!head.persistent || read.persistent || framing.kind === "close", "Node keeps the connection as long");
  },
};

const MAX_TRAILER_BYTES = 16 * 1024;

/** Chunked bodies, and whatever is behind them. */
export const chunked: Subject = {
  name: "chunked",
  sources: ["/src/http1/chunked-decoder.ts", "/src/http1/fields.ts"],
  dictionary: [
    "\r\n",
    "\r",
    "\n",
    "0\r\n\r\n",
    "1\r\na\r\n",
    "A",
    "ffffffff",
    "00",
    ";a=b",
    ';a="',
    '"',
    "X-A: b\r\n",
    "Content-Length: 1\r\n",
  ],
  maxLength: 4096,
  limitMs: 250,
  run: (input) => {
    const text = toLatin1(input);
    const whole = decode([text]);
    const half = text.length >> 1;
    assert(isDeepStrictEqual(decode([text.slice(0, half), text.slice(half)]), whole), "two writes are one");
    assert(isDeepStrictEqual(decode(Array.from(text)), whole), "byte by byte is at once");
    if (whole === "problem" || !whole.isDone) return;
    checkLines(whole.trailers);
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const read = expectRead(readWithLlhttp("RESPONSE", Buffer.from(`${head}${text}`, "latin1")));
    if (read === undefined) return;
    assert(read.isWhole && read.body === whole.body, "Node reads the same body");
    assertSameLines(read.trailers, whole.trailers);
  },
};

interface Decoded {
  readonly isDone: boolean;
  readonly body: string;
  readonly trailers: readonly string[];
  readonly taken: number;
}

function decode(pieces: readonly string[]): Decoded | "problem" {
  const decoder = new ChunkedDecoder(MAX_TRAILER_BYTES);
  let body = "";
  let taken = 0;
  for (const piece of pieces) {
    if (decoder.isDone) break;
    const buffer = Buffer.from(piece, "latin1");
    const end = decoder.decode(buffer, 0, buffer.length, (data, from, to) => {
      body += data.toString("latin1", from, to);
    });
    if (typeof end === "string") return "problem";
    taken += end;
  }
  return { isDone: decoder.isDone, body, trailers: decoder.trailers, taken };
}

// What Node refuses and ours takes: targets, which are judged later, and extensions of chunks, which mean nothing to
// anybody. Neither moves the end of a message.
const STRICTER_IN_NODE: ReadonlySet<string> = new Set(["HPE_INVALID_URL", "HPE_STRICT"]);
// A tab is as good as a blank behind a value (RFC 9110 §5.5), but Node then takes the coding for another one. Of a
// request ours refuses that; of an answer it need not, for the client's copy is framed anew.
const TAB_BEHIND_CODING = /\r\ntransfer-encoding:[^\r]*\t *\r\n/i;

/** What Node reads of what ours has accepted. */
function expectRead(read: Read | string | undefined): Read | undefined {
  if (typeof read === "string") {
    assert(STRICTER_IN_NODE.has(read), `Node takes it as well, and does not say ${read}`);
    return undefined;
  }
  assert(read !== undefined, "Node finds the end of the head as well");
  return read;
}

function checkLines(lines: readonly string[]): void {
  assert(lines.length % 2 === 0, "lines come in pairs");
  for (const [index, text] of lines.entries()) {
    assert((index % 2 === 0 ? NAME : VALUE).test(text), `a token or a value: ${JSON.stringify(text)}`);
  }
}

function assertSameLines(theirs: readonly string[], ours: readonly string[]): void {
  // Node leaves blanks behind a value where they are.
  const trimmed = theirs.map((text) => text.replace(/[ \t]+$/, ""));
  assert(isDeepStrictEqual(trimmed, [...ours]), `Node reads the same lines: ${JSON.stringify(theirs)}`);
}

function toText(lines: readonly string[]): string {
  let text = "";
  for (let index = 0; index < lines.length; index += 2) text += `${lines[index]}: ${lines[index + 1]}\r\n`;
  return text;
}

function toLatin1(input: string): string {
  return Buffer.from(input, "latin1").toString("latin1");
}
