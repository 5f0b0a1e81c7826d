import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChunkedDecoder } from "../../src/http1/chunked-decoder.ts";

const MAX_TRAILER_BYTES = 64;

/** What came of a decoding: the body and what is behind it, or the problem. */
type Decoded =
  | { readonly kind: "done"; readonly body: string; readonly trailers: readonly string[]; readonly rest: string }
  | { readonly kind: "unfinished"; readonly body: string }
  | { readonly kind: "problem" };

function decode(pieces: readonly string[]): Decoded {
  const decoder = new ChunkedDecoder(MAX_TRAILER_BYTES);
  let body = "";
  let rest = "";
  for (const piece of pieces) {
    const buffer = Buffer.from(piece, "latin1");
    const end = decoder.decode(buffer, 0, buffer.length, (data, from, to) => {
      body += data.toString("latin1", from, to);
    });
    if (typeof end === "string") return { kind: "problem" };
    rest += piece.slice(end);
  }
  return decoder.isDone ? { kind: "done", body, trailers: decoder.trailers, rest } : { kind: "unfinished", body };
}

/** The grammar of RFC 9112 §7.1 as one reads it, over the whole text at once. */
function decodeWhole(text: string): Decoded {
  let at = 0;
  let body = "";
  for (;;) {
    const [head, size = ""] = /^([0-9A-Fa-f]{1,16})(?:;[^\r\n]*)?\r\n/.exec(text.slice(at)) ?? [];
    if (head === undefined) return { kind: "problem" };
    at += head.length;
    const bytes = Number.parseInt(size, 16);
    if (bytes === 0) break;
    body += text.slice(at, at + bytes);
    at += bytes;
    if (text.slice(at, at + 2) !== "\r\n") return { kind: "problem" };
    at += 2;
  }
  const trailers: string[] = [];
  while (!text.startsWith("\r\n", at)) {
    const [line, name = "", value = ""] = /^([\w-]+):[ \t]*([^\r\n]*?)[ \t]*\r\n/.exec(text.slice(at)) ?? [];
    if (line === undefined) return { kind: "problem" };
    trailers.push(name, value);
    at += line.length;
  }
  return { kind: "done", body, trailers, rest: text.slice(at + 2) };
}

const latin1 = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 40,
});
const chunk = fc.record({
  data: latin1.filter((text) => text !== ""),
  zeros: fc.integer({ min: 0, max: 3 }),
  capitals: fc.boolean(),
  extension: fc.constantFrom("", ";a", ";a=b", '; a="b;c"'),
});
/** A body in chunks, and what follows it on the connection. */
const sound = fc
  .record({
    chunks: fc.array(chunk, { maxLength: 6 }),
    trailers: fc.array(fc.constantFrom("X-End: 1\r\n", "x-more:\t2 \r\n"), { maxLength: 2 }),
    rest: fc.constantFrom("", "GET / HTTP/1.1\r\n\r\n", "\r\n\r\n"),
  })
  .map(({ chunks, trailers, rest }) => {
    const parts = chunks.map(({ data, zeros, capitals, extension }) => {
      const size = "0".repeat(zeros) + data.length.toString(16);
      return `${capitals ? size.toUpperCase() : size}${extension}\r\n${data}\r\n`;
    });
    return `${parts.join("")}0\r\n${trailers.join("")}\r\n${rest}`;
  });
const damaged = fc
  .tuple(
    sound,
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.integer({ min: 0, max: 2 }),
    fc.constantFrom("", "\r", "\n", "g", " ", ";", "\0", "0"),
  )
  .map(([text, where, cut, put]) => {
    const at = Math.floor(where * text.length);
    return text.slice(0, at) + put + text.slice(at + cut);
  });

describe("ChunkedDecoder", () => {
  test("reads what the grammar says, and leaves what is behind it", () => {
    fc.assert(
      fc.property(sound, (text) => {
        expect(decode([text])).toEqual(decodeWhole(text));
      }),
      { numRuns: 2000 },
    );
  });

  test("takes nothing the grammar does not, however it is damaged", () => {
    fc.assert(
      fc.property(damaged, (text) => {
        const decoded = decode([text]);
        if (decoded.kind === "done") expect(decodeWhole(text)).toEqual(decoded);
      }),
      { numRuns: 4000 },
    );
  });

  test("comes to the same however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.oneof(sound, damaged), fc.double({ min: 0, max: 1, noNaN: true }), (text, where) => {
        const whole = decode([text]);
        const at = Math.floor(where * text.length);
        expect(decode([text.slice(0, at), text.slice(at)])).toEqual(whole);
        expect(decode(Array.from(text))).toEqual(whole);
      }),
      { numRuns: 2000 },
    );
  });

  test("bounds trailers at the same byte however they are cut", () => {
    for (let length = MAX_TRAILER_BYTES - 8; length <= MAX_TRAILER_BYTES + 8; length += 1) {
      const line = `X: ${"a".repeat(length - 5)}\r\n`;
      const text = `0\r\n${line}\r\n`;
      const whole = decode([text]);
      expect(whole.kind, `${length} bytes`).toBe(length <= MAX_TRAILER_BYTES ? "done" : "problem");
      expect(decode(Array.from(text)), `${length} bytes`).toEqual(whole);
    }
  });

  test.for([
    ["a chunk without a size", "\r\n"],
    ["a size behind a blank", " 1\r\na\r\n0\r\n\r\n"],
    ["a blank behind a size", "1 \r\na\r\n0\r\n\r\n"],
    ["a sign", "+1\r\na\r\n0\r\n\r\n"],
    ["0x before a size", "0x1\r\na\r\n0\r\n\r\n"],
    ["a size that ends in LF alone", "1\na\r\n0\r\n\r\n"],
    ["a size that ends in CR alone", "1\ra\r\n0\r\n\r\n"],
    ["data longer than its size", "1\r\nab\r\n0\r\n\r\n"],
    ["data that ends in LF alone", "1\r\na\n0\r\n\r\n"],
    ["data that ends in LF behind something else than CR", "1\r\nab\n0\r\n\r\n"],
    ["data that ends in CR before something else than LF", "1\r\na\rb0\r\n\r\n"],
    ["a size of more digits than any", `${"0".repeat(17)}\r\n\r\n`],
    ["a size beyond what a double counts", "ffffffffffffff\r\n"],
    ["a CR in a quoted extension", '1;a="\r\n"\r\na\r\n0\r\n\r\n'],
    ["a NUL in an extension", "1;\0\r\na\r\n0\r\n\r\n"],
    ["extensions without end", `1;${"a".repeat(5000)}`],
    ["a trailer that ends in LF alone", "0\r\nA: b\n\r\n\r\n"],
    ["a folded trailer", "0\r\nA: b\r\n c\r\n\r\n"],
    ["a length as trailer (RFC 9110 §6.5.1)", "0\r\nContent-Length: 5\r\n\r\n"],
    ["a coding as trailer (RFC 9110 §6.5.1)", "0\r\ntransfer-encoding: chunked\r\n\r\n"],
  ] as const)("refuses %s", ([, text]) => {
    expect(decode([text])).toEqual({ kind: "problem" });
    expect(decode(Array.from(text))).toEqual({ kind: "problem" });
  });
});
