import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { blank, findViolations } from "./source-rules.ts";

function readSources(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  return new Map(files.sort().map((name) => [join(folder, name), readFileSync(join(folder, name), "utf8")]));
}

/** The rules a single file breaks, beside a file of each folder that it may import. */
function judge(file: string, source: string): readonly string[] {
  const others = ["policy", "config", "proxy", "admin", "telemetry", "app", "cli"];
  const sources = new Map(others.map((folder) => [`src/${folder}/other.ts`, ""]));
  return findViolations(sources.set(file, source)).map(({ rule }) => rule);
}

describe("the sources", () => {
  test("src/ keeps every rule of the architecture", () => {
    const sources = readSources("src");
    expect(sources.has("src/policy/decide.ts")).toBe(true);
    expect(findViolations(sources)).toEqual([]);
  });

  test("findViolations() follows the real imports of the core", () => {
    // One forged arrow, from a file everything in policy/ rests on, closes cycles and leaves the folder.
    const forged =
      'import type { Settings } from "../config/settings.ts";\nimport type { Policy } from "./policy.ts";\n';
    const sources = new Map(readSources("src"));
    sources.set("src/policy/target.ts", forged + (sources.get("src/policy/target.ts") ?? ""));
    const rules = findViolations(sources).map(({ rule }) => rule);
    expect(rules).toContain("policy/ imports only itself, node:crypto, node:net and ipaddr.js");
    expect(rules).toContain("no import cycle");
  });
});

