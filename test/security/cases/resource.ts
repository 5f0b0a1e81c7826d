import type { Case } from "../bench/case.ts";
import { byte, CHUNKED, chunk, chunked, get, KEY, keepAlive, message, post } from "./message.ts";

const lines = (count: number): readonly string[] => Array.from({ length: count }, (_, n) => `X-${n}: a`);

/** What a stranger may spend of others' memory and time. Limits are those of the bench's configuration. */
export const RESOURCE_CASES: readonly Case[] = [
  {
    name: "as many header lines as are allowed pass",
    send: get("/any/{tag}", ...lines(50)),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "one header line too many is refused, not left out (CVE-2026-58044)",
    send: get("/any/{tag}", ...lines(57)),
    answers: [431],
    upstream: "never",
  },
  {
    name: "thousands of header lines are refused",
    send: get("/any/{tag}", ...Array.from({ length: 2500 }, () => "a:")),
    answers: [431],
    upstream: "never",
  },
  {
    name: "a coding behind thousands of header lines frames nothing (CVE-2026-58044)",
    send: post("/any/{tag}", [...Array.from({ length: 1200 }, () => "a:"), CHUNKED], chunked("x")),
    answers: [431],
    upstream: "never",
  },
  {
    name: "a key behind thousands of header lines opens nothing",
    send: message("GET /any/{tag} HTTP/1.1", [...Array.from({ length: 1200 }, () => "a:"), KEY]),
    answers: [431],
    upstream: "never",
  },
  {
    name: "a header value beyond the limit is refused",
    send: get("/any/{tag}", `X-Long: ${"a".repeat(9000)}`),
    answers: [431],
    upstream: "never",
  },
  {
    name: "a header name beyond the limit is refused",
    send: get("/any/{tag}", `${"a".repeat(9000)}: x`),
    answers: [431],
    upstream: "never",
  },
  {
    name: "a target beyond the limit is refused",
    send: get(`/any/{tag}/${"a".repeat(9000)}`),
    answers: [[431, 414]],
    upstream: "never",
  },
  {
    name: "a query beyond the limit is refused",
    send: get(`/any/{tag}?${"a".repeat(9000)}`),
    answers: [[431, 414]],
    upstream: "never",
  },
  {
    name: "thousands of segments are judged at once",
    send: get(`/any${"/a".repeat(3000)}/{tag}`),
    answers: [200],
    upstream: [{ method: "GET", target: `/any${"/a".repeat(3000)}/{tag}` }],
  },
  {
    name: "thousands of parameters are looked through at once",
    send: get(`/any/{tag}?${"a&".repeat(3000)}a`),
    answers: [200],
    upstream: [{ method: "GET", target: `/any/{tag}?${"a&".repeat(3000)}a` }],
  },
  {
    name: "thousands of addresses in a forwarding header of a stranger cost nothing",
    send: get("/any/{tag}", `X-Forwarded-For: ${"1.2.3.4,".repeat(800)}`),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}", present: { "x-forwarded-for": ["127.0.0.1"] } }],
  },
  {
    name: "a body of the allowed size passes",
    send: post("/any/{tag}", ["Content-Length: 65536"], "x".repeat(65_536)),
    answers: [200],
    upstream: [{ method: "POST", target: "/any/{tag}", body: "x".repeat(65_536) }],
  },
  {
    name: "a measured body beyond the limit is refused before a byte of it is forwarded",
    send: post("/any/{tag}", ["Content-Length: 65537"], "x".repeat(65_537)),
    answers: [413],
    upstream: "never",
  },
  {
    name: "an enormous measured body is refused without waiting for it",
    send: post("/any/{tag}", ["Content-Length: 999999999999999"]),
    answers: [413],
    upstream: "never",
  },
  {
    name: "a chunked body beyond the limit never looks complete upstream",
    send: post("/any/{tag}", [CHUNKED], chunked("x".repeat(40_000), "x".repeat(40_000))),
    answers: [413],
    upstream: [{ method: "POST", target: "/any/{tag}", complete: false, maybe: true }],
  },
  {
    name: "one enormous chunk never looks complete upstream",
    send: keepAlive("POST /any/{tag} HTTP/1.1", [KEY, CHUNKED], `ffffffff\r\n${"x".repeat(70_000)}`),
    answers: [413],
    upstream: [{ method: "POST", target: "/any/{tag}", complete: false, maybe: true }],
  },
  {
    name: "a thousand chunks of a byte arrive as one body",
    send: post("/any/{tag}", [CHUNKED], chunked(..."x".repeat(1000))),
    answers: [200],
    upstream: [{ method: "POST", target: "/any/{tag}", body: "x".repeat(1000) }],
  },
  {
    name: "chunk extensions beyond the limit are refused",
    send: keepAlive("POST /any/{tag} HTTP/1.1", [KEY, CHUNKED], `1;${"a".repeat(40_000)}\r\nx\r\n0\r\n\r\n`),
    answers: [[413, 431, 400, 0]],
    upstream: [{ method: "POST", target: "/any/{tag}", complete: false, maybe: true }],
  },
  {
    name: "trailers beyond the limit are refused",
    send: keepAlive("POST /any/{tag} HTTP/1.1", [KEY, CHUNKED], `${chunk("x")}0\r\nX-A: ${"a".repeat(40_000)}\r\n\r\n`),
    answers: [[431, 400, 0]],
    upstream: [{ method: "POST", target: "/any/{tag}", complete: false, maybe: true }],
  },
  {
    name: "a head that never ends is given up on",
    send: "GET /any/{tag} HTTP/1.1\r\nHost: api.test\r\nX-Slow: ",
    answers: [408],
    upstream: "never",
  },
  {
    name: "a body that never ends is given up on",
    send: keepAlive("POST /any/{tag} HTTP/1.1", [KEY, "Content-Length: 50"], "abcde"),
    answers: [[408, 0]],
    upstream: [{ method: "POST", target: "/any/{tag}", complete: false }],
  },
  {
    name: "a chunked body that never ends is given up on",
    send: keepAlive("POST /any/{tag} HTTP/1.1", [KEY, CHUNKED], chunk("abcde")),
    answers: [[408, 0]],
    upstream: [{ method: "POST", target: "/any/{tag}", complete: false }],
  },
  {
    name: "a refused body that never ends is given up on",
    send: keepAlive("POST /any/{tag} HTTP/1.1", ["Content-Length: 50"], "abcde"),
    answers: [401],
    upstream: "never",
  },
  {
    name: "a connection that says nothing is given up on",
    send: "",
    answers: [[408, 0]],
    upstream: "never",
  },
  {
    name: "empty lines without end are no request",
    send: "\r\n".repeat(20_000),
    answers: [[400, 408, 431, 0]],
    upstream: "never",
  },
  {
    name: "an idle connection after an answer is closed",
    send: keepAlive("GET /any/{tag} HTTP/1.1", [KEY]),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "a hundred pipelined requests are answered one by one",
    send: keepAlive("GET /any/{tag} HTTP/1.1").repeat(99) + message("GET /any/{tag} HTTP/1.1"),
    answers: Array.from({ length: 100 }, () => 401),
    upstream: "never",
  },
  {
    name: "a key of one hundred thousand bytes is refused by its size",
    send: message("GET /any/{tag} HTTP/1.1", [`X-API-Key: ${"a".repeat(100_000)}`]),
    answers: [[431, 0]],
    upstream: "never",
  },
  {
    name: "a megabyte of nonsense is refused",
    send: byte(0xff).repeat(1_000_000),
    answers: [[400, 431, 0]],
    upstream: "never",
  },
];
