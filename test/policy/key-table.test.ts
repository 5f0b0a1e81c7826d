import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sha256 } from "../../src/policy/digest.ts";
import type { Key, KeyIndex, KeyTable } from "../../src/policy/key.ts";
import { HEADER, openKeyTable } from "../../src/policy/key-table.ts";
import { compileKeys, createKeyTableBuilder } from "../../src/policy/key-table-builder.ts";
import { compareTables } from "../../src/policy/key-table-diff.ts";
import { compileNetworks } from "../../src/policy/network.ts";
import { compileGrants } from "../../src/policy/scope.ts";
import { toLimit } from "./fixture.ts";

const text = fc.string({ unit: "grapheme", maxLength: 40 });
const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
// Few distinct words, so that ids, prefixes and the first bytes of digests collide; all but the last byte are the same.
const collidingHex = fc.nat(40).map((byte) => byte.toString(16).padStart(2, "0").padStart(64, "ab"));
const anyHex = text.map(sha256);
const hex = fc.oneof(collidingHex, anyHex);
const digest: fc.Arbitrary<Key["digest"]> = fc.oneof(
  hex.map((of) => ({ kind: "sha256" as const, hex: of })),
  hex.map((of) => ({ kind: "hmac-sha256" as const, hex: of })),
  fc.tuple(fc.integer({ min: 4, max: 16 }), anyHex).map(([cost, of]) => ({
    kind: "bcrypt" as const,
    text: `$2b$${String(cost).padStart(2, "0")}$${of.slice(0, 53)}`,
    cost,
  })),
);
const value = fc.oneof({ weight: 99, arbitrary: text }, { weight: 1, arbitrary: fc.constant("x".repeat(70_000)) });
const scopes = fc.constantFrom<readonly string[]>([], ["a:read"], ["a:*", "b.read"], ["*"], ["a:write", "a:read"]);
const CATALOGUE = new Map([["a:write", ["a:read", "c:see"]]]);

const key: fc.Arbitrary<Key> = fc
  .record({
    id: fc.oneof(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:@+~-]{0,127}$/), fc.constantFrom("a", "b", "a-2")),
    name: optional(text),
    tenant: optional(text),
    digest,
    prefix: optional(fc.constantFrom("", "live_", "live_a", "live_ab", "é", "p".repeat(700))),
    scopes,
    limits: fc.constantFrom([], [toLimit("7/minute", "key")], [toLimit("1/second", "key"), toLimit("9/hour", "key")]),
    networks: optional(fc.constantFrom(compileNetworks(["10.0.0.0/8", "::1"]), compileNetworks(["192.0.2.7"]))),
    notBeforeMs: optional(fc.integer({ min: -8.64e15, max: 8.64e15 })),
    expiresAtMs: optional(fc.integer({ min: 0, max: 8.64e15 })),
    status: fc.constantFrom("active" as const, "suspended" as const, "revoked" as const),
    readOnly: fc.boolean(),
    rotatedTo: optional(text),
    metadata: fc
      .array(fc.tuple(fc.oneof(text, fc.constant("__proto__")), value), {
        maxLength: 4,
      })
      .map((entries) => new Map(entries)),
    source: fc.record({
      file: fc.constantFrom("keys.yaml", "keys.d/ü.json"),
      line: fc.integer({ min: 0, max: 2 ** 31 }),
    }),
  })
  .map((of) => ({ ...of, grants: compileGrants(of.scopes, CATALOGUE) }));
const keys = fc.array(key, { maxLength: 40 });
const fewKeys = fc.array(key, { maxLength: 12 });

/** What a plain list of the same keys finds, the first of an id or digest being the one there is. */
function model(all: readonly Key[]) {
  const kept: Key[] = [];
  for (const one of all) {
    if (!kept.some((other) => other.id === one.id || isSameDigest(other, one))) kept.push(one);
  }
  return kept;
}

function isSameDigest({ digest: one }: Key, { digest: other }: Key): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** A key in values that can be compared: the compiled networks hold functions. */
function plain(of: Key | undefined) {
  return of && { ...of, networks: of.networks?.ranges };
}

