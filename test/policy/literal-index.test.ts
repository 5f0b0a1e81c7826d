import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LiteralIndex } from "../../src/policy/literal-index.ts";

const words = fc.uniqueArray(
  fc.oneof(fc.string({ maxLength: 6, unit: "binary" }), fc.constantFrom("a", "b", "ab", "")),
  {
    maxLength: 60,
  },
);

describe("LiteralIndex", () => {
  test("finds what a Map finds, of any texts and in any number", () => {
    fc.assert(
      fc.property(words, words, (added, asked) => {
        const index = new LiteralIndex<number>();
        const map = new Map(added.map((text, at) => [text, at]));
        for (const [text, at] of map) index.add(text, at);
        for (const text of [...added, ...asked]) expect(index.get(text)).toBe(map.get(text));
      }),
    );
  });

  test("holds thousands of literals that differ in one letter", () => {
    const index = new LiteralIndex<number>();
    const literals = Array.from({ length: 5000 }, (_, at) => `item-${String(at).padStart(4, "0")}-x`);
    for (const [at, literal] of literals.entries()) index.add(literal, at);
    expect(literals.map((literal) => index.get(literal))).toEqual(literals.map((_, at) => at));
  });
});