describe("findViolations()", () => {
  const POLICY = "policy/ imports only itself, node:crypto, node:net and ipaddr.js";
  const PLAIN = "an import names its module in plain text";
  const bad: readonly (readonly [rule: string, file: string, source: string])[] = [
    [POLICY, "src/policy/bad.ts", 'import { readFileSync } from "node:fs";'],
    [POLICY, "src/policy/bad.ts", 'import "bcryptjs";'],
    [POLICY, "src/policy/bad.ts", 'import type { Settings } from "../config/other.ts";'],
    [POLICY, "src/policy/bad.ts", 'type T = import("../config/other.ts").T;'],
    [POLICY, "src/policy/bad.ts", 'const { x } = await import("../config/other.ts");'],
    [POLICY, "src/policy/bad.ts", "import {\n  x,\n} from '../proxy/other.ts';"],
    [POLICY, "src/policy/deep/bad.ts", 'import { x } from "../../main.ts";'],
    [PLAIN, "src/policy/bad.ts", "await import(name);"],
    [PLAIN, "src/policy/bad.ts", `await import(\`node:\${name}\`);`],
    [PLAIN, "src/config/bad.ts", 'const fs = require("node:fs");'],
    ["an import names a source that is there", "src/policy/bad.ts", 'import { x } from "./gone.ts";'],
    ...["proxy", "admin", "app", "cli", "telemetry"].map(
      (folder) =>
        [
          `config/ does not import ${folder}/`,
          "src/config/bad.ts",
          `import { x } from "../${folder}/other.ts";`,
        ] as const,
    ),
    ...["app", "cli", "admin"].flatMap((folder) =>
      ["proxy", "telemetry"].map(
        (from) =>
          [
            `${from}/ does not import ${folder}/`,
            `src/${from}/bad.ts`,
            `import { x } from "../${folder}/other.ts";`,
          ] as const,
      ),
    ),
    ["only main.ts knows the process", "src/cli/bad.ts", "const home = process.env.HOME;"],
    ["only main.ts knows the process", "src/cli/bad.ts", 'const home = globalThis["process"];'],
    ["only main.ts knows the process", "src/app/bad.ts", "process.on(signal, stop);"],
    ["only main.ts knows the process", "src/cli/bad.ts", 'import { env } from "node:process";'],
    ["only main.ts knows the process", "src/cli/bad.ts", `const text = \`\${process.pid}\`;`],
    ["the clock is passed in", "src/proxy/bad.ts", "const now = Date.now();"],
    ["the clock is passed in", "src/proxy/bad.ts", "const now = new Date();"],
    ["the clock is passed in", "src/proxy/bad.ts", "const now = new Date;"],
    ["the clock is passed in", "src/proxy/bad.ts", "const now = Date();"],
    ["the clock is passed in", "src/main.ts", "const now = performance.now();"],
    ["the clock is passed in", "src/policy/bad.ts", `const text = \`a \${\`b \${Date.now()}\`}\`;`],
    ["timers belong to app/", "src/proxy/bad.ts", "setTimeout(end, 1000);"],
    ["timers belong to app/", "src/proxy/bad.ts", 'import { setTimeout as wait } from "node:timers/promises";'],
    ["no any", "src/config/bad.ts", "function f(x: any) {}"],
    ["no any", "src/config/bad.ts", "const x = y as any;"],
    ["no any", "src/config/bad.ts", "const x: Map<string, any> = y;"],
    ["no any", "src/config/bad.ts", "let x: string | any;"],
    ["no any", "src/config/bad.ts", "type T = any;"],
    ["no any", "src/config/bad.ts", "const x = y as readonly any[];"],
    ["no as unknown as", "src/config/bad.ts", "const x = y as unknown as Z;"],
    ["no as unknown as", "src/config/bad.ts", "const x = y as unknown\n  as Z;"],
    ["no non-null assertion", "src/config/bad.ts", "const x = y!.z;"],
    ["no non-null assertion", "src/config/bad.ts", "const x = list[0]!;"],
    ["no non-null assertion", "src/config/bad.ts", "f(g()!, 1);"],
    ["no non-null assertion", "src/config/bad.ts", "class A { x!: string }"],
    ["no enum", "src/config/bad.ts", "enum Colour { Red }"],
    ["no enum", "src/config/bad.ts", "export const enum Colour { Red }"],
    ["no default export", "src/config/bad.ts", "export default function f() {}"],
    ["no default export", "src/config/bad.ts", "export { f as default };"],
    ["no barrel", "src/config/bad.ts", 'export * from "./other.ts";'],
    ["no barrel", "src/config/bad.ts", 'export * as all from "./other.ts";'],
    ["no barrel", "src/config/bad.ts", 'export type { X } from "./other.ts";'],
  ];
  for (const [rule, file, source] of bad) {
    test(`findViolations() finds "${rule}" in ${JSON.stringify(source)}`, () => {
      expect(new Set(judge(file, source))).toEqual(new Set([rule]));
    });
  }

  const good: readonly (readonly [file: string, source: string])[] = [
    [
      "src/policy/good.ts",
      'import ipaddr from "ipaddr.js";\nimport { BlockList } from "node:net";\nimport "./other.ts";',
    ],
    ["src/policy/good.ts", '// import "node:fs"; Date.now() process.exit() x!.y\n/* as any */'],
    ["src/policy/good.ts", "const text = 'import \"node:fs\"; Date.now() as any';"],
    ["src/policy/good.ts", `const text = \`process.exit \${x} Date.now() enum X\`;`],
    ["src/policy/good.ts", 'const pattern = /"process.env`/; const other = a / b / c;'],
    ["src/policy/good.ts", 'const list = Array.from("abc");'],
    ["src/config/good.ts", 'import { x } from "../policy/other.ts";\nimport { z } from "zod";'],
    ["src/config/good.ts", "const then = new Date(ms).toISOString();"],
    ["src/config/good.ts", 'const level = z.enum(["a"]); const any = list.any(key); if (!any || x !== y) run();'],
    ["src/config/good.ts", "interface S { readonly process: P; setTimeout?: T }\nconst y = served.process.log;"],
    ["src/config/good.ts", "return !x;"],
    ["src/app/good.ts", "const now = Date.now() + performance.now(); setTimeout(f, 1);"],
    ["src/main.ts", 'import "./app/other.ts";\nprocess.exitCode = 1;'],
    ["src/cli/good.ts", 'import type { A } from "../app/other.ts";\nexport { local };'],
  ];
  for (const [file, source] of good) {
    test(`findViolations() finds nothing in ${JSON.stringify(source)} of ${file}`, () => {
      expect(judge(file, source)).toEqual([]);
    });
  }

  test("findViolations() finds import cycles of any length, and none where there is none", () => {
    const cyclesOf = (...arrows: readonly string[]) =>
      findViolations(
        new Map(
          ["a", "b", "c", "d"].map((name) => {
            const targets = arrows.filter((arrow) => arrow.startsWith(name)).map((arrow) => arrow.slice(1));
            return [`src/cli/${name}.ts`, targets.map((target) => `import "./${target}.ts";`).join("\n")];
          }),
        ),
      ).map(({ text }) => text.replaceAll(/src\/cli\/|\.ts/g, ""));
    expect(cyclesOf("ab", "bc", "ad", "dc")).toEqual([]);
    expect(cyclesOf("aa")).toEqual(["a -> a"]);
    expect(cyclesOf("ab", "ba")).toEqual(["a -> b -> a"]);
    expect(cyclesOf("ab", "bc", "cd", "db")).toEqual(["b -> c -> d -> b"]);
  });

  test("findViolations() names the file and the line", () => {
    const sources = new Map([["src/cli/bad.ts", "// one\n\n  const now = Date.now();\n"]]);
    expect(findViolations(sources)).toEqual([
      { rule: "the clock is passed in", file: "src/cli/bad.ts", line: 3, text: "const now = Date.now();" },
    ]);
  });
});

describe("blank()", () => {
  test("blank() keeps code and offsets, and nothing of comments, strings and patterns", () => {
    expect(blank('a("b\\"c", \'d\') // e')).toBe(`a("${" ".repeat(4)}", ' ') ${" ".repeat(4)}`);
    expect(blank("a /* b\nc */ d")).toBe("a     \n     d");
    expect(blank(`\`a\${ {b: \`c\`} }d\` + e`)).toBe(`\` \${ {b: \` \`} } \` + e`);
    expect(blank('x = /[/]"/g; y / z')).toBe(`x = ${" ".repeat(6)}g; y / z`);
  });
});