function bytesOf(table: KeyTable): Uint8Array {
  return new Uint8Array(table);
}

/** Everything that can be asked of an index about the keys of a list. */
function askAll(index: KeyIndex, about: readonly Key[]) {
  return about.flatMap((of) => [
    index.findById(of.id),
    index.findByDigest(of.digest),
    ...index.findByPrefix(of.prefix ?? ""),
  ]);
}

describe("a key table", () => {
  test("finds what a plain list of the same keys finds, and nothing else", () => {
    fc.assert(
      fc.property(keys, keys, (all, others) => {
        const kept = model(all);
        const index = compileKeys(all, undefined);
        expect(index.size).toBe(kept.length);
        expect([...index.ids()]).toEqual(kept.map(({ id }) => id));
        expect([...index.all()].map(plain)).toEqual(kept.map(plain));
        expect(index.hmacCount).toBe(kept.filter((of) => of.digest.kind === "hmac-sha256").length);
        for (const asked of [...all, ...others]) {
          expect(plain(index.findById(asked.id))).toEqual(plain(kept.find(({ id }) => id === asked.id)));
          expect(index.hasId(asked.id)).toBe(kept.some(({ id }) => id === asked.id));
          expect(plain(index.findByDigest(asked.digest))).toEqual(plain(kept.find((of) => isSameDigest(of, asked))));
          const slow = kept.filter((of) => of.digest.kind === "bcrypt" && of.prefix === (asked.prefix ?? "none"));
          expect(index.findByPrefix(asked.prefix ?? "none").map(plain)).toEqual(slow.map(plain));
        }
      }),
      { numRuns: 100 },
    );
  });

  test("tells by a key's networks, implied scopes and patterns what the key told that was put in", () => {
    const one = { ...fc.sample(key, 1)[0], networks: compileNetworks(["10.0.0.0/8"]) };
    const index = compileKeys(
      [{ ...(one as Key), scopes: ["a:*"], grants: compileGrants(["a:*"], CATALOGUE) }],
      undefined,
    );
    const [read] = [...index.all()];
    expect(read?.networks?.contains({ text: "10.1.2.3", family: "ipv4", neighbourhood: "10.1.2.3" })).toBe(true);
    expect(read?.networks?.contains({ text: "11.1.2.3", family: "ipv4", neighbourhood: "11.1.2.3" })).toBe(false);
    expect([...(read?.grants.exact ?? [])]).toEqual(["a:*", "a:write", "c:see", "a:read"]);
    expect(read?.grants.patterns.map((pattern) => [pattern.test("a:x"), pattern.test("b:x")])).toEqual([[true, false]]);
  });

  test("gives the same key again as long as few are in use", () => {
    const [first, second] = fc.sample(key, { seed: 1, numRuns: 2 });
    if (first === undefined || second === undefined) throw new Error("no sample");
    const index = compileKeys([first], undefined);
    expect(index.findById(first.id)).toBe(index.findByDigest(first.digest));
    expect(index.findById(first.id)).toBe(index.findById(first.id));
  });

  test("forgets compiled keys that others take the place of, and compiles them again", () => {
    const many = Array.from({ length: 20_000 }, (_, at) => plainKey(`key-${at}`));
    const index = compileKeys(many, undefined);
    const before = index.findById("key-0");
    expect(many.filter(({ id }) => index.findById(id)?.id !== id)).toEqual([]);
    expect(index.findById("key-0")).not.toBe(before);
    expect(index.findById("key-0")).toEqual(before);
  });

  test("says which key an added one is at odds with, and does not take it", () => {
    const builder = createKeyTableBuilder();
    const one = plainKey("one");
    expect(builder.add(one)).toBeUndefined();
    expect(builder.add({ ...plainKey("two"), id: "one" })).toMatchObject({ over: "id", key: { id: "one" } });
    expect(builder.add({ ...one, id: "two" })).toMatchObject({ over: "digest", key: { id: "one" } });
    expect(openKeyTable(builder.finish(), undefined).size).toBe(1);
  });
});

