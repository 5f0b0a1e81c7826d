import fc from "fast-check";
import { expect, test } from "vitest";
import { toJsonSchema } from "../../src/config/json-schema.ts";
import { parseConfiguration } from "../../src/config/load.ts";
import { snapshotOf } from "./snapshot-of.ts";

/** Every name the language has, wherever it stands. */
function findNames(schema: unknown): readonly string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([name, value]) => [
    ...(name === "properties" ? Object.keys(value) : []),
    ...findNames(value),
  ]);
}

const names = [...new Set([...findNames(toJsonSchema("main")), ...findNames(toJsonSchema("keys"))])];
const SECRET = "bk_live_0123456789abcdef0123456789abcdef";

const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, true, 0, -1, 1e300, "", "*", "GET /{a}/**", "{a}.{action}", "100/minute", "2s", "10.0.0.0/8"),
    fc.constantFrom(
      "bk_{environment:live|test}_{secret:hex(32)}",
      "off",
      SECRET,
      `sha256:${"0".repeat(64)}`,
      "$2b$10$x",
      "constructor",
    ),
    fc.string({ unit: "binary", maxLength: 8 }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string({ maxLength: 4 })), tie("value"), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  ),
}));

const main = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 8, noNullPrototype: true });

// Nothing but computing, which takes ten times as long where others compute too. Nobody waits for it.
const PATIENCE_MS = 120_000;

test(
  "parseConfiguration() answers any document with a configuration or diagnostics that quote no key",
  () => {
    fc.assert(
      fc.property(main, value, (root, records) => {
        const text = JSON.stringify({ upstream: "http://app", ...root });
        const result = parseConfiguration(snapshotOf(text, { "keys.json": JSON.stringify({ keys: records }) }), {}, 0);
        if (result.kind === "loaded") return;
        expect(result.diagnostics.length).toBeGreaterThan(0);
        for (const { path, message, fix = "" } of result.diagnostics) {
          expect(`${path} ${message} ${fix}`).not.toMatch(/\p{Cc}/u);
          if (/hash|token|^keys\[\d+\]\.(id|name|prefix|tenant)/.test(path))
            expect(`${message} ${fix}`).not.toContain(SECRET);
        }
      }),
      { numRuns: 3000 },
    );
  },
  PATIENCE_MS,
);
