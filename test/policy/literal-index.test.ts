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

  test("texts made to share one place are found as fast as others, in time that grows as their number does", () => {
    // "a~" and "b_" are the same to any hash that multiplies by 31.
    const crowd = Array.from({ length: 16_384 }, (_, at) =>
      Array.from({ length: 14 }, (_bit, bit) => ((at >> bit) & 1 ? "a~" : "b_")).join(""),
    );
    const index = new LiteralIndex<number>();
    const begunMs = performance.now();
    for (const [at, text] of crowd.entries()) index.add(text, at);
    const found = crowd.map((text) => index.get(text));
    expect(performance.now() - begunMs).toBeLessThan(1_000);
    expect(found).toEqual(crowd.map((_, at) => at));
    expect(index.get("c".repeat(28))).toBeUndefined();
  });
});
