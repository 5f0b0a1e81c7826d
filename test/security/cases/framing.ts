import type { Arrival, Case } from "../bench/case.ts";
import {
  byte,
  CHUNKED,
  chunk,
  chunked,
  get,
  hex,
  KEY,
  keepAlive,
  message,
  post,
  SMUGGLED,
  toBytes,
} from "./message.ts";

/** Every way to write a Transfer-Encoding that one parser honours and another does not. */
const ODD_CODINGS: readonly string[] = [
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding: chunkedx",
  "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: identity, chunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: gzip",
  "Transfer-Encoding: chunked, chunked",
  "Transfer-Encoding: chunked, gzip",
  "Transfer-Encoding: ,chunked",
  "Transfer-Encoding: chunked,",
  "Transfer-Encoding: chunked;q=1",
  "Transfer-Encoding: chunked; foo",
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  "Transfer-Encoding: chunk",
  "Transfer-Encoding: c\thunked",
  "Transfer-Encoding: chunked x",
  "Transfer-Encoding: x chunked",
  `Transfer-Encoding: ${byte(0x0b)}chunked`,
  `Transfer-Encoding: chunked${byte(0x0c)}`,
  `Transfer-Encoding: chunked${byte(0x00)}`,
  `Transfer-Encoding: ${byte(0xa0)}chunked`,
  `Transfer-Encoding: chun${byte(0xe2)}${byte(0x84)}${byte(0xaa)}ed`,
  "Transfer-Encoding:\r\n chunked",
  "Transfer-Encoding: \r\n\tchunked",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding\t: chunked",
  " Transfer-Encoding: chunked",
  "\tTransfer-Encoding: chunked",
  "Transfer Encoding: chunked",
  "Transfer-Encoding\r: chunked",
  "X: y\nTransfer-Encoding: chunked",
  "X: y\rTransfer-Encoding: chunked",
  `Transfer-Encoding${byte(0)}: chunked`,
  `${byte(0xef)}${byte(0xbb)}${byte(0xbf)}Transfer-Encoding: chunked`,
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
  "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding:\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding",
];

/** A name an upstream may take for the real one: its body must not be framed by it. */
const CODING_ALIASES: readonly string[] = [
  "Transfer_Encoding: chunked",
  "Transfer.Encoding: chunked",
  "transfer~encoding: chunked",
  "Transfer+Encoding: chunked",
];

