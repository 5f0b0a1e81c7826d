import { glob, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { keysFileSchema } from "../../src/config/key-schema.ts";
import { mainSchema } from "../../src/config/schema.ts";
import { ROOT } from "./blocks.ts";

// Manifests and the values of a chart have tests of their own, and so has every recipe as a whole file.
const OTHERS = new Set(["docs/kubernetes.md", "docs/operations.md", "docs/recipes.md"]);

const pages = (await Array.fromAsync(glob(["*.md", "docs/**/*.md"], { cwd: ROOT }))).filter(
  (page) => !OTHERS.has(page),
);

const fragments = (
  await Promise.all(
    pages.toSorted().map(async (page) => {
      const text = await readFile(resolve(ROOT, page), "utf8");
      return [...text.matchAll(/^```(?:ya?ml|json)\n([\s\S]*?)^```$/gm)].map(({ index, 1: yaml = "" }) => ({
        at: `${page}:${text.slice(0, index).split("\n").length}`,
        yaml,
      }));
    }),
  )
).flat();

describe("the pieces of config that the pages show", () => {
  test("are there", () => expect(fragments.length).toBeGreaterThan(10));

  test.for(fragments)("the one at $at has only fields and values of the language", ({ yaml }) => {
    const written: unknown = parse(yaml);
    const main = mainSchema.safeParse(written);
    if (keysFileSchema.safeParse(written).success) return;
    expect(main.error?.issues ?? []).toEqual([]);
  });
});
