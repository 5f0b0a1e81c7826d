import fc from "fast-check";
import { expect, test } from "vitest";
import { sliceKept } from "../../src/http1/kept-text.ts";

// Few letters in few lengths, so that many texts fall on one place.
const word = fc.oneof(fc.string({ unit: fc.constantFrom("a", "b", "-", "\u00e9"), maxLength: 6 }), fc.string());

test("sliceKept() gives the slice itself, whatever was asked for before", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(word, word, word), { maxLength: 30 }), (parts) => {
      for (const [before, text, after] of [...parts, ...parts]) {
        const from = before.length;
        expect(sliceKept(before + text + after, from, from + text.length)).toBe(text);
      }
    }),
    { numRuns: 1000 },
  );
});

test("sliceKept() takes names for texts, those of the object prototype and numbers too", () => {
  const long = "n".repeat(200);
  for (const name of ["__proto__", "constructor", "0", "-1", "4294967295", "Content-Length", long, long]) {
    expect(sliceKept(`(${name})`, 1, 1 + name.length)).toBe(name);
    expect(sliceKept(`<${name}>`, 1, 1 + name.length)).toBe(name);
  }
});