const LENGTHS: readonly (readonly [title: string, lines: readonly string[], body: string])[] = [
  ["two lengths that differ", ["Content-Length: 5", "Content-Length: 6"], "abcdef"],
  ["two lengths that agree", ["Content-Length: 5", "Content-Length: 5"], "abcde"],
  ["two lengths in one line", ["Content-Length: 5, 5"], "abcde"],
  ["two lengths in one line that differ", ["Content-Length: 5, 6"], "abcdef"],
  ["a length with a plus sign", ["Content-Length: +5"], "abcde"],
  ["a negative length", ["Content-Length: -5"], "abcde"],
  ["a negative zero", ["Content-Length: -0"], ""],
  ["a length in hex", ["Content-Length: 0x5"], "abcde"],
  ["a length with an exponent", ["Content-Length: 5e0"], "abcde"],
  ["a length with a fraction", ["Content-Length: 5.0"], "abcde"],
  ["a length with a separator", ["Content-Length: 1_0"], "abcdefghij"],
  ["a length with a blank inside", ["Content-Length: 1 0"], "abcdefghij"],
  ["a length with a letter after it", ["Content-Length: 5b"], "abcde"],
  ["a length with a semicolon", ["Content-Length: 5;"], "abcde"],
  ["a quoted length", ['Content-Length: "5"'], "abcde"],
  ["an empty length", ["Content-Length:"], "abcde"],
  ["a length of a vertical tab and digits", [`Content-Length: ${byte(0x0b)}5`], "abcde"],
  ["a length of a NUL and digits", [`Content-Length: ${byte(0)}5`], "abcde"],
  ["a length of other digits", [`Content-Length: ${byte(0xd9)}${byte(0xa5)}`], "abcde"],
  ["a length beyond 64 bits", ["Content-Length: 18446744073709551621"], "abcde"],
  ["a length beyond 63 bits", ["Content-Length: 9223372036854775813"], "abcde"],
  ["a length of a hundred digits", [`Content-Length: ${"9".repeat(100)}`], "abcde"],
  ["a blank before the colon", ["Content-Length : 5"], "abcde"],
  ["a tab before the colon", ["Content-Length\t: 5"], "abcde"],
  ["a folded length", ["Content-Length:\r\n 5"], "abcde"],
  ["a length behind a bare line feed", ["X: y\nContent-Length: 5"], "abcde"],
  ["a length behind a bare carriage return", ["X: y\rContent-Length: 5"], "abcde"],
  ["a length and a coding", ["Content-Length: 5", CHUNKED], chunked("abcde")],
  ["a coding and a length", [CHUNKED, "Content-Length: 5"], chunked("abcde")],
  ["a coding and a length of zero", [CHUNKED, "Content-Length: 0"], chunked("abcde")],
  ["a length and an odd coding", ["Content-Length: 5", "Transfer-Encoding: xchunked"], "abcde"],
  ["a length and an empty coding", ["Content-Length: 5", "Transfer-Encoding:"], "abcde"],
  [
    "a length and a coding named by Connection",
    ["Content-Length: 5", CHUNKED, "Connection: Transfer-Encoding"],
    chunked("abcde"),
  ],
];

const BAD_CHUNKS: readonly (readonly [title: string, body: string])[] = [
  ["a size in hex notation", "0x5\r\nabcde\r\n0\r\n\r\n"],
  ["a negative size", "-5\r\nabcde\r\n0\r\n\r\n"],
  ["a size with a plus sign", "+5\r\nabcde\r\n0\r\n\r\n"],
  ["an empty size", "\r\nabcde\r\n0\r\n\r\n"],
  ["a size that is no number", "zz\r\nabcde\r\n0\r\n\r\n"],
  ["a size with an underscore", "0_5\r\nabcde\r\n0\r\n\r\n"],
  ["a blank before the size", " 5\r\nabcde\r\n0\r\n\r\n"],
  ["a blank after the size", "5 \r\nabcde\r\n0\r\n\r\n"],
  ["a tab after the size", "5\t\r\nabcde\r\n0\r\n\r\n"],
  ["a size beyond 64 bits", "10000000000000005\r\nabcde\r\n0\r\n\r\n"],
  ["a size of 64 bits", "fffffffffffffffb\r\nabcde\r\n0\r\n\r\n"],
  ["a bare line feed after the size", "5\nabcde\r\n0\r\n\r\n"],
  ["a bare carriage return after the size", "5\rabcde\r\n0\r\n\r\n"],
  ["a bare line feed after an extension (TERM.EXT)", `5;x\n${"a".repeat(5)}\r\n0\r\n\r\n`],
  ["a bare carriage return in an extension", "5;x\ry\r\nabcde\r\n0\r\n\r\n"],
  ["a NUL in an extension", `5;x${byte(0)}\r\nabcde\r\n0\r\n\r\n`],
  ["a line break inside a quoted extension", '5;x="\r\nabcde\r\n0\r\n\r\n'],
  ["data longer than the size", "3\r\nabcde\r\n0\r\n\r\n"],
  ["two bytes of data too many", `3\r\nabcXY5\r\nabcde\r\n0\r\n\r\n`],
  ["data followed by a bare line feed", "5\r\nabcde\n0\r\n\r\n"],
  ["data followed by a bare carriage return", "5\r\nabcde\r0\r\n\r\n"],
  ["data followed by nothing", "5\r\nabcde0\r\n\r\n"],
  ["a last chunk ended by bare line feeds", "5\r\nabcde\r\n0\n\n"],
  ["a trailer without a colon", "5\r\nabcde\r\n0\r\nnonsense\r\n\r\n"],
  ["a trailer with a blank before the colon", "5\r\nabcde\r\n0\r\nX : y\r\n\r\n"],
  ["a folded trailer", "5\r\nabcde\r\n0\r\nX: y\r\n z\r\n\r\n"],
  ["a trailer with a bare line feed", "5\r\nabcde\r\n0\r\nX: y\nZ: w\r\n\r\n"],
  ["a trailer with a NUL", `5\r\nabcde\r\n0\r\nX: ${byte(0)}\r\n\r\n`],
];

