import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { formatDiagnostics } from "../../src/config/diagnostics.ts";
import { parseConfiguration } from "../../src/config/load.ts";
import { createBucketTable } from "../../src/policy/bucket-table.ts";

interface Recipe {
  readonly name: string;
  readonly text: string;
}

const page = await readFile(resolve(import.meta.dirname, "../../docs/recipes.md"), "utf8");

/** Every block of YAML on the page, by the heading it stands under. */
const RECIPES: readonly Recipe[] = page
  .split(/^##+ /m)
  .slice(1)
  .flatMap((section) => {
    const heading = section.split("\n", 1)[0] ?? "";
    return [...section.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = ""], index) => ({
      name: index === 0 ? heading : `${heading}, block ${index + 1}`,
      text,
    }));
  });

/** The file of this text, as the program would load it. */
const load = (text: string) =>
  parseConfiguration({
    mainFile: "latchkey.yaml",
    directory: "/",
    main: { path: "latchkey.yaml", text, mode: 0o600 },
    keysFiles: [],
    referenced: new Map(),
    problems: [],
    watched: [],
    digests: new Map(),
  });

/** What `latchkey check` would say of a file of this text. */
function findingsOf(text: string): string {
  const loaded = load(text);
  const diagnostics = loaded.kind === "loaded" ? loaded.warnings : loaded.diagnostics;
  return formatDiagnostics(diagnostics, { color: false, textOf: () => text });
}

describe("docs/recipes.md", () => {
  test.for(RECIPES)("a file that is only “$name” loads, without an error or a warning", ({ text }) => {
    expect(findingsOf(text)).toBe("");
  });

  test("has a heading over every block of YAML", () => {
    expect(RECIPES.length).toBeGreaterThan(0);
    expect([...page.matchAll(/^```(\S+)/gm)].filter(([, language]) => language === "yaml")).toHaveLength(
      RECIPES.length,
    );
  });

  describe("“Several windows at once”", () => {
    const MINUTE_MS = 60_000;

    /** When a key of the recipe that asks all the time is let pass. */
    function admittedAt(id: string, durationMs: number): readonly number[] {
      const loaded = load(RECIPES.find(({ name }) => name === "Several windows at once")?.text ?? "");
      const limits = loaded.kind === "loaded" ? loaded.configuration.policy.keys.findById(id)?.limits : undefined;
      if (limits === undefined) throw new Error(`the recipe has no key ${id}`);
      const buckets = createBucketTable();
      const admitted: number[] = [];
      for (let nowMs = 0; nowMs < durationMs; nowMs += 50) {
        while (buckets.take({ owner: id, limits, cost: 1 }, nowMs).kind === "taken") admitted.push(nowMs);
      }
      return admitted;
    }

    /** The most that pass in any span of that length, both its ends counted. */
    function mostWithin(admitted: readonly number[], spanMs: number): number {
      let begin = 0;
      let most = 0;
      for (const [index, at] of admitted.entries()) {
        while (at - (admitted[begin] ?? 0) > spanMs) begin += 1;
        most = Math.max(most, index - begin + 1);
      }
      return most;
    }

    test("100/minute is up to 199 in the first minute, 100 in each one after it, and 1000/hour likewise", () => {
      const admitted = admittedAt("shop", 4 * MINUTE_MS);
      const inMinute = (minute: number) => admitted.filter((at) => Math.floor(at / MINUTE_MS) === minute).length;
      expect([0, 1, 2, 3].map(inMinute)).toEqual([199, 100, 100, 100]);
      expect(admittedAt("shop", 60 * MINUTE_MS)).toHaveLength(1999);
    });

    test.for([
      ["meter", 60],
      ["batch", 70],
    ] as const)("%s never passes more than %i in any minute: its burst and its rate", ([id, most]) => {
      expect(mostWithin(admittedAt(id, 5 * MINUTE_MS), MINUTE_MS)).toBe(most);
    });
  });

  test("a misspelt field would be found: the check is the real one", () => {
    expect(findingsOf(`${RECIPES[0]?.text}kyes: []\n`)).toContain("Did you mean keys?");
  });
});
