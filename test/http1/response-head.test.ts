import { describe, expect, test } from "vitest";
import { parseResponseHead } from "../../src/http1/response-head.ts";

const withFields = (...fields: readonly string[]) =>
  parseResponseHead(["HTTP/1.1 200 OK", ...fields].map((line) => `${line}\r\n`).join(""));

describe("parseResponseHead()", () => {
  test("takes a head apart and leaves its lines as they were", () => {
    expect(parseResponseHead("HTTP/1.1 418 I'm  a teapot\xe9\r\nX-A: \t b \r\nx-a:\r\n")).toEqual({
      kind: "head",
      head: {
        status: 418,
        reason: "I'm  a teapot\xe9",
        lines: ["X-A", "b", "x-a", ""],
        framing: { kind: "close" },
        persistent: true,
        keepAliveSeconds: undefined,
      },
    });
  });

  test.for([
    ["a reason that is empty", "HTTP/1.1 200 \r\n"],
    ["no reason and no blank", "HTTP/1.1 200\r\n"],
  ] as const)("takes %s", ([, text]) => {
    expect(parseResponseHead(text)).toMatchObject({ head: { status: 200, reason: "" } });
  });

  test.for([
    ["a length", ["Content-Length: 5"], { kind: "length", bytes: 5 }],
    ["chunked", ["Transfer-Encoding: Chunked"], { kind: "chunked" }],
    ["neither: to the end of the connection", [], { kind: "close" }],
  ] as const)("reads the framing of a body: %s", ([, fields, framing]) => {
    expect(withFields(...fields)).toMatchObject({ head: { framing } });
  });

  test.for([
    ["it says so", ["Connection: close"], false],
    ["it says so among others", ["Connection: Keep-Alive, Close"], false],
    ["it says nothing", [], true],
  ] as const)("reads whether the connection ends when %s", ([, fields, persistent]) => {
    expect(withFields(...fields)).toMatchObject({ head: { persistent } });
  });

  test("keeps no connection of HTTP/1.0", () => {
    expect(parseResponseHead("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n")).toMatchObject({
      head: { persistent: false },
    });
  });

  test.for([
    ["timeout=5", 5],
    ["max=100, timeout=30", 30],
    ["timeout=0", 0],
    ["xtimeout=5", undefined],
    ["timeout=a", undefined],
    ["timeout=99999999999", undefined],
  ] as const)("reads how long it is kept: %s", ([value, keepAliveSeconds]) => {
    expect(withFields(`Keep-Alive: ${value}`)).toMatchObject({ head: { keepAliveSeconds } });
  });

  test.for([
    ["another protocol", "ICY 200 OK\r\n"],
    ["HTTP/2", "HTTP/2 200 OK\r\n"],
    ["HTTP/1.2", "HTTP/1.2 200 OK\r\n"],
    ["a status of two digits (RFC 9112 §4)", "HTTP/1.1 20 OK\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n"],
    ["a status below 100", "HTTP/1.1 099 OK\r\n"],
    ["two blanks before the status", "HTTP/1.1  200 OK\r\n"],
    ["a tab before the status", "HTTP/1.1\t200 OK\r\n"],
    ["a CR in the reason", "HTTP/1.1 200 O\rK\r\n"],
    ["a NUL in the reason", "HTTP/1.1 200 O\0K\r\n"],
    ["an empty line before it", "\r\nHTTP/1.1 200 OK\r\n"],
    ["a coding in HTTP/1.0 (RFC 9112 §6.1)", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n"],
  ] as const)("refuses %s", ([, text]) => {
    expect(parseResponseHead(text).kind).toBe("malformed");
  });

  test.for([
    ["both framings (RFC 9112 §6.3)", ["Content-Length: 5", "Transfer-Encoding: chunked"]],
    ["both the other way round", ["Transfer-Encoding: chunked", "Content-Length: 5"]],
    ["two lengths", ["Content-Length: 5", "Content-Length: 6"]],
    ["a list of lengths", ["Content-Length: 5, 5"]],
    ["a negative length", ["Content-Length: -5"]],
    ["another coding", ["Transfer-Encoding: gzip"]],
    ["another coding before chunked", ["Transfer-Encoding: gzip, chunked"]],
    ["a blank before the colon (RFC 9112 §5.1)", ["Content-Length : 5"]],
    ["a folded line (RFC 9112 §5.2)", ["X-A: b", " c"]],
    ["a line without a colon", ["X-A"]],
    ["a CR in a value", ["X-A: b\rSet-Cookie: c"]],
    ["an LF in a value", ["X-A: b\nSet-Cookie: c"]],
    ["a NUL in a value", ["X-A: b\0"]],
  ] as const)("refuses %s", ([, fields]) => {
    expect(withFields(...fields).kind).toBe("malformed");
  });
});
