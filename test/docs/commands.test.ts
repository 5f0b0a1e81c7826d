import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { SILENT_TERMINAL } from "../../scripts/silent-terminal.ts";
import { createProgram } from "../../src/cli/program.ts";
import { type Block, parseBlocks, ROOT, readPages } from "./blocks.ts";
import { findFault } from "./faults.ts";
import { isRun, runPage } from "./session.ts";

const CI = ".ci/run";
// Their runners run every block that names them.
const RUNNERS = ["npm run test:image", "npm run test:manifests"];
// What is done there cannot be taken back.
const PRINTED = "docs/releasing.md";
const PATIENCE_MS = 90_000;
const pages = (await readPages()).filter(({ blocks }) => blocks.length > 0);
const kept = pages.flatMap(({ path, blocks }) =>
  blocks.flatMap((block) => {
    if (block.treatment.kind === "run") return [];
    const reason = block.treatment.kind === "run by" ? block.treatment.runner : block.treatment.reason;
    return [{ at: `${path}:${block.line}`, path, reason, block }];
  }),
);

describe("the commands that the pages show", () => {
  // The list of a release has a test of its own, which looks at what would be published besides.
  const others = pages.filter(({ path }) => path !== PRINTED);
  const run = others.filter(({ blocks }) => blocks.some(({ treatment }) => isRun(treatment)));

  test.for(run)("those of $path do what is shown", { timeout: PATIENCE_MS }, async (page) => {
    const ran = await runPage(page);
    expect(ran.length).toBeGreaterThan(0);
    expect(ran.flatMap(findFault)).toEqual([]);
  });

  test.for(kept)("$at is not run here ($reason), but names what exists", ({ path, reason, block }) => {
    if (block.treatment.kind === "printed") expect(path).toBe(PRINTED);
    expect(findMisnamed(reason)).toEqual([]);
    expect(block.commands.length).toBeGreaterThan(0);
    for (const { text } of block.commands) {
      execFileSync("bash", ["-n", "-c", text]);
      expect([...findMisnamed(text), ...findUnknownScripts(text), ...findUnknownOptions(text)], text).toEqual([]);
    }
  });

  test.for(kept.filter(({ block }) => block.treatment.kind === "run by"))(
    "$at is run by $reason",
    ({ path, reason, block }) => {
      if (reason === CI) {
        const commands = block.commands.flatMap(({ text }) => text.replace(/\s+#.*/, "").split(/\s*&&\s*/));
        expect(commands.filter((command) => !isOfCi(command))).toEqual([]);
      } else if (!RUNNERS.includes(reason)) {
        // A test that takes the block from the page, by its own name.
        expect(reason).toMatch(/^test\/.+\.test\.ts$/);
        const source = readFileSync(resolve(ROOT, reason), "utf8");
        for (const named of [reason, path]) expect(source).toContain(`"${named}"`);
      }
    },
  );

  test("are found in every fence that holds a prompt, with the comments above it", () => {
    const text = "a\n\n<!-- before: echo 1 -->\n<!-- run by: it -->\n```\n$ ls \\\n  -a\nout\n```\n";
    const block: Block = {
      line: 5,
      treatment: { kind: "run by", runner: "it" },
      before: "echo 1",
      afterwards: undefined,
      commands: [{ line: 6, text: "ls \\\n  -a", output: "out\n" }],
    };
    expect(parseBlocks(text)).toEqual([block]);
    expect(parseBlocks("<!-- run by: it -->\nText.\n```sh\nls\n```\n")[0]?.treatment).toEqual({ kind: "run" });
  });

  test("are left out by no word above them", () => {
    const text = "<!-- not run: it is long -->\n```sh\nls\n```\n";
    expect(parseBlocks(text)[0]?.treatment).toEqual({ kind: "run" });
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

/** Whether CI runs a command, as it stands, as its parts, or with tests of which it runs all. */
function isOfCi(command: string): boolean {
  const steps = [
    ...readFileSync(resolve(ROOT, CI), "utf8").matchAll(/^(?:step )?(npm [^|\n]+?)(?: -- .*| \|\| .*)?$/gm),
  ];
  const lines = steps.map(([, step = ""]) => step.replace(" --silent", ""));
  if (lines.includes(command)) return true;
  const [, part] = /^npm run (\w+)$/.exec(command) ?? [];
  const scripts = readScripts();
  if (part !== undefined && scripts[part]?.includes("npm")) return scripts[part].split(" && ").every(isOfCi);
  if (part !== undefined)
    return lines.some((line) => scripts[line.replace("npm ", "")]?.includes(`npm run --silent ${part} `));
  const [, tests] = /^npx vitest run (test\/\S+)(?: -t ".+")?$/.exec(command) ?? [];
  return tests !== undefined && existsSync(resolve(ROOT, tests));
}

/** Files of this repository that a text names and that are not there. */
function findMisnamed(text: string): readonly string[] {
  const named = text.match(/(?<![\w/.-])(?:k8s|charts|test|config|scripts|bench|src|docs)\/[\w./-]*[\w/]/g) ?? [];
  return named.filter((path) => !existsSync(resolve(ROOT, path)));
}

function findUnknownScripts(text: string): readonly string[] {
  const scripts = readScripts();
  const called = [...text.matchAll(/\bnpm (?:run )?(?!run\b|ci\b|pack\b|install\b|publish\b|init\b|view\b)([\w:]+)/g)];
  return called.flatMap(([, name = ""]) => (Object.hasOwn(scripts, name) ? [] : [`npm run ${name}`]));
}

function readScripts(): Readonly<Record<string, string>> {
  const manifest = z.object({ scripts: z.record(z.string(), z.string()) });
  return manifest.parse(JSON.parse(readFileSync(resolve(ROOT, "package.json"), "utf8"))).scripts;
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
