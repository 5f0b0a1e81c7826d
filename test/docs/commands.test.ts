import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { SILENT_TERMINAL } from "../../scripts/silent-terminal.ts";
import { createProgram } from "../../src/cli/program.ts";
import { type Block, parseBlocks, ROOT, readPages } from "./blocks.ts";
import { findFault } from "./faults.ts";
import { runPage } from "./session.ts";

const PATIENCE_MS = 90_000;
const pages = (await readPages()).filter(({ blocks }) => blocks.length > 0);
const kept = pages.flatMap(({ path, blocks }) =>
  blocks.flatMap((block) =>
    block.treatment.kind === "run" ? [] : [{ at: `${path}:${block.line}`, reason: block.treatment.reason, block }],
  ),
);

describe("the commands that the pages show", () => {
  // The list of a release has a test of its own, which looks at what would be published besides.
  const others = pages.filter(({ path }) => path !== "docs/releasing.md");
  const run = others.filter(({ blocks }) => blocks.some(({ treatment }) => treatment.kind !== "not run"));

  test.for(run)("those of $path do what is shown", { timeout: PATIENCE_MS }, async (page) => {
    const ran = await runPage(page);
    expect(ran.length).toBeGreaterThan(0);
    expect(ran.flatMap(findFault)).toEqual([]);
  });

  test.for(kept)("$at is not run ($reason), but names what exists", ({ reason, block }) => {
    expect(reason.length).toBeGreaterThan(10);
    expect(findMisnamed(reason)).toEqual([]);
    expect(block.commands.length).toBeGreaterThan(0);
    for (const { text } of block.commands) {
      execFileSync("bash", ["-n", "-c", text]);
      expect([...findMisnamed(text), ...findUnknownScripts(text), ...findUnknownOptions(text)], text).toEqual([]);
    }
  });

  test("are found in every fence that holds a prompt, with the comments above it", () => {
    const text = "a\n\n<!-- before: echo 1 -->\n<!-- not run: it is long -->\n```\n$ ls \\\n  -a\nout\n```\n";
    const block: Block = {
      line: 5,
      treatment: { kind: "not run", reason: "it is long" },
      before: "echo 1\n",
      commands: [{ line: 6, text: "ls \\\n  -a", output: "out\n" }],
    };
    expect(parseBlocks(text)).toEqual([block]);
    expect(parseBlocks("<!-- not run: other -->\nText.\n```sh\nls\n```\n")[0]?.treatment).toEqual({ kind: "run" });
  });

  test("are held to their exit code and to what the page shows", () => {
    const ran = { at: "p:1", text: "x", expected: undefined, code: 0, output: "" };
    expect(findFault({ ...ran, code: 1 })).toHaveLength(1);
    expect(findFault({ ...ran, code: 127, expected: "" })).toHaveLength(1);
    expect(findFault({ ...ran, expected: "one\n", output: "two\n" })).toHaveLength(1);
    expect(findFault({ ...ran, expected: "one\n…\nfour\n", output: "one\ntwo\nthree\nfour\n" })).toEqual([]);
    const digest = (digit: string) => `hash: sha256:${digit.repeat(64)}\n`;
    expect(findFault({ ...ran, expected: digest("a"), output: digest("b") })).toEqual([]);
    expect(findUnknownOptions("latchkey keys create --idd x | latchkey chek")).toEqual([
      "latchkey keys create has no --idd",
      "latchkey has no command chek",
    ]);
  });
});

/** Files of this repository that a text names and that are not there. */
function findMisnamed(text: string): readonly string[] {
  const named = text.match(/(?<![\w/.-])(?:k8s|charts|test|config|scripts|bench|src|docs)\/[\w./-]*[\w/]/g) ?? [];
  return named.filter((path) => !existsSync(resolve(ROOT, path)));
}

function findUnknownScripts(text: string): readonly string[] {
  const manifest: unknown = JSON.parse(readFileSync(resolve(ROOT, "package.json"), "utf8"));
  const scripts = typeof manifest === "object" && manifest !== null && "scripts" in manifest ? manifest.scripts : {};
  const called = [...text.matchAll(/\bnpm (?:run )?(?!run\b|ci\b|pack\b|install\b|publish\b|init\b|view\b)([\w:]+)/g)];
  return called.flatMap(([, name = ""]) => (Object.hasOwn(Object(scripts), name) ? [] : [`npm run ${name}`]));
}

function findUnknownOptions(text: string): readonly string[] {
  return [...text.matchAll(/(?<=^|[|;&(]\s*|\s)latchkey((?: [a-z]\S*)(?: [^|;&\n#]*)?)/g)].flatMap(([, rest = ""]) => {
    const words = rest.trim().split(/\s+/);
    let command = program;
    for (const word of words) {
      const next = command.commands.find((candidate) => candidate.name() === word);
      if (next === undefined) break;
      command = next;
    }
    if (command === program) return [`latchkey has no command ${words[0]}`];
    const path = command.parent === program ? command.name() : `${command.parent?.name()} ${command.name()}`;
    const options = words.filter((word) => word.startsWith("--") && word !== "--help");
    return options
      .filter((option) => !command.options.some(({ long }) => long === option.split("=")[0]))
      .map((option) => `latchkey ${path} has no ${option}`);
  });
}

const program = createProgram(SILENT_TERMINAL, () => {});
