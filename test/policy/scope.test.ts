import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileGrants, grantsScope, isScopeText, type ScopeCatalogue } from "../../src/policy/scope.ts";

const EMPTY: ScopeCatalogue = new Map();

function grants(scopes: readonly string[], asked: string, catalogue: ScopeCatalogue = EMPTY): boolean {
  return grantsScope(compileGrants(scopes, catalogue), asked);
}

const word = fc.constantFrom("orders", "invoices", "read", "write", "a", "b", "x-y");
const separator = fc.constantFrom(".", ":");
const scope = fc
  .array(fc.tuple(word, separator), { minLength: 1, maxLength: 4 })
  .map((pairs) => pairs.map(([text, between], index) => (index === 0 ? text : between + text)).join(""));
const scopeOrPattern = fc.oneof(
  scope,
  scope.map((text) => text.replace(/[a-z-]+/, "*")),
  scope.map((text) => text.replace(/[a-z-]+$/, "*")),
);

/** The rule in the plainest words: segment by segment, a last `*` for one or more of them. */
function matchesNaively(pattern: string, asked: string): boolean {
  if (pattern === "*") return true;
  const [left, right] = [pattern, asked].map((text) => text.split(/([.:])/));
  if (left === undefined || right === undefined) return false;
  for (const [index, part] of left.entries()) {
    if (part === "*" && index === left.length - 1) return right.length > index;
    if (part === "*" ? right[index] === undefined : part !== right[index]) return false;
  }
  return left.length === right.length;
}

describe("grantsScope()", () => {
  test("grantsScope() matches segment by segment, as the plain rule does", () => {
    fc.assert(
      fc.property(fc.array(scopeOrPattern, { maxLength: 4 }), scope, (held, asked) => {
        expect(grants(held, asked)).toBe(held.some((pattern) => matchesNaively(pattern, asked)));
      }),
      { numRuns: 1000 },
    );
  });

  const cases: readonly (readonly [held: string, asked: string, granted: boolean])[] = [
    ["*", "anything:at.all", true],
    ["client.*", "client.read", true],
    ["client.*", "client.read.own", true],
    ["client.*", "client", false],
    ["client.*", "client.", false],
    ["client.*", "clients.read", false],
    ["client.*", "client:read", false],
    ["*.read", "client.read", true],
    ["*.read", "client.own.read", false],
    ["*.read", "client:own.read", false],
    ["a.*.c", "a.b.c", true],
    ["a.*.c", "a..c", false],
    ["a.*.c", "axb.c", false],
    ["orders:*", "orders:read", true],
    ["Orders:read", "orders:read", false],
    ["READ_ORDERS", "READ_ORDERS", true],
    ["a+b", "aab", false],
  ];
  test.each(cases)("grantsScope() for a key with %s asked for %s: %s", (held, asked, granted) => {
    expect(grants([held], asked)).toBe(granted);
  });

  test("grantsScope() grants nothing to a key without scopes", () => {
    fc.assert(fc.property(scope, (asked) => !grants([], asked)));
  });

  test("grantsScope() follows implications to their end, cycles included", () => {
    const names = fc.constantFrom("a", "b", "c", "d", "e", "f");
    const catalogues = fc
      .array(fc.tuple(names, fc.array(names, { maxLength: 3 })), { maxLength: 8 })
      .map((entries) => new Map(entries));
    fc.assert(
      fc.property(catalogues, fc.array(names, { maxLength: 3 }), names, (catalogue, held, asked) => {
        const reached = new Set(held);
        for (let size = -1; size !== reached.size; ) {
          size = reached.size;
          for (const name of [...reached]) for (const implied of catalogue.get(name) ?? []) reached.add(implied);
        }
        expect(grants(held, asked, catalogue)).toBe(reached.has(asked));
      }),
    );
  });

  test("grantsScope() follows the implications of what a wildcard grants", () => {
    const catalogue: ScopeCatalogue = new Map([
      ["orders:write", ["orders:read", "stock:read"]],
      ["stock:read", ["stock:list"]],
    ]);
    expect(grants(["orders:*"], "stock:list", catalogue)).toBe(true);
    expect(grants(["orders:r*"], "stock:list", catalogue)).toBe(false);
    expect(grants(["admin"], "anything", new Map([["admin", ["*"]]]))).toBe(true);
  });

  test("grantsScope() takes no long time for hostile patterns and requests", () => {
    const held = ["a*a*a*a*a*a*a*a*b", "*.*.*.*.*.*.*.*.x", `${"*.".repeat(60)}z`, "a*", "**"];
    const started = performance.now();
    const compiled = compileGrants(held, EMPTY);
    for (const asked of ["a".repeat(20_000), "a.".repeat(10_000), "a:".repeat(10_000)]) grantsScope(compiled, asked);
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe("isScopeText()", () => {
  test.each(["orders:read", "client.*", "*", "READ_X", "a/b", "*.read", "user@org", "a.*.*"])(
    "isScopeText() accepts %s",
    (text) => {
      expect(isScopeText(text)).toBe(true);
    },
  );

  test.each(["", " ", "a b", 'a"b', "a,b", "a\nb", "ä", "{x}", "-a", "a".repeat(129), "a**", "*a*"])(
    "isScopeText() refuses %j",
    (text) => {
      expect(isScopeText(text)).toBe(false);
    },
  );
});
