import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keyRecord, keysFileSchema } from "../../src/config/key-schema.ts";
import { isPlainKey, isPlainKeysFile } from "../../src/config/plain-key.ts";

const FIELDS = Object.keys(keyRecord.shape);
const text = fc.constantFrom("", "orders:read", "100/minute", "active", "revoked", "true");
const texts = fc.oneof(text, fc.array(text, { maxLength: 3 }));
const odd = fc.constantFrom<unknown>(
  null,
  undefined,
  0,
  true,
  {},
  [],
  [1],
  [null],
  { rate: "1/minute" },
  [["a"]],
  ["a", 1],
);
const metadata = fc.dictionary(fc.constantFrom("team", "a b", "__proto__"), fc.oneof(text, odd));

/** A record with the fields a record may have, some of them of another type or missing, and now and then one more. */
const record = fc
  .tuple(
    fc.record(
      { id: fc.oneof({ weight: 9, arbitrary: text }, odd), hash: fc.oneof({ weight: 9, arbitrary: text }, odd) },
      {
        requiredKeys: [],
      },
    ),
    fc.dictionary(
      fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...FIELDS) }, fc.constantFrom("naem", "__proto__", "toString")),
      fc.oneof({ weight: 6, arbitrary: texts }, metadata, fc.boolean(), odd),
      { maxKeys: 5 },
    ),
  )
  .map(([needed, more]) => ({ ...needed, ...more }));

describe("isPlainKeysFile()", () => {
  const plain = { id: "pos", hash: "sha256:00" };

  test.each<readonly [string, boolean, unknown]>([
    ["a file of plain records", true, { keys: [plain, plain] }],
    ["a file without a record", true, { keys: [] }],
    ["one with a field beside them", false, { $schema: "./latchkey-keys.schema.json", keys: [plain] }],
    ["one with a record the schema is to judge", false, { keys: [plain, { ...plain, naem: "POS" }] }],
    ["one whose list is none", false, { keys: plain }],
    ["a list", false, [plain]],
    ["an empty file", false, null],
  ])("says of %s whether it is plain: %s", (_, expected, value) => {
    expect(isPlainKeysFile(value)).toBe(expected);
    if (expected) expect(keysFileSchema.safeParse(value)).toEqual({ success: true, data: value });
  });
});

describe("isPlainKey()", () => {
  test("takes nothing that the schema refuses, and nothing it would change", () => {
    let taken = 0;
    fc.assert(
      fc.property(record, (value) => {
        if (!isPlainKey(value)) return;
        taken += 1;
        expect(keyRecord.safeParse(value)).toEqual({ success: true, data: value });
      }),
      { numRuns: 20_000 },
    );
    expect(taken).toBeGreaterThan(500);
  });

  test("takes each field as most records have it", () => {
    const whole = {
      ...{ id: "pos", name: "POS", hash: "sha256:00", prefix: "p_", tenant: "shop", scopes: ["orders:read"] },
      ...{ limits: "60/minute", allowIps: ["203.0.113.0/24"], notBefore: "2026-01-01T00:00:00Z" },
      ...{ expiresAt: "2027-01-01T00:00:00Z", status: "active", readOnly: false, rotatedTo: "pos-2" },
      metadata: { team: "retail" },
    };
    expect(Object.keys(whole).toSorted()).toEqual(FIELDS.toSorted());
    expect(isPlainKey(whole)).toBe(true);
  });

  test.each([
    ["nothing", null],
    ["a list", []],
    ["a record without an id", { hash: "sha256:00" }],
    ["a record without a hash", { id: "pos" }],
    ["a field there is not", { id: "pos", hash: "sha256:00", naem: "POS" }],
    ["a name that every object inherits", { id: "pos", hash: "sha256:00", toString: "POS" }],
    ["a number in metadata", { id: "pos", hash: "sha256:00", metadata: { floor: 3 } }],
  ])("leaves %s to the schema", (_, value) => {
    expect(isPlainKey(value)).toBe(false);
  });
});
