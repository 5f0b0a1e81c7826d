import type { Case, Reply } from "../bench/case.ts";
import { byte, get, KEY, keepAlive, message } from "./message.ts";

const ok = (lines: readonly string[], body = "ok"): string =>
  `${["HTTP/1.1 200 OK", ...lines].join("\r\n")}\r\n\r\n${body}`;

/** An answer inside an answer: what response splitting would bring to the client. */
const SPLIT = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";

/** Answers that are none: the client hears of it, once, from Latchkey. */
const INVALID: readonly (readonly [title: string, reply: Reply])[] = [
  [
    "both a length and a coding",
    { bytes: ok(["Content-Length: 2", "Transfer-Encoding: chunked"], "2\r\nok\r\n0\r\n\r\n") },
  ],
  ["a coding and a length", { bytes: ok(["Transfer-Encoding: chunked", "Content-Length: 2"], "2\r\nok\r\n0\r\n\r\n") }],
  ["two lengths that differ", { bytes: ok(["Content-Length: 2", "Content-Length: 3"]) }],
  ["two lengths that agree", { bytes: ok(["Content-Length: 2", "Content-Length: 2"]) }],
  ["two lengths in one line", { bytes: ok(["Content-Length: 2, 2"]) }],
  ["a negative length", { bytes: ok(["Content-Length: -2"]) }],
  ["a length with a plus sign", { bytes: ok(["Content-Length: +2"]) }],
  ["a length in hex", { bytes: ok(["Content-Length: 0x2"]) }],
  ["a length that is no number", { bytes: ok(["Content-Length: two"]) }],
  ["a length beyond 64 bits", { bytes: ok(["Content-Length: 18446744073709551618"]) }],
  ["an odd coding", { bytes: ok(["Transfer-Encoding: xchunked"]), ending: "close" }],
  ["chunked and another coding", { bytes: ok(["Transfer-Encoding: chunked, gzip"]), ending: "close" }],
  [
    "chunked twice",
    { bytes: ok(["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "2\r\nok\r\n0\r\n\r\n") },
  ],
  ["a bare line feed in its head", { bytes: ok(["X-A: b\nX-B: c", "Content-Length: 2"]) }],
  ["a bare carriage return in its head", { bytes: ok(["X-A: b\rX-B: c", "Content-Length: 2"]) }],
  ["a NUL in a value", { bytes: ok([`X-A: b${byte(0)}c`, "Content-Length: 2"]) }],
  ["a folded header", { bytes: ok(["X-A: b\r\n c", "Content-Length: 2"]) }],
  ["a blank in a header name", { bytes: ok(["X A: b", "Content-Length: 2"]) }],
  ["a header without a colon", { bytes: ok(["nonsense", "Content-Length: 2"]) }],
  ["a status of two digits", { bytes: "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok" }],
  ["a status of four digits", { bytes: "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok" }],
  ["a status that is no number", { bytes: "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok" }],
  ["a version nobody speaks", { bytes: "HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nok" }],
  ["a control byte in its reason", { bytes: `HTTP/1.1 200 O${byte(1)}K\r\nContent-Length: 2\r\n\r\nok` }],
  ["bare line feeds throughout", { bytes: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok" }],
  ["no head at all", { bytes: "ok", ending: "close" }],
  ["a head that breaks off", { bytes: "HTTP/1.1 200 OK\r\nContent-Le", ending: "close" }],
  ["a head that is reset", { bytes: "HTTP/1.1 200 OK\r\nContent-Le", ending: "reset" }],
  ["a head beyond all bounds", { bytes: ok([`X-A: ${"a".repeat(100_000)}`, "Content-Length: 2"]) }],
  ["headers without end", { bytes: ok(Array.from({ length: 5000 }, (_, n) => `X-${n}: a`)) }],
  ["only interim answers", { bytes: "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(3), ending: "close" }],
];

/** Answers that break off after a good head: the client's copy must not look complete. */
const BROKEN: readonly (readonly [title: string, reply: Reply])[] = [
  ["a body shorter than its length", { bytes: ok(["Content-Length: 10"]), ending: "close" }],
  ["a body reset in its middle", { bytes: ok(["Content-Length: 100000"], "x".repeat(5000)), ending: "reset" }],
  ["chunks without a last one", { bytes: ok(["Transfer-Encoding: chunked"], "2\r\nok\r\n"), ending: "close" }],
  ["a chunk that breaks off", { bytes: ok(["Transfer-Encoding: chunked"], "5\r\nok"), ending: "close" }],
  ["a chunk size that is none", { bytes: ok(["Transfer-Encoding: chunked"], "2\r\nok\r\nzz\r\n") }],
  ["a chunk longer than its size", { bytes: ok(["Transfer-Encoding: chunked"], "2\r\nokok\r\n0\r\n\r\n") }],
  [
    "a length after its body",
    { bytes: ok(["Transfer-Encoding: chunked"], "2\r\nok\r\n0\r\nContent-Length: 99\r\n\r\n"), ending: "close" },
  ],
  ["a silence in its body", { bytes: ok(["Content-Length: 10"]) }],
];

/** Answers that are passed on, whatever is odd about them put right. */
const PASSED: readonly (readonly [
  title: string,
  status: number,
  reply: Reply,
  lacks: readonly string[],
  has: readonly string[],
])[] = [
  [
    "a storm of interim answers",
    200,
    { bytes: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(500) + ok(["Content-Length: 2"]) },
    [],
    ["\r\n\r\nok"],
  ],
  [
    "an interim answer with forged framing",
    200,
    { bytes: `HTTP/1.1 102 Processing\r\nContent-Length: 50\r\n\r\n${ok(["Content-Length: 2"])}` },
    ["Content-Length: 50"],
    ["\r\n\r\nok"],
  ],
  [
    "a 100 nobody asked for",
    200,
    { bytes: `HTTP/1.1 100 Continue\r\n\r\n${ok(["Content-Length: 2"])}` },
    ["100 Continue"],
    ["\r\n\r\nok"],
  ],
  ["a body that ends with the connection", 200, { bytes: ok([]), ending: "close" }, [], ["ok"]],
  ["no reason phrase", 200, { bytes: "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok" }, [], []],
  [
    "hop-by-hop headers",
    200,
    {
      bytes: ok([
        "Content-Length: 2",
        "Connection: X-Hop, Content-Length",
        "X-Hop: forged",
        "Keep-Alive: forged",
        "Upgrade: forged",
        "Proxy-Authenticate: forged",
        "Proxy-Connection: forged",
      ]),
    },
    ["forged"],
    ["Content-Length: 2"],
  ],
  ["its own request id", 200, { bytes: ok(["Content-Length: 2", "X-Request-Id: forged"]) }, ["forged"], []],
  ["bytes outside ASCII", 200, { bytes: ok(["Content-Length: 2", `X-A: ${byte(0xe9)}`]) }, [], [`X-A: ${byte(0xe9)}`]],
  [
    "a 204 with a length",
    204,
    { bytes: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n" },
    ["Content-Length: 5"],
    [],
  ],
  ["a 304 with a length", 304, { bytes: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" }, [], []],
  [
    "trailers that frame or route",
    200,
    {
      bytes: ok(
        ["Transfer-Encoding: chunked", "Trailer: X-Fine"],
        "2\r\nok\r\n0\r\nConnection: forged\r\nX-Request-Id: forged\r\nSet-Cookie: forged\r\nX-Fine: fine\r\n\r\n",
      ),
    },
    ["forged"],
    ["X-Fine: fine"],
  ],
];

/** Answers with more after them: what follows is nobody's answer. */
const FOLLOWED: readonly (readonly [title: string, bytes: string])[] = [
  ["behind a measured body", ok(["Content-Length: 2"]) + SPLIT],
  ["behind the last chunk", ok(["Transfer-Encoding: chunked"], "2\r\nok\r\n0\r\n\r\n") + SPLIT],
  ["behind a 204", `HTTP/1.1 204 No Content\r\nContent-Length: ${SPLIT.length}\r\n\r\n${SPLIT}`],
  ["behind a 304", `HTTP/1.1 304 Not Modified\r\nContent-Length: ${SPLIT.length}\r\n\r\n${SPLIT}`],
];

/** What an upstream that misbehaves can do to clients: to the one it answers, and to no other. */
export const RESPONSE_CASES: readonly Case[] = [
  ...INVALID.map(
    ([title, reply]): Case => ({
      name: `an answer with ${title} is answered for, and the request is not sent again`,
      send: get("/any/{tag}"),
      reply,
      answers: [502],
      upstream: [{ method: "GET", target: "/any/{tag}" }],
      client: { lacks: ["forged"] },
    }),
  ),
  ...BROKEN.map(
    ([title, reply]): Case => ({
      name: `an answer with ${title} never looks complete`,
      send: get("/any/{tag}"),
      reply,
      answers: [[200, 502]],
      upstream: [{ method: "GET", target: "/any/{tag}" }],
      broken: true,
    }),
  ),
  ...PASSED.map(
    ([title, status, reply, lacks, has]): Case => ({
      name: `an answer with ${title} is put right`,
      send: get("/any/{tag}"),
      reply,
      answers: [status],
      upstream: [{ method: "GET", target: "/any/{tag}" }],
      client: { lacks, has },
    }),
  ),
  ...FOLLOWED.map(
    ([title, bytes]): Case => ({
      name: `an answer smuggled ${title} answers nobody`,
      send:
        keepAlive("GET /any/a-{tag} HTTP/1.1", [KEY]) + message("GET /any/b-{tag} HTTP/1.1", [KEY, "X-Second: yes"]),
      reply: { bytes },
      answers: [
        [200, 204, 304],
        [200, 204, 304, 502],
      ],
      upstream: [
        { method: "GET", target: "/any/a-{tag}" },
        { method: "GET", target: "/any/b-{tag}" },
      ],
      client: { lacks: ["forged"] },
    }),
  ),
  {
    name: "an answer to HEAD with a body gives nobody that body",
    send: message("HEAD /any/{tag} HTTP/1.1", [KEY]),
    reply: { bytes: ok([`Content-Length: ${SPLIT.length}`], SPLIT) },
    answers: [200],
    upstream: [{ method: "HEAD", target: "/any/{tag}" }],
    client: { lacks: ["forged"] },
  },
  ...(["close", "reset"] as const).map(
    (ending): Case => ({
      name: `a ${ending} before any byte of an answer to a GET: sent again at most once, on another connection`,
      send: get("/any/{tag}"),
      reply: { bytes: "", ending },
      answers: [502],
      upstream: [
        { method: "GET", target: "/any/{tag}" },
        { method: "GET", target: "/any/{tag}", maybe: true },
      ],
    }),
  ),
  {
    name: "an upstream that never answers is given up on",
    send: get("/any/{tag}"),
    reply: { bytes: "" },
    answers: [504],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "a reset before any answer to a POST is not sent again",
    send: message("POST /any/{tag} HTTP/1.1", [KEY, "Content-Length: 5"], "abcde"),
    reply: { bytes: "", ending: "reset" },
    answers: [502],
    upstream: [{ method: "POST", target: "/any/{tag}", body: "abcde" }],
  },
  {
    name: "an answer before the end of a large request ends well for both",
    send: message("POST /any/{tag} HTTP/1.1", [KEY, "Content-Length: 40000"], "x".repeat(40_000)),
    reply: {
      bytes: "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
      early: true,
      ending: "close",
    },
    answers: [[413, 502]],
    upstream: [{ method: "POST", target: "/any/{tag}", body: "x".repeat(40_000), maybe: true }],
  },
];