const GOOD_CHUNKS: readonly (readonly [title: string, body: string, received: string])[] = [
  ["one chunk", chunked("abcde"), "abcde"],
  ["several chunks", chunked("a", "bc", "de"), "abcde"],
  ["no chunk", chunked(), ""],
  ["a size with leading zeros", "0005\r\nabcde\r\n0\r\n\r\n", "abcde"],
  ["a size in capitals", `A\r\n${"x".repeat(10)}\r\n0\r\n\r\n`, "x".repeat(10)],
  ["an extension", "5;name=value\r\nabcde\r\n0\r\n\r\n", "abcde"],
  ["a quoted extension", '5;name="va;lue"\r\nabcde\r\n0\r\n\r\n', "abcde"],
  ["an extension on the last chunk", "5\r\nabcde\r\n0;x=y\r\n\r\n", "abcde"],
  ["a last chunk of many zeros", "5\r\nabcde\r\n0000\r\n\r\n", "abcde"],
  ["a request inside its data", chunked(SMUGGLED), SMUGGLED],
  ["a last chunk inside its data", chunked("0\r\n\r\n"), "0\r\n\r\n"],
];

/** Methods whose bodies are rare, and that some proxies therefore frame wrongly. */
const METHODS = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET", "HEAD", "PROPFIND", "REPORT", "QUERY"] as const;

function bodiesOf(method: (typeof METHODS)[number]): readonly Case[] {
  const arrival = (body: string, present: Arrival["present"] = {}): readonly Arrival[] => [
    { method, target: "/any/{tag}", body, present },
  ];
  const start = `${method} /any/{tag} HTTP/1.1`;
  const advisory = method === "DELETE" ? { advisory: "GHSA-ggv3-7p47-pfv8" } : {};
  return [
    {
      name: `the chunked body of a ${method} stays its body, though it holds a request`,
      ...advisory,
      send: message(start, [KEY, CHUNKED], chunked(SMUGGLED)),
      answers: [200],
      upstream: arrival(SMUGGLED),
    },
    {
      name: `the measured body of a ${method} stays its body, though it holds a request`,
      send: message(start, [KEY, `Content-Length: ${SMUGGLED.length}`], SMUGGLED),
      answers: [200],
      upstream: arrival(SMUGGLED),
    },
    {
      name: `a ${method} without a body arrives without one`,
      send: message(start, [KEY]),
      answers: [200],
      upstream: arrival("", { "transfer-encoding": [] }),
    },
    {
      name: `a ${method} with an empty chunked body arrives as one request`,
      send: message(start, [KEY, CHUNKED], chunked()),
      answers: [200],
      upstream: arrival(""),
    },
    {
      name: `a ${method} with a length of zero arrives as one request`,
      send: message(start, [KEY, "Content-Length: 0"]),
      answers: [200],
      upstream: arrival("", { "transfer-encoding": [] }),
    },
    {
      name: `a ${method} with a body nobody announced: its bytes are no request upstream`,
      send: `${keepAlive(start, [KEY])}${SMUGGLED}`,
      // What follows is a request of its own, without a key.
      answers: [200, 401],
      upstream: arrival(""),
      until: "credential_missing",
    },
  ];
}

