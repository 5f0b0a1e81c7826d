/** One place in the sources that breaks a rule of the architecture. */
export interface Violation {
  readonly rule: string;
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** Source texts by path from the repository's root, such as `src/policy/decide.ts`. */
export type Sources = ReadonlyMap<string, string>;

interface Import {
  readonly specifier: string;
  readonly at: number;
}

/** Which folders of `src/` a folder may not import; `policy` has an allowlist of its own. */
const FORBIDDEN_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  http1: ["policy", "config", "proxy", "admin", "app", "cli", "telemetry"],
  limits: ["config", "proxy", "admin", "app", "cli", "telemetry"],
  config: ["proxy", "admin", "app", "cli", "telemetry"],
  proxy: ["app", "cli", "admin"],
  telemetry: ["app", "cli", "admin"],
};
const POLICY_PACKAGES: ReadonlySet<string> = new Set(["node:crypto", "node:net", "ipaddr.js"]);

interface TextRule {
  readonly rule: string;
  readonly pattern: RegExp;
  readonly exempt?: (file: string) => boolean;
}

const inApp = (file: string) => file.startsWith("src/app/");
const isMain = (file: string) => file === "src/main.ts";

/** Patterns over code in which comments and the insides of strings are blank. */
const TEXT_RULES: readonly TextRule[] = [
  {
    rule: "only main.ts knows the process",
    pattern: /(?<![.\w$])process\b(?!\s*\??:)|\bglobalThis\b|(?<![.\w$])global\b\s*[.[]/g,
    exempt: isMain,
  },
  {
    rule: "the clock is passed in",
    pattern:
      /\bDate\s*\.\s*now\b|\bnew\s+Date\b(?!\s*\(\s*[^\s)])|(?<![.\w$]|new\s+)Date\s*\(|\bperformance\s*\.\s*now\b/g,
    exempt: inApp,
  },
  {
    rule: "timers belong to app/",
    pattern: /(?<![.\w$])set(?:Timeout|Interval|Immediate)\b(?!\s*\??:)/g,
    exempt: inApp,
  },
  {
    rule: "no any",
    pattern:
      /(?:[:<|&]|=>|\b(?:as|extends|satisfies|is|keyof|readonly))\s*any\b(?!\s*[.(:])|\bany\s*(?:\[\s*\]|>)|=\s*any\s*;|[<,]\s*any\s*,/g,
  },
  { rule: "no as unknown as", pattern: /\bas\s+unknown\s+as\b/g },
  { rule: "no non-null assertion", pattern: /(?<!\b(?:return|case|typeof|in|of|await))[\w$\])"'`]!(?!=)/g },
  { rule: "no enum", pattern: /(?<![.\w$])(?:const\s+)?enum\s+[A-Za-z_$]/g },
  { rule: "no default export", pattern: /\bexport\s+default\b|\bexport\s*\{[^}]*\bas\s+default\b/g },
  { rule: "no barrel", pattern: /\bexport\s+(?:type\s+)?(?:\*(?:\s*as\s+[\w$]+)?|\{[^}]*\})\s*from\b/g },
];

const CLOCK_MODULES: ReadonlySet<string> = new Set(["node:perf_hooks", "perf_hooks"]);
const TIMER_MODULES: ReadonlySet<string> = new Set([
  "node:timers",
  "timers",
  "node:timers/promises",
  "timers/promises",
]);
const PROCESS_MODULES: ReadonlySet<string> = new Set(["node:process", "process"]);

/** Every breach of the rules, in the order of the files; import cycles last, once each. */
export function findViolations(sources: Sources): readonly Violation[] {
  const violations: Violation[] = [];
  const graph = new Map<string, readonly string[]>();
  for (const [file, source] of sources) {
    const code = blank(source);
    const report = (rule: string, at: number) => violations.push({ rule, file, ...placeOf(source, at) });
    for (const { rule, pattern, exempt } of TEXT_RULES) {
      if (exempt?.(file) === true) continue;
      for (const match of code.matchAll(pattern)) report(rule, match.index);
    }
    const imports = findImports(source, code);
    for (const { specifier, at } of imports) {
      const rule = judgeImport(file, specifier, sources);
      if (rule !== undefined) report(rule, at);
    }
    for (const match of code.matchAll(/(?<![.\w$])(?:import\s*\(\s*(?!["'])\S|require\s*\()/g)) {
      report("an import names its module in plain text", match.index);
    }
    graph.set(
      file,
      imports.flatMap(({ specifier }) => (specifier.startsWith(".") ? [resolve(file, specifier)] : [])),
    );
  }
  for (const cycle of findCycles(graph)) {
    violations.push({ rule: "no import cycle", file: cycle[0] ?? "", line: 1, text: cycle.join(" -> ") });
  }
  return violations;
}

function placeOf(source: string, at: number): { readonly line: number; readonly text: string } {
  const before = source.slice(0, at).split("\n");
  return { line: before.length, text: (source.split("\n")[before.length - 1] ?? "").trim() };
}

/** Imports and re-exports, `import type` and `import()` included: a type is an arrow too. */
function findImports(source: string, code: string): readonly Import[] {
  return [...code.matchAll(/(?<![.\w$])(?:from|import)\s*(["'])( *)\1|(?<![.\w$])import\s*\(\s*(["'])( *)\3/g)].map(
    (match) => {
      const end = match.index + match[0].length - 1;
      const length = (match[2] ?? match[4] ?? "").length;
      return { specifier: source.slice(end - length, end), at: match.index };
    },
  );
}

function judgeImport(file: string, specifier: string, sources: Sources): string | undefined {
  if (PROCESS_MODULES.has(specifier) && !isMain(file)) return "only main.ts knows the process";
  if (CLOCK_MODULES.has(specifier) && !inApp(file)) return "the clock is passed in";
  if (TIMER_MODULES.has(specifier) && !inApp(file)) return "timers belong to app/";
  const folder = folderOf(file);
  if (!specifier.startsWith(".")) {
    const known = folder !== "policy" || POLICY_PACKAGES.has(specifier);
    return known ? undefined : "policy/ imports only itself, node:crypto, node:net and ipaddr.js";
  }
  const target = resolve(file, specifier);
  if (folder === "policy" && folderOf(target) !== "policy") {
    return "policy/ imports only itself, node:crypto, node:net and ipaddr.js";
  }
  if (FORBIDDEN_IMPORTS[folder]?.includes(folderOf(target)) === true)
    return `${folder}/ does not import ${folderOf(target)}/`;
  return target.endsWith(".ts") && !sources.has(target) ? "an import names a source that is there" : undefined;
}

/** `policy` of `src/policy/decide.ts`; empty for `src/main.ts` and what is not in `src/`. */
function folderOf(file: string): string {
  return /^src\/([^/]+)\//.exec(file)?.[1] ?? "";
}

function resolve(file: string, specifier: string): string {
  return new URL(specifier, `file:///${file}`).pathname.slice(1);
}

/** Strongly connected files, by depth-first search; each cycle once, from where it was entered. */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const at = path.indexOf(file);
    if (at !== -1) cycles.push([...path.slice(at), file]);
    if (at !== -1 || done.has(file)) return;
    path.push(file);
    for (const next of graph.get(file) ?? []) visit(next);
    path.pop();
    done.add(file);
  };
  for (const file of graph.keys()) visit(file);
  return cycles;
}

/**
 * The source with comments, regular expressions and the insides of strings made blank, and every
 * offset kept. What stands in `${…}` of a template is code and stays.
 */
export function blank(source: string): string {
  const out = source.split("");
  const erase = (from: number, to: number) => {
    for (let index = from; index < to; index += 1) if (out[index] !== "\n") out[index] = " ";
  };
  // Braces open inside each `${` that is under way, innermost last.
  const templates: number[] = [];
  let index = 0;
  const endOfTemplatePart = (from: number): number => {
    let at = from;
    while (at < source.length && source[at] !== "`" && !source.startsWith("${", at)) at += source[at] === "\\" ? 2 : 1;
    return at;
  };
  const skipTemplatePart = (from: number): void => {
    const end = endOfTemplatePart(from);
    erase(from, end);
    if (source.startsWith("${", end)) templates.push(0);
    index = end + (source.startsWith("${", end) ? 2 : 1);
  };
  while (index < source.length) {
    const char = source[index] ?? "";
    const depth = templates.at(-1);
    if (source.startsWith("//", index) || source.startsWith("/*", index)) {
      const end = source[index + 1] === "/" ? source.indexOf("\n", index) : source.indexOf("*/", index + 2) + 2;
      erase(index, end <= index ? source.length : end);
      index = end <= index ? source.length : end;
    } else if (char === '"' || char === "'") {
      const end = endOfString(source, index + 1, char);
      erase(index + 1, end);
      index = end + 1;
    } else if (char === "`") {
      skipTemplatePart(index + 1);
    } else if (depth !== undefined && char === "}" && depth === 0) {
      templates.pop();
      skipTemplatePart(index + 1);
    } else if (depth !== undefined && (char === "{" || char === "}")) {
      templates[templates.length - 1] = depth + (char === "{" ? 1 : -1);
      index += 1;
    } else if (char === "/" && beginsRegExp(out, index)) {
      const end = /\/(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\//y;
      end.lastIndex = index;
      const length = end.exec(source)?.[0].length ?? 1;
      erase(index, index + length);
      index += length;
    } else {
      index += 1;
    }
  }
  return out.join("");
}

/** Where the string that began before `from` ends: at its own quote, not escaped. */
function endOfString(source: string, from: number, quote: string): number {
  let at = from;
  while (at < source.length && source[at] !== quote && source[at] !== "\n") at += source[at] === "\\" ? 2 : 1;
  return at;
}

/** A slash divides after a value and begins a regular expression after anything else. */
function beginsRegExp(out: readonly string[], at: number): boolean {
  const before = out
    .slice(Math.max(0, at - 60), at)
    .join("")
    .trimEnd();
  return before === "" || /(?:[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|await))$/.test(before);
}
