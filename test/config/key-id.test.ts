import fc from "fast-check";
import { expect, test } from "vitest";
import { isKeyId, nextKeyId } from "../../src/config/key-id.ts";

const free = () => false;

test.each([
  ["pos", "pos-2"],
  ["pos-2", "pos-3"],
  ["pos-9", "pos-10"],
  ["7", "7-2"],
  ["pos-1234567", "pos-1234567-2"],
  ["a".repeat(126), `${"a".repeat(126)}-2`],
  ["a".repeat(128), `${"a".repeat(126)}-2`],
  [`${"a".repeat(126)}-9`, `${"a".repeat(125)}-10`],
])("nextKeyId() makes of %j the next one", (id, next) => {
  expect(nextKeyId(id, free)).toBe(next);
});

const ID_CHARACTERS = [..."abzAZ09._:@+~-"];
const keyId = fc
  .tuple(
    fc.array(fc.constantFrom(...ID_CHARACTERS), { maxLength: 127 }),
    fc.option(fc.nat({ max: 9_999_999 }), { nil: undefined }),
  )
  .map(([characters, number]) => `k${characters.join("")}${number === undefined ? "" : `-${number}`}`.slice(0, 128));

test("nextKeyId() is valid and free, whatever the id and however many were made of it before", () => {
  fc.assert(
    fc.property(keyId, fc.integer({ min: 1, max: 30 }), (id, times) => {
      const taken = new Set([id]);
      for (let time = 0; time < times; time += 1) {
        const next = nextKeyId(id, (candidate) => taken.has(candidate));
        expect(isKeyId(next)).toBe(true);
        expect(taken.has(next)).toBe(false);
        taken.add(next);
      }
    }),
  );
});
