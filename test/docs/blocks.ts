import { glob, readFile } from "node:fs/promises";
import { resolve } from "node:path";

/**
 * How a block is treated: run, run by another runner than the test of all pages, or run with programs that only print
 * what they were asked. There is no word for leaving one out.
 */
export type Treatment =
  | { readonly kind: "run" }
  | { readonly kind: "run by"; readonly runner: string }
  | { readonly kind: "printed"; readonly reason: string };

/** One command of a block. */
export interface Command {
  readonly line: number;
  readonly text: string;
  /** What the page shows it to write; undefined where the page shows commands only, which then must succeed. */
  readonly output: string | undefined;
}

/** A fenced block of commands. */
export interface Block {
  readonly line: number;
  readonly treatment: Treatment;
  /** Shell in a comment above the block, that a reader has done by other means. */
  readonly before: string | undefined;
  /** Shell in such a comment, that shows whether the block had its effect. */
  readonly afterwards: string | undefined;
  readonly commands: readonly Command[];
}

/** A page with the blocks of commands in it. */
export interface Page {
  readonly path: string;
  readonly blocks: readonly Block[];
}

export const ROOT = resolve(import.meta.dirname, "../..");

const PAGES = ["*.md", "docs/**/*.md", "charts/*/README.md", "config/**/*.md", "k8s/**/*.md", "bench/**/*.md"];

/** All pages a reader may follow, in the order of their paths. */
export async function readPages(): Promise<readonly Page[]> {
  const paths: string[] = [];
  for await (const path of glob(PAGES, { cwd: ROOT })) {
    if (!path.includes("node_modules")) paths.push(path);
  }
  return Promise.all(
    paths.toSorted().map(async (path) => ({ path, blocks: parseBlocks(await readFile(resolve(ROOT, path), "utf8")) })),
  );
}

/** A page with those of its blocks only that name a runner, of which there must be one. */
export async function readPageOf(runner: string, path: string): Promise<Page> {
  const blocks = (await readPages()).find((page) => page.path === path)?.blocks ?? [];
  const own = blocks.filter(({ treatment }) => treatment.kind === "run by" && treatment.runner === runner);
  if (own.length === 0) throw new Error(`${path} has no block that names ${runner}`);
  return { path, blocks: own };
}

/** The blocks of commands of a page, with what the comments above them say. */
export function parseBlocks(text: string): readonly Block[] {
  return [...text.matchAll(/^( *)```(.*)\n([\s\S]*?)^\1```$/gm)].flatMap((match) => {
    const [, , language = "", body = ""] = match;
    const isConsole = language === "console" || (language === "" && /^\$ /m.test(body));
    if (!isConsole && !["sh", "bash", "shell"].includes(language)) return [];
    const above = text.slice(0, match.index);
    const line = above.split("\n").length;
    return [
      {
        line,
        ...parseComments(above),
        commands: isConsole ? parseConsole(body, line + 1) : parseShell(body, line + 1),
      },
    ];
  });
}

/** Reads the comments that stand directly above a block, with nothing else between. */
function parseComments(above: string): Pick<Block, "treatment" | "before" | "afterwards"> {
  const comments = /((?:<!--(?:(?!-->)[\s\S])*-->\s*)*)$/.exec(above)?.[1] ?? "";
  const found = [...comments.matchAll(/<!-- (printed, not run|run by|before|afterwards):([\s\S]*?)-->/g)];
  const saidBy = (name: string): readonly string[] =>
    found.flatMap(([, other, said = ""]) => (other === name ? [said.trim()] : []));
  const shellOf = (name: string): string | undefined => saidBy(name).join("\n") || undefined;
  return { treatment: toTreatment(saidBy), before: shellOf("before"), afterwards: shellOf("afterwards") };
}

function toTreatment(saidBy: (name: string) => readonly string[]): Treatment {
  for (const reason of saidBy("printed, not run")) return { kind: "printed", reason };
  for (const runner of saidBy("run by")) return { kind: "run by", runner };
  return { kind: "run" };
}

/** `$ command`, lines that go on with it, and what it writes. */
function parseConsole(body: string, firstLine: number): readonly Command[] {
  const commands: { line: number; text: string; output: string }[] = [];
  for (const [index, line] of body.split("\n").slice(0, -1).entries()) {
    const last = commands.at(-1);
    if (line.startsWith("$ ")) commands.push({ line: firstLine + index, text: line.slice(2), output: "" });
    else if (last?.output === "" && last.text.endsWith("\\")) last.text += `\n${line}`;
    else if (last !== undefined) last.output += `${line}\n`;
  }
  return commands;
}

/** One command a line, but for lines that go on with the one before. */
function parseShell(body: string, firstLine: number): readonly Command[] {
  const commands: { line: number; text: string; output: undefined }[] = [];
  for (const [index, line] of body.split("\n").entries()) {
    const last = commands.at(-1);
    if (last?.text.endsWith("\\")) last.text += `\n${line}`;
    else if (/^\s*[^#\s]/.test(line)) commands.push({ line: firstLine + index, text: line, output: undefined });
  }
  return commands;
}
