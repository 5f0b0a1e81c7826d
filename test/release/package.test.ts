import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { ROOT } from "../docs/blocks.ts";

const packed = z.object({
  size: z.int(),
  unpackedSize: z.int(),
  files: z.array(z.object({ path: z.string(), mode: z.int() })),
});

// Twice what they were when this was written: a test, a map or a dependency's data that slips in is more.
const SIZE_LIMIT_BYTES = 800 * 1024;
const UNPACKED_LIMIT_BYTES = 3 * 1024 ** 2;

/** All that may be in the package. Parts of the program have names that change with what is in them. */
const EXPECTED = [
  /^dist\/[a-z0-9-]+-[A-Z0-9]{8}\.js$/,
  /^dist\/(main|bcrypt-worker|load-worker|plane-worker)\.js$/,
  /^dist\/package\.json$/,
  /^dist\/THIRD-PARTY-LICENSES\.txt$/,
  /^dist\/systems\/[a-z-]+\/(latchkey|keys)\.yaml$/,
  /^config\/latchkey(-keys)?\.schema\.json$/,
  /^config\/latchkey\.yaml$/,
  /^demo\/app\.js$/,
  /^(package\.json|README\.md|CHANGELOG\.md|LICENSE)$/,
];

// Statements of the bundle, which the bundler writes without spaces: `import{a}from"b"`, `import"b"`, `import("b")`.
const IMPORTED = /(?:(?:^|[;}\n])import(?:[\w$*{},\s]+from)?\s*\(?|\brequire\()"([^"]+)"/g;
// What `debug` tries to load and does without.
const TRIED = "supports-color";

describe("the npm package", () => {
  // What `npm test` has built is packed; a build here would take dist/ from under the other tests.
  const out = execFileSync("npm", ["pack", "--dry-run", "--ignore-scripts", "--json"], { cwd: ROOT, encoding: "utf8" });
  const { size, unpackedSize, files } = parsePacked(out);
  const paths = files.map(({ path }) => path);

  test("holds the program, the schemas, the systems, the demo and the licences, and nothing else", () => {
    expect(paths.filter((path) => !EXPECTED.some((pattern) => pattern.test(path)))).toEqual([]);
    for (const pattern of EXPECTED)
      expect(
        paths.some((path) => pattern.test(path)),
        String(pattern),
      ).toBe(true);
  });

  test("is small", () => {
    expect(size).toBeLessThan(SIZE_LIMIT_BYTES);
    expect(unpackedSize).toBeLessThan(UNPACKED_LIMIT_BYTES);
  });

  test("has a program that can be run", () => {
    const main = files.find(({ path }) => path === "dist/main.js");
    expect((main?.mode ?? 0) & 0o111).toBe(0o111);
    expect(readFileSync(resolve(ROOT, "dist/main.js"), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  test("holds no private key, no map of the sources and no path of the machine that built it", () => {
    for (const path of paths) {
      const text = readFileSync(resolve(ROOT, path), "utf8");
      expect(/-----BEGIN [A-Z ]*PRIVATE KEY-----\n/.test(text), path).toBe(false);
      expect(text.includes("sourceMappingURL"), path).toBe(false);
      expect(text.includes(`${ROOT}/`), path).toBe(false);
    }
  });

  test("asks for no other package: the bundle holds them all", () => {
    const manifest: unknown = JSON.parse(readFileSync(resolve(ROOT, "package.json"), "utf8"));
    for (const kind of ["dependencies", "peerDependencies", "optionalDependencies"]) {
      expect(manifest).not.toHaveProperty(kind);
    }
    const outside = paths
      .filter((path) => /^dist\/.*\.js$/.test(path))
      .flatMap((path) => [...readFileSync(resolve(ROOT, path), "utf8").matchAll(IMPORTED)].map(([, name = ""]) => name))
      .filter((name) => !name.startsWith(".") && !isBuiltin(name) && name !== TRIED);
    expect(outside).toEqual([]);
  });

  test("has the licence of every package that docs/dependencies.md names for run time", () => {
    const page = readFileSync(resolve(ROOT, "docs/dependencies.md"), "utf8");
    const [, table = ""] = /## At run time\n([\s\S]*?)\n## /.exec(page) ?? [];
    const named = [...table.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(5);
    const licences = readFileSync(resolve(ROOT, "dist/THIRD-PARTY-LICENSES.txt"), "utf8");
    const licensed = new Set([...licences.matchAll(/^(\S+) \d+\.\d+\.\d+\S* \(.+\)$/gm)].map(([, name]) => name));
    expect(named.filter((name) => !licensed.has(name))).toEqual([]);
  });
});

/** A list of packages from npm up to 10, by name from 11 on. */
function parsePacked(out: string): z.infer<typeof packed> {
  const one = z.union([z.array(packed), z.record(z.string(), packed).transform((named) => Object.values(named))]);
  const [first] = one.parse(JSON.parse(out));
  if (first === undefined) throw new Error("npm packed nothing");
  return first;
}