const HEADS: readonly (readonly [title: string, bytes: string])[] = [
  ["a bare line feed after the request line", `GET /any/{tag} HTTP/1.1\nHost: api.test\r\n${KEY}\r\n\r\n`],
  ["bare line feeds throughout", `GET /any/{tag} HTTP/1.1\nHost: api.test\n${KEY}\n\n`],
  ["a bare line feed between headers", get("/any/{tag}", "X-A: b\nX-Latchkey-Key-Id: forged")],
  ["a bare carriage return between headers", get("/any/{tag}", "X-A: b\rX-Latchkey-Key-Id: forged")],
  ["a bare carriage return at the end of a header", get("/any/{tag}", "X-A: b\r")],
  ["two carriage returns before the line feed", get("/any/{tag}", "X-A: b\r\r\nX-B: c")],
  ["a line feed and a carriage return", get("/any/{tag}", "X-A: b\n\rX-B: c")],
  ["a folded header", get("/any/{tag}", "X-A: b\r\n c")],
  ["a header folded with a tab", get("/any/{tag}", "X-A: b\r\n\tc")],
  ["a first header that begins with a blank", toBytes(["GET /any/{tag} HTTP/1.1", " X-A: b", "Host: api.test", KEY])],
  [
    "a first header that is a fold",
    toBytes(["GET /any/{tag} HTTP/1.1", "\tX-Latchkey-Key-Id: forged", "Host: api.test", KEY]),
  ],
  ["a header without a colon", get("/any/{tag}", "nonsense")],
  ["an empty header name", get("/any/{tag}", ": forged")],
  ["a blank before the colon", get("/any/{tag}", "X-A : b")],
  ["a blank inside a header name", get("/any/{tag}", "X A: b")],
  ["a header name of bytes outside ASCII", get("/any/{tag}", `X-${byte(0xe9)}: b`)],
  ["a header name in parentheses", get("/any/{tag}", "X(A): b")],
  ["a header name with an at sign", get("/any/{tag}", "X@A: b")],
  ["a header name in quotation marks", get("/any/{tag}", '"X-A": b')],
  ["a header name with a slash", get("/any/{tag}", "X/A: b")],
  ["a pseudo-header of HTTP/2", get("/any/{tag}", ":path: /admin")],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{tag}"],
  ["a TLS greeting", `${byte(0x16)}${byte(3)}${byte(1)}${byte(0)}${byte(5)}{tag}\r\n\r\n`],
  ["a PROXY line before the request", `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n${get("/any/{tag}")}`],
  ["text that is no request", "hello {tag}\r\n\r\n"],
  ["a response instead of a request", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{tag}"],
];

const CONTROLS = [0x00, 0x01, 0x07, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f];

const POST_START = "POST /any/{tag} HTTP/1.1";

const SEQUENCES: readonly Case[] = [
  {
    name: "two pipelined requests arrive as two, answered in order",
    send: keepAlive("GET /any/a-{tag} HTTP/1.1", [KEY]) + message("GET /any/b-{tag} HTTP/1.1", [KEY]),
    answers: [200, 200],
    upstream: [
      { method: "GET", target: "/any/a-{tag}" },
      { method: "GET", target: "/any/b-{tag}" },
    ],
  },
  {
    name: "a request pipelined after a refused one is judged by itself",
    send: keepAlive("GET /any/a-{tag} HTTP/1.1") + message("GET /any/b-{tag} HTTP/1.1", [KEY]),
    answers: [401, 200],
    upstream: [{ method: "GET", target: "/any/b-{tag}" }],
  },
  {
    name: "a request pipelined after an allowed one does not inherit its key",
    send: keepAlive("GET /any/a-{tag} HTTP/1.1", [KEY]) + message("GET /any/b-{tag} HTTP/1.1"),
    answers: [200, 401],
    upstream: [{ method: "GET", target: "/any/a-{tag}" }],
  },
  {
    name: "the body of a refused request is no request",
    send:
      keepAlive(POST_START, [`Content-Length: ${SMUGGLED.length}`], SMUGGLED) +
      message("GET /any/b-{tag} HTTP/1.1", [KEY]),
    answers: [401, 200],
    upstream: [{ method: "GET", target: "/any/b-{tag}" }],
  },
  {
    name: "the chunked body of a refused request is no request",
    send: keepAlive(POST_START, [CHUNKED], chunked(SMUGGLED)) + message("GET /any/b-{tag} HTTP/1.1", [KEY]),
    answers: [401, 200],
    upstream: [{ method: "GET", target: "/any/b-{tag}" }],
  },
  {
    name: "nothing after a malformed request is read",
    send:
      toBytes(["GET /any/a-{tag} HTTP/1.1", "Host: api.test", KEY, "X A: b"]) +
      message("GET /any/b-{tag} HTTP/1.1", [KEY]),
    answers: [400],
    upstream: "never",
  },
  {
    name: "nothing after a body framed twice is read as a request (CL.TE)",
    send: keepAlive(POST_START, [KEY, "Content-Length: 6", CHUNKED], `0\r\n\r\nG${SMUGGLED}`),
    answers: [400],
    upstream: "never",
  },
  {
    name: "nothing after a body framed twice is read as a request (TE.CL)",
    send: keepAlive(POST_START, [KEY, CHUNKED, "Content-Length: 4"], chunked(SMUGGLED)),
    answers: [400],
    upstream: "never",
  },
  {
    name: "bytes beyond a body's length are a request of their own",
    send: keepAlive(POST_START, [KEY, "Content-Length: 5"], `abcde${SMUGGLED}`),
    answers: [200, 401],
    upstream: [{ method: "POST", target: "/any/{tag}", body: "abcde" }],
    until: "credential_missing",
  },
  {
    name: "an empty line before a request is skipped",
    send: `\r\n${get("/any/{tag}")}`,
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "an answer given before the body came: the rest of the body is no request",
    send:
      keepAlive(POST_START, [KEY, "Content-Length: 60000"], SMUGGLED.padEnd(60_000, "x")) +
      message("GET /any/b-{tag} HTTP/1.1", [KEY]),
    reply: { bytes: "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", early: true },
    answers: [403, [403, 0]],
    upstream: [
      { method: "POST", target: "/any/{tag}", body: SMUGGLED.padEnd(60_000, "x") },
      { method: "GET", target: "/any/b-{tag}" },
    ],
  },
  {
    name: "a body that stops short of its length never looks complete upstream",
    send: keepAlive(POST_START, [KEY, "Content-Length: 50"], "abcde"),
    ending: "close",
    answers: [],
    upstream: [{ method: "POST", target: "/any/{tag}", complete: false }],
  },
  {
    name: "a chunked body that stops never looks complete upstream",
    send: keepAlive(POST_START, [KEY, CHUNKED], chunk("abcde")),
    ending: "close",
    answers: [],
    upstream: [{ method: "POST", target: "/any/{tag}", complete: false }],
  },
  {
    name: "a chunked body that goes wrong in its middle never looks complete upstream",
    send: keepAlive(POST_START, [KEY, CHUNKED], `${chunk("abcde")}nonsense\r\n${SMUGGLED}`),
    answers: [[400, 0]],
    upstream: [{ method: "POST", target: "/any/{tag}", complete: false, maybe: true }],
  },
  {
    name: "a coding with a tab after it, which parsers read differently, never looks complete upstream",
    send: keepAlive(POST_START, [KEY, "Transfer-Encoding: chunked\t"], chunked("abcde")),
    answers: [[400, 0]],
    upstream: [{ method: "POST", target: "/any/{tag}", complete: false, maybe: true }],
  },
  {
    name: "a client that stops sending in the middle of its body never looks complete upstream",
    send: keepAlive(POST_START, [KEY, "Content-Length: 50"], "abcde"),
    ending: "half-close",
    answers: [[400, 0]],
    upstream: [{ method: "POST", target: "/any/{tag}", complete: false }],
  },
  {
    name: "a client that stops sending in the middle of its head reaches nothing",
    send: "GET /any/{tag} HTTP/1.1\r\nHost: api.test\r\n",
    ending: "half-close",
    answers: [[400, 0]],
    upstream: "never",
  },
];

const EXPECTATIONS: readonly Case[] = [
  {
    name: "a body that waits for its 100 is asked for once and arrives",
    send: [
      { bytes: message(POST_START, [KEY, "Content-Length: 5", "Expect: 100-continue"]) },
      { bytes: "abcde", after: "100 Continue" },
    ],
    answers: [200],
    upstream: [{ method: "POST", target: "/any/{tag}", body: "abcde", absent: ["expect"] }],
  },
  {
    name: "a body sent without waiting for its 100 arrives",
    send: post("/any/{tag}", ["Content-Length: 5", "Expect: 100-continue"], "abcde"),
    answers: [200],
    upstream: [{ method: "POST", target: "/any/{tag}", body: "abcde", absent: ["expect"] }],
  },
  {
    name: "a refused request is not asked for its body, and what it sent anyway is no request",
    send: keepAlive(POST_START, [`Content-Length: ${SMUGGLED.length}`, "Expect: 100-continue"], SMUGGLED + SMUGGLED),
    answers: [401],
    upstream: "never",
    client: { lacks: ["100 Continue"] },
  },
  {
    name: "a 100 for a request behind a slow one stands before its answer, not inside",
    send:
      keepAlive("POST /any/a-{tag} HTTP/1.1", [KEY, "Content-Length: 5"], "abcde") +
      message("POST /any/b-{tag} HTTP/1.1", [KEY, "Content-Length: 5", "Expect: 100-continue"], "abcde"),
    answers: [200, 200],
    upstream: [
      { method: "POST", target: "/any/a-{tag}", body: "abcde" },
      { method: "POST", target: "/any/b-{tag}", body: "abcde" },
    ],
    client: { lacks: ["\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nok"] },
  },
  {
    name: "an unknown expectation is refused",
    send: post("/any/{tag}", ["Content-Length: 5", "Expect: 200-maybe"], "abcde"),
    answers: [400],
    upstream: "never",
  },
  {
    name: "a client of HTTP/1.0 is never sent a 100",
    send: toBytes(
      ["POST /any/{tag} HTTP/1.0", "Host: api.test", KEY, "Content-Length: 5", "Expect: 100-continue"],
      "abcde",
    ),
    answers: [200],
    upstream: [{ method: "POST", target: "/any/{tag}", body: "abcde", absent: ["expect"] }],
    client: { lacks: ["100 Continue"] },
  },
  {
    name: "an expectation in a GET without a body is answered here",
    send: get("/any/{tag}", "Expect: 100-continue"),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}", absent: ["expect"] }],
  },
];

