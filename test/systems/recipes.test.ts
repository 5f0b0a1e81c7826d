import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { formatDiagnostics } from "../../src/config/diagnostics.ts";
import { parseConfiguration } from "../../src/config/load.ts";

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

/** What `latchkey check` would say of a file of this text. */
function findingsOf(text: string): string {
  const loaded = parseConfiguration({
    mainFile: "latchkey.yaml",
    directory: "/",
    main: { path: "latchkey.yaml", text, mode: 0o600 },
    keysFiles: [],
    referenced: new Map(),
    problems: [],
    watched: [],
    digests: new Map(),
  });
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

  test("a misspelt field would be found: the check is the real one", () => {
    expect(findingsOf(`${RECIPES[0]?.text}kyes: []\n`)).toContain("Did you mean keys?");
  });
});
