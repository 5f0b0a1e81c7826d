import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { toRestartTemplate, toValuesSchema } from "../../scripts/chart-schema.ts";
import { toJsonSchema } from "../../src/config/json-schema.ts";

describe("the JSON Schemas that are checked in", () => {
  test.each([
    ["main", "latchkey.schema.json"],
    ["keys", "latchkey-keys.schema.json"],
  ] as const)("are those of the definition (%s); `node scripts/schema.ts` writes them", (file, name) => {
    const text = readFileSync(new URL(`../../config/${name}`, import.meta.url), "utf8");
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(toJsonSchema(file))));
  });

  test("are in the values schema of the Helm chart; `npm run schema` writes it", () => {
    const chart = new URL("../../charts/latchkey/", import.meta.url);
    const values: unknown = JSON.parse(readFileSync(new URL("values.schema.json", chart), "utf8"));
    expect(values).toEqual(JSON.parse(JSON.stringify(toValuesSchema(values))));
    expect(readFileSync(new URL("templates/_restart-fields.tpl", chart), "utf8")).toBe(toRestartTemplate());
  });

  test("ask for one kind of access in a route, and for a scope where scopes are named", () => {
    expect(toJsonSchema("main")).toMatchObject({
      properties: {
        routes: {
          items: {
            oneOf: ["public", "authenticated", "scopes", "anyScope"].map((field) => ({ required: [field] })),
            properties: { scopes: { anyOf: [{ type: "string" }, { type: "array", minItems: 1 }] } },
          },
        },
      },
    });
  });

  test.each(["main", "keys"] as const)("describe every field (%s)", (file) => {
    expect(findUndescribed(toJsonSchema(file), "")).toEqual([]);
  });
});

test("docs/configuration.md names every field of the language", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
  const fields = [...findFields(toJsonSchema("main")), ...findFields(toJsonSchema("keys"))];
  const missing = fields.filter((field) => field !== "$schema" && !new RegExp(`\\b${field}\\b`).test(page));
  expect(missing).toEqual([]);
});

function findFields(schema: unknown): readonly string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([name, value]) => [
    ...(name === "properties" ? Object.keys(value) : []),
    ...findFields(value),
  ]);
}

/** Paths of fields without a description; branches of one field share its own. */
function findUndescribed(schema: unknown, path: string): readonly string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([name, value]) => {
    if (name !== "properties" || typeof value !== "object" || value === null) return findUndescribed(value, path);
    return Object.entries(value).flatMap(([field, described]: [string, unknown]) => {
      const at = `${path}.${field}`;
      const isDescribed = typeof described === "object" && described !== null && "description" in described;
      return [...(isDescribed ? [] : [at]), ...findUndescribed(described, at)];
    });
  });
}
