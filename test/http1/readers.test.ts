import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BodyReader } from "../../src/http1/body-reader.ts";
import { RequestHeadReader } from "../../src/http1/request-reader.ts";
import { ResponseReader } from "../../src/http1/response-reader.ts";

const MAX_HEADER_BYTES = 8192;

/** What a reader made of an answer that came in these pieces. */
function readAnswer(pieces: readonly Buffer[]) {
  const reader = new ResponseReader(false);
  const told = { interims: 0, status: 0, body: "", problem: "", rest: "" };
  for (const piece of pieces) {
    if (told.problem !== "") break;
    if (reader.isDone) {
      told.rest += piece.toString("latin1");
      continue;
    }
    const end = reader.read(piece, 0, piece.length, {
      interim: () => {
        told.interims += 1;
      },
      answerHead: ({ status }) => {
        told.status = status;
      },
      answerData: (buffer, from, to) => {
        told.body += buffer.toString("latin1", from, to);
      },
    });
    if (typeof end === "string") told.problem = end;
    else told.rest += piece.toString("latin1", end);
  }
  return { ...told, done: reader.isDone, ended: reader.end(), trailers: reader.trailers };
}

/** What a reader made of requests that came in these pieces: their targets and what they ended with. */
function readRequests(pieces: readonly Buffer[]): readonly string[] {
  const reader = new RequestHeadReader();
  const told: string[] = [];
  for (const piece of pieces) {
    let at = 0;
    while (at < piece.length) {
      const read = reader.read(piece, at, piece.length, MAX_HEADER_BYTES);
      if (read.kind === "malformed" || read.kind === "too-large") return [...told, read.kind];
      if (read.kind === "head") told.push(read.head.target);
      at = read.kind === "head" ? read.next : piece.length;
    }
  }
  return told;
}

function cut(text: string, places: readonly number[]): readonly Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  const at = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((one, other) => one - other);
  return at.map((end, index) => bytes.subarray(at[index - 1] ?? 0, end));
}

const places = fc.array(fc.nat(2000), { maxLength: 12 });
const answer = fc.constantFrom(
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-End: 1\r\n\r\nmore",
  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 200 OK\r\n\r\nuntil the end",
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX",
  "HTTP/1.1 101 Switching Protocols\r\n\r\n",
);
const requests = fc.constantFrom(
  "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
  "\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
  `GET /a HTTP/1.1\r\nHost: x\r\nX-Long: ${"a".repeat(MAX_HEADER_BYTES)}\r\n\r\n`,
  "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\nHost: x\r\n\r\n",
  "\r\n".repeat(40),
);

describe("the readers of HTTP/1.1", () => {
  test("ResponseReader makes the same of an answer however it is cut", () => {
    fc.assert(
      fc.property(answer, places, (text, at) => {
        expect(readAnswer(cut(text, at))).toEqual(readAnswer(cut(text, [])));
      }),
      { numRuns: 2000 },
    );
  });

  test("ResponseReader takes the end of the connection for the end of a body only where nothing else ends it", () => {
    expect(readAnswer(cut("HTTP/1.1 200 OK\r\n\r\nhel", []))).toMatchObject({ body: "hel", done: false, ended: true });
    const broken = readAnswer(cut("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", []));
    expect(broken).toMatchObject({ body: "hel", done: false, ended: false });
  });

  test("ResponseReader takes a thousand interim answers, and no more", () => {
    const interims = (count: number) =>
      readAnswer(cut(`${"HTTP/1.1 100 Continue\r\n\r\n".repeat(count)}HTTP/1.1 204 No Content\r\n\r\n`, []));
    expect(interims(1000)).toMatchObject({ interims: 1000, status: 204, problem: "", done: true });
    expect(interims(1001)).toMatchObject({ interims: 1000, status: 0, problem: "interim answers without end" });
  });

  test.for([
    ["nothing", "", true],
    ["a body of no bytes", "Content-Length: 0\r\n", true],
    ["a body", "Content-Length: 5\r\n", false],
    ["chunks", "Transfer-Encoding: chunked\r\n", false],
  ] as const)(
    "ResponseReader reads no body of a 204 that announces %s, and judges its connection",
    ([, fields, isPersistent]) => {
      const reader = new ResponseReader(false);
      const sink = { interim: () => {}, answerHead: () => {}, answerData: () => expect.unreachable() };
      const answer = Buffer.from(`HTTP/1.1 204 No Content\r\n${fields}\r\n`);
      expect(reader.read(answer, 0, answer.length, sink)).toBe(answer.length);
      expect([reader.isDone, reader.isPersistent]).toEqual([true, isPersistent]);
    },
  );

  test("RequestHeadReader makes the same of requests however they are cut", () => {
    fc.assert(
      fc.property(requests, places, (text, at) => {
        expect(readRequests(cut(text, at))).toEqual(readRequests(cut(text, [])));
      }),
      { numRuns: 2000 },
    );
  });

  test("RequestHeadReader does not wait for the end of what can be no request", () => {
    const read = (text: string) =>
      new RequestHeadReader().read(Buffer.from(text, "latin1"), 0, text.length, MAX_HEADER_BYTES);
    expect(read("\x16\x03\x01")).toEqual({ kind: "malformed", problem: "a TLS handshake on a listener without TLS" });
    expect(read("nonsense")).toEqual({ kind: "malformed", problem: "no request begins like this" });
    expect(read("GET / HTTP/1.1\nHost: x")).toEqual({ kind: "malformed", problem: "a line does not end in CRLF" });
    expect(read("GET / HTTP/1.1\r\nHost: x")).toEqual({ kind: "partial" });
  });

  test("BodyReader stops where the body ends, and takes no byte of what follows", () => {
    const measured = new BodyReader({ kind: "length", bytes: 3 }, MAX_HEADER_BYTES);
    const taken: string[] = [];
    const sink = (buffer: Buffer, from: number, to: number) => void taken.push(buffer.toString("latin1", from, to));
    const read = (reader: BodyReader, text: string) => reader.read(Buffer.from(text), 0, text.length, sink);
    expect(read(measured, "ab")).toBe(2);
    expect(measured.isDone).toBe(false);
    expect(read(measured, "cGET /")).toBe(1);
    expect(measured.isDone).toBe(true);
    const chunked = new BodyReader({ kind: "chunked" }, MAX_HEADER_BYTES);
    expect(read(chunked, "2\r\nde\r\n0\r\n\r\nGET /")).toBe(12);
    expect(chunked.isDone).toBe(true);
    expect(taken).toEqual(["ab", "c", "de"]);
  });
});