const OLD_VERSIONS: readonly Case[] = [
  {
    name: "a request of HTTP/1.0 arrives as one of HTTP/1.1",
    send: toBytes(["GET /any/{tag} HTTP/1.0", "Host: api.test", KEY]),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "a request of HTTP/1.0 without a Host gets one upstream",
    send: toBytes(["GET /any/{tag} HTTP/1.0", KEY]),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "a request of HTTP/1.0 with a transfer coding is faulty (RFC 9112 §6.1)",
    send: toBytes(["POST /any/{tag} HTTP/1.0", "Host: api.test", KEY, CHUNKED], chunked("abcde")),
    answers: [400],
    upstream: "never",
  },
  {
    name: "a kept connection of HTTP/1.0 with a transfer coding smuggles nothing",
    send: toBytes(
      ["POST /any/{tag} HTTP/1.0", "Host: api.test", KEY, "Connection: keep-alive", CHUNKED],
      `0\r\n\r\n${SMUGGLED}`,
    ),
    answers: [400],
    upstream: "never",
  },
];

/** No byte a client sent begins a request upstream. */
export const FRAMING_CASES: readonly Case[] = [
  ...ODD_CODINGS.map(
    (line): Case => ({
      name: `the coding ${JSON.stringify(line)} is not forwarded`,
      send: keepAlive(POST_START, [KEY, line], `${chunked("abcde")}${SMUGGLED}`),
      answers: [400],
      upstream: "never",
    }),
  ),
  ...ODD_CODINGS.map(
    (line): Case => ({
      name: `the coding ${JSON.stringify(line)} beside a length is not forwarded`,
      send: keepAlive(POST_START, [KEY, "Content-Length: 5", line], `0\r\n\r\n${SMUGGLED}`),
      answers: [400],
      upstream: "never",
    }),
  ),
  ...CODING_ALIASES.map(
    (line): Case => ({
      name: `the alias ${JSON.stringify(line)} frames nothing`,
      send: post("/any/{tag}", ["Content-Length: 5", line], "0\r\n\r\n"),
      answers: [200],
      upstream: [{ method: "POST", target: "/any/{tag}", body: "0\r\n\r\n", absent: ["transfer-encoding"] }],
    }),
  ),
  ...["Content_Length: 99", "Content.Length: 99", "content~length: 0"].map(
    (line): Case => ({
      name: `the alias ${JSON.stringify(line)} frames nothing`,
      send: post("/any/{tag}", ["Content-Length: 5", line], "abcde"),
      answers: [200],
      upstream: [{ method: "POST", target: "/any/{tag}", body: "abcde", present: { "content-length": ["5"] } }],
    }),
  ),
  ...LENGTHS.map(
    ([title, lines, body]): Case => ({
      name: `a body framed by ${title} is not forwarded`,
      send: keepAlive(POST_START, [KEY, ...lines], body + SMUGGLED),
      answers: [400],
      upstream: "never",
    }),
  ),
  ...BAD_CHUNKS.map(
    ([title, body]): Case => ({
      name: `a chunked body with ${title} never looks complete upstream`,
      send: keepAlive(POST_START, [KEY, CHUNKED], body + SMUGGLED),
      answers: [[400, 0]],
      upstream: [{ method: "POST", target: "/any/{tag}", complete: false, maybe: true }],
    }),
  ),
  ...GOOD_CHUNKS.map(
    ([title, body, received]): Case => ({
      name: `a chunked body with ${title} arrives as it was meant`,
      send: post("/any/{tag}", [CHUNKED], body),
      answers: [200],
      upstream: [{ method: "POST", target: "/any/{tag}", body: received }],
    }),
  ),
  ...["CHUNKED", "Chunked", " chunked ", "\tchunked"].map(
    (value): Case => ({
      name: `the coding ${JSON.stringify(value)} is the ordinary one`,
      send: post("/any/{tag}", [`Transfer-Encoding:${value}`], chunked("abcde")),
      answers: [200],
      upstream: [
        { method: "POST", target: "/any/{tag}", body: "abcde", present: { "transfer-encoding": ["chunked"] } },
      ],
    }),
  ),
  ...METHODS.flatMap(bodiesOf),
  ...HEADS.map(
    ([title, send]): Case => ({
      name: `a head with ${title} is no request`,
      send: send + SMUGGLED,
      answers: [[400, 0]],
      upstream: "never",
    }),
  ),
  ...CONTROLS.map(
    (code): Case => ({
      name: `a header value that holds the byte ${hex(code)} is no request`,
      send: get("/any/{tag}", `X-A: a${byte(code)}b`),
      answers: [400],
      upstream: "never",
    }),
  ),
  ...CONTROLS.map(
    (code): Case => ({
      name: `a header name that holds the byte ${hex(code)} is no request`,
      send: get("/any/{tag}", `X-A${byte(code)}B: c`),
      answers: [400],
      upstream: "never",
    }),
  ),
  ...SEQUENCES,
  ...EXPECTATIONS,
  ...OLD_VERSIONS,
];
