import type { Behaviour } from "./recorder.ts";
import type { Script } from "./scripted-upstream.ts";

/** One answer of an upstream, and how its connection ends. */
export interface Answer {
  readonly name: string;
  readonly method?: string;
  readonly bytes: string;
  readonly ending: Script["ending"];
}

export const GET: Behaviour = { method: "GET", framing: { kind: "none" }, parts: [] };

const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKS = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
const LENGTH = `${OK}Content-Length: 5\r\n\r\nhello`;

/** Answers of every framing, sound and not. */
export const ANSWERS: readonly Answer[] = [
  { name: "a length", bytes: LENGTH, ending: "keep" },
  {
    name: "a length in many header lines",
    bytes: `${OK}X-A: 1\r\nx-a: 2\r\nX-B: \t b \r\nX-C:\r\nContent-Length: 5\r\n\r\nhello`,
    ending: "keep",
  },
  { name: "a length of nothing", bytes: `${OK}Content-Length: 0\r\n\r\n`, ending: "keep" },
  { name: "a length and an end", bytes: `${OK}Connection: close\r\nContent-Length: 5\r\n\r\nhello`, ending: "close" },
  { name: "a length and a reset", bytes: `${OK}Content-Length: 5\r\n\r\nhel`, ending: "reset" },
  { name: "less than its length", bytes: `${OK}Content-Length: 6\r\n\r\nhello`, ending: "close" },
  { name: "chunks", bytes: `${CHUNKS}5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n`, ending: "keep" },
  {
    name: "chunks with zeros, capitals and extensions",
    bytes: `${CHUNKS}00A\r\n0123456789\r\n1;a="b"\r\n!\r\n000;c\r\n\r\n`,
    ending: "keep",
  },
  { name: "no chunk at all", bytes: `${CHUNKS}0\r\n\r\n`, ending: "keep" },
  { name: "trailers", bytes: `${CHUNKS}2\r\nab\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a\r\n\r\n`, ending: "keep" },
  { name: "chunks that break off", bytes: `${CHUNKS}5\r\nhello\r\n`, ending: "close" },
  { name: "chunks that break off inside one", bytes: `${CHUNKS}5\r\nhel`, ending: "close" },
  { name: "chunks that are reset", bytes: `${CHUNKS}5\r\nhello\r\n`, ending: "reset" },
  { name: "chunks without their last line", bytes: `${CHUNKS}5\r\nhello\r\n0\r\n`, ending: "close" },
  { name: "a chunk without a size", bytes: `${CHUNKS}\r\nhello\r\n0\r\n\r\n`, ending: "close" },
  { name: "a chunk of no number", bytes: `${CHUNKS}g\r\nhello\r\n0\r\n\r\n`, ending: "close" },
  { name: "a chunk that is too long", bytes: `${CHUNKS}4\r\nhello\r\n0\r\n\r\n`, ending: "close" },
  { name: "to the end", bytes: `${OK}X-A: 1\r\n\r\nhello`, ending: "close" },
  { name: "nothing to the end", bytes: `${OK}X-A: 1\r\n\r\n`, ending: "close" },
  { name: "to a reset", bytes: `${OK}\r\nhello`, ending: "reset" },
  { name: "HTTP/1.0 with a length", bytes: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", ending: "close" },
  { name: "HTTP/1.0 to the end", bytes: "HTTP/1.0 200 OK\r\n\r\nhello", ending: "close" },
  {
    name: "keep-alive for a time",
    bytes: `${OK}Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nhello`,
    ending: "keep",
  },
  {
    name: "keep-alive for no time",
    bytes: `${OK}Keep-Alive: timeout=1\r\nContent-Length: 5\r\n\r\nhello`,
    ending: "keep",
  },
  { name: "204", bytes: "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", ending: "keep" },
  {
    name: "304 with a length",
    bytes: "HTTP/1.1 304 Not Modified\r\nETag: a\r\nContent-Length: 5\r\n\r\n",
    ending: "keep",
  },
  { name: "HEAD with a length", method: "HEAD", bytes: `${OK}Content-Length: 5\r\n\r\n`, ending: "keep" },
  { name: "HEAD with chunks", method: "HEAD", bytes: CHUNKS, ending: "keep" },
  { name: "HEAD with neither", method: "HEAD", bytes: `${OK}X-A: 1\r\n\r\n`, ending: "keep" },
  { name: "hints", bytes: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${LENGTH}`, ending: "keep" },
  {
    name: "102 and hints",
    bytes: `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX: 1\r\n\r\n${LENGTH}`,
    ending: "keep",
  },
  { name: "100 that nobody asked for", bytes: `HTTP/1.1 100 Continue\r\n\r\n${LENGTH}`, ending: "close" },
  {
    name: "101 that nobody asked for",
    bytes: `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n${LENGTH}`,
    ending: "close",
  },
  { name: "an empty reason", bytes: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", ending: "keep" },
  { name: "no reason", bytes: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", ending: "close" },
  {
    name: "bytes beyond ASCII",
    bytes: `HTTP/1.1 200 \xe9\r\nX-A: \xe9\xff\r\nContent-Length: 2\r\n\r\n\xe9\0`,
    ending: "keep",
  },
  { name: "an error", bytes: "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno", ending: "keep" },
  {
    name: "a nominated field",
    bytes: `${OK}Connection: x-hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n`,
    ending: "keep",
  },
  { name: "nothing", bytes: "", ending: "close" },
  { name: "a reset", bytes: "", ending: "reset" },
  { name: "half a head", bytes: "HTTP/1.1 200 OK\r\nX-A: ", ending: "close" },
  { name: "another protocol", bytes: "SSH-2.0-x\r\n", ending: "close" },
  { name: "two lengths", bytes: `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, ending: "close" },
  { name: "one length twice", bytes: `${OK}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`, ending: "close" },
  { name: "a list of lengths", bytes: `${OK}Content-Length: 5, 5\r\n\r\nhello`, ending: "close" },
  { name: "a negative length", bytes: `${OK}Content-Length: -5\r\n\r\nhello`, ending: "close" },
  {
    name: "a length beside chunks",
    bytes: `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ending: "close",
  },
  { name: "another coding", bytes: `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, ending: "close" },
  { name: "LF alone", bytes: "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", ending: "close" },
  { name: "CR in a value", bytes: `${OK}X-A: b\rSet-Cookie: c\r\nContent-Length: 0\r\n\r\n`, ending: "close" },
  { name: "NUL in a value", bytes: `${OK}X-A: b\0c\r\nContent-Length: 0\r\n\r\n`, ending: "close" },
  { name: "a folded line", bytes: `${OK}X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n`, ending: "close" },
  { name: "a blank before a colon", bytes: `${OK}X-A : b\r\nContent-Length: 0\r\n\r\n`, ending: "close" },
  { name: "a length as trailer", bytes: `${CHUNKS}1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n`, ending: "close" },
  { name: "another answer behind it", bytes: `${LENGTH}${LENGTH}`, ending: "close" },
];