function plainKey(id: string): Key {
  return {
    id,
    name: `Client ${id}`,
    tenant: undefined,
    digest: { kind: "sha256", hex: sha256(id) },
    prefix: undefined,
    scopes: ["a:read"],
    grants: compileGrants(["a:read"], new Map()),
    limits: [],
    networks: undefined,
    notBeforeMs: undefined,
    expiresAtMs: undefined,
    status: "active",
    readOnly: false,
    rotatedTo: undefined,
    metadata: new Map(),
    source: { file: "keys.yaml", line: 1 },
  };
}

describe("a key table that is not as it was written", () => {
  test("is refused, or answers no key but the one that was put in, wherever a byte differs", () => {
    fc.assert(
      fc.property(
        fc.array(key, { minLength: 1, maxLength: 8 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (all, at, flip) => {
          const { table } = compileKeys(all, undefined);
          const known = new Map(model(all).map((of) => [of.id, plain(of)]));
          const bytes = bytesOf(table);
          // What lies behind the table is nobody's.
          const place = at % ((new Uint32Array(table)[HEADER.totalWords] ?? 0) * 4);
          bytes[place] = (bytes[place] ?? 0) ^ flip;
          let answered: readonly (Key | undefined)[] = [];
          try {
            answered = askAll(openKeyTable(table, undefined), all);
          } catch (error) {
            expect(String(error)).toMatch(/table of keys is/);
          }
          for (const of of answered) if (of !== undefined) expect(plain(of)).toEqual(known.get(of.id));
        },
      ),
      { numRuns: 500 },
    );
  });

  test("is refused, or answers the same keys, whichever bit of the lowest two of a byte differs", () => {
    const all = [plainKey("one"), { ...plainKey("two"), metadata: new Map([["team", "b"]]) }];
    const { table } = compileKeys(all, undefined);
    const bytes = bytesOf(table);
    for (let place = 0; place < bytes.length; place += 1) {
      for (const flip of [1, 2]) {
        bytes[place] = (bytes[place] ?? 0) ^ flip;
        try {
          const index = openKeyTable(table, undefined);
          for (const { id } of all) expect([undefined, ...all].map(plain)).toContainEqual(plain(index.findById(id)));
        } catch (error) {
          expect(`${place}: ${error}`).toMatch(/table of keys is/);
        }
        bytes[place] = (bytes[place] ?? 0) ^ flip;
      }
    }
  });

  test("is refused wherever it ends early", () => {
    const { table } = compileKeys([plainKey("one"), plainKey("two")], undefined);
    for (let length = 0; length < table.byteLength; length += 1) {
      const cut = new SharedArrayBuffer(length);
      bytesOf(cut).set(bytesOf(table).subarray(0, length));
      expect(() => openKeyTable(cut, undefined)).toThrow("the table of keys is not whole");
    }
  });
});

describe("compareTables()", () => {
  test("tells every key that came, went or has another record, and no other", () => {
    fc.assert(
      fc.property(fewKeys, fewKeys, fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }), (all, more, stays) => {
        const before = model(all);
        const after = model([...before.filter((_, at) => stays[at]), ...more]);
        const differences = [
          ...compareTables(compileKeys(before, undefined).table, compileKeys(after, undefined).table),
        ];
        const [old, next] = [before, after].map((side) => new Map(side.map((of) => [of.id, withoutPlace(of)])));
        const changes = [...(old ?? [])].flatMap(([id, text]) => {
          const other = next?.get(id);
          return other === undefined ? [["removed", id]] : other === text ? [] : [["rewritten", id]];
        });
        const added = [...(next?.keys() ?? [])].filter((id) => !old?.has(id)).map((id) => ["added", id]);
        const told = differences.map((of) => [of.kind, of.kind === "rewritten" ? of.old.id : of.id]);
        expect(told).toEqual([...changes, ...added]);
      }),
      { numRuns: 100 },
    );
  });
});

/** A key as a text, but for where its record stands. */
function withoutPlace({ source: _, ...of }: Key): string {
  return JSON.stringify({
    ...of,
    networks: of.networks?.ranges,
    grants: [...of.grants.exact],
    metadata: [...of.metadata],
  });
}
