import { describe, expect, test } from "vitest";
import { parseRequestHead } from "../../src/http1/request-head.ts";

const parse = (text: string) => parseRequestHead(text);
const withFields = (...fields: readonly string[]) =>
  parse(["GET /x HTTP/1.1", "Host: a", ...fields].map((line) => `${line}\r\n`).join(""));

describe("parseRequestHead()", () => {
  test("takes a head apart and leaves its lines as they were", () => {
    expect(parse("QUERY /a?b=%20 HTTP/1.1\r\nHOST:a\r\nX-A: \t b  c \t\r\nx-a:\r\n")).toEqual({
      kind: "head",
      head: {
        method: "QUERY",
        target: "/a?b=%20",
        version: "1.1",
        rawHeaders: ["HOST", "a", "X-A", "b  c", "x-a", ""],
        framing: { kind: "none" },
        persistent: true,
        expectsContinue: false,
        upgrade: undefined,
      },
    });
  });

  test.for([
    ["a length", ["Content-Length: 5"], { kind: "length", bytes: 5 }],
    ["a length with zeros before it", ["content-length: 005"], { kind: "length", bytes: 5 }],
    ["a length of nothing", ["Content-Length: 0"], { kind: "length", bytes: 0 }],
    ["chunked", ["Transfer-Encoding: Chunked"], { kind: "chunked" }],
    ["neither", [], { kind: "none" }],
  ] as const)("reads the framing of a body: %s", ([, fields, framing]) => {
    expect(withFields(...fields)).toMatchObject({ kind: "head", head: { framing } });
  });

  test.for([
    ["1.1", [], true],
    ["1.1 with close", ["Connection: a, Close"], false],
    ["1.1 with close in a second line", ["Connection: a", "connection: close"], false],
    ["1.1 with an option that only contains close", ["Connection: closed"], true],
  ] as const)("reads whether a connection lives on: %s", ([, fields, persistent]) => {
    expect(withFields(...fields)).toMatchObject({ head: { persistent } });
  });

  test.for([
    ["alone", "", false],
    ["with keep-alive", "Connection: Keep-Alive\r\n", true],
    ["with both, close wins", "Connection: keep-alive, close\r\n", false],
  ] as const)("reads whether a connection of HTTP/1.0 lives on: %s", ([, fields, persistent]) => {
    expect(parse(`GET / HTTP/1.0\r\n${fields}`)).toMatchObject({ head: { version: "1.0", persistent } });
  });

  test.for([
    ["named by Connection", ["Connection: x, upgrade", "Upgrade: WebSocket"], "websocket"],
    ["not named by Connection (RFC 9110 §7.8)", ["Upgrade: websocket"], undefined],
  ] as const)("reads an upgrade that is %s", ([, fields, upgrade]) => {
    expect(withFields(...fields)).toMatchObject({ head: { upgrade } });
  });

  test("reads an expectation, and ignores one in HTTP/1.0 (RFC 9110 §10.1.1)", () => {
    expect(withFields("Expect: 100-Continue")).toMatchObject({ head: { expectsContinue: true } });
    expect(parse("GET / HTTP/1.0\r\nExpect: 100-continue\r\n")).toMatchObject({ head: { expectsContinue: false } });
  });

  // Other parsers take each of these: two readings of one message are how requests are smuggled.
  test.for([
    ["a line of two parts (HTTP/0.9)", "GET /x\r\nHost: a\r\n"],
    ["two blanks between parts (RFC 9112 §3)", "GET  /x HTTP/1.1\r\nHost: a\r\n"],
    ["a tab between parts", "GET\t/x HTTP/1.1\r\nHost: a\r\n"],
    ["a blank in the target (RFC 9112 §3.2)", "GET /x y HTTP/1.1\r\nHost: a\r\n"],
    ["a NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n"],
    ["a DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: a\r\n"],
    ["a blank at the end of the line", "GET /x HTTP/1.1 \r\nHost: a\r\n"],
    ["a CR in the line", "GET /x\r HTTP/1.1\r\nHost: a\r\n"],
    ["a line that ends in LF alone (RFC 9112 §2.2)", "GET /x HTTP/1.1\nHost: a\r\n"],
    ["HTTP/2.0", "GET /x HTTP/2.0\r\nHost: a\r\n"],
    ["HTTP/1.2", "GET /x HTTP/1.2\r\nHost: a\r\n"],
    ["HTTP/01.1", "GET /x HTTP/01.1\r\nHost: a\r\n"],
    ["http/1.1 in small letters (RFC 9112 §2.3)", "GET /x http/1.1\r\nHost: a\r\n"],
    ["a method nobody knows", "HELO /x HTTP/1.1\r\nHost: a\r\n"],
    ["a method in small letters (RFC 9110 §9.1)", "get /x HTTP/1.1\r\nHost: a\r\n"],
    ["no Host (RFC 9112 §3.2)", "GET /x HTTP/1.1\r\n"],
    ["a coding in HTTP/1.0 (RFC 9112 §6.1)", "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n"],
  ] as const)("refuses %s", ([, text]) => {
    expect(parse(text).kind).toBe("malformed");
  });

  test.for([
    ["both framings (RFC 9112 §6.3)", ["Content-Length: 5", "Transfer-Encoding: chunked"]],
    ["both the other way round", ["Transfer-Encoding: chunked", "Content-Length: 5"]],
    ["two lengths (RFC 9112 §6.3)", ["Content-Length: 5", "Content-Length: 6"]],
    ["the same length twice", ["Content-Length: 5", "Content-Length: 5"]],
    ["a list of lengths", ["Content-Length: 5, 5"]],
    ["a signed length", ["Content-Length: +5"]],
    ["a negative length", ["Content-Length: -5"]],
    ["a hexadecimal length", ["Content-Length: 0x5"]],
    ["a length with a blank inside", ["Content-Length: 5 5"]],
    ["a length with a fraction", ["Content-Length: 5.0"]],
    ["no length in its field", ["Content-Length:"]],
    ["a length of more digits than a double holds", [`Content-Length: ${"9".repeat(16)}`]],
    ["chunked twice", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]],
    ["chunked in a list", ["Transfer-Encoding: chunked, chunked"]],
    ["another coding before it (RFC 9112 §6.1)", ["Transfer-Encoding: gzip, chunked"]],
    ["another coding after it", ["Transfer-Encoding: chunked, identity"]],
    ["identity", ["Transfer-Encoding: identity"]],
    ["a coding in quotes", ['Transfer-Encoding: "chunked"']],
    ["a coding with a parameter", ["Transfer-Encoding: chunked;a=b"]],
    ["a coding with a tab behind it", ["Transfer-Encoding: chunked\t"]],
    ["a blank before the colon (RFC 9112 §5.1)", ["Content-Length : 5"]],
    ["a folded line (RFC 9112 §5.2)", ["X-A: b", " c"]],
    ["a line without a colon", ["X-A"]],
    ["a line without a name", [": b"]],
    ["a name with a blank", ["X A: b"]],
    ["a name beyond ASCII", ["X-\xc4: b"]],
    ["a CR in a value (RFC 9110 §5.5)", ["X-A: b\rc"]],
    ["an LF in a value", ["X-A: b\nc: d"]],
    ["a NUL in a value", ["X-A: b\0"]],
    ["a DEL in a value", ["X-A: \x7f"]],
    ["another expectation (RFC 9110 §10.1.1)", ["Expect: 200-ok"]],
  ] as const)("refuses %s", ([, fields]) => {
    expect(withFields(...fields).kind).toBe("malformed");
  });
});
