import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT, readPages } from "../docs/blocks.ts";
import { findFault } from "../docs/faults.ts";
import { runPage } from "../docs/session.ts";

const PATIENCE_MS = 60_000;
const VERSION = "0.2.0";

const changes = readFileSync(resolve(ROOT, "CHANGELOG.md"), "utf8");

describe("docs/releasing.md", () => {
  test("can be gone down from top to bottom", { timeout: PATIENCE_MS }, async () => {
    const page = (await readPages()).find(({ path }) => path === "docs/releasing.md");
    const ran = page === undefined ? [] : await runPage(page);
    expect(ran.flatMap(findFault)).toEqual([]);

    const outputOf = (start: string) => ran.find(({ text }) => text.startsWith(start))?.output ?? `no ${start}`;
    const agreed = ran.findLast(({ text }) => text === "node scripts/release.ts")?.output;
    expect(agreed).toMatch(
      new RegExp(`^${RegExp.escape(VERSION)} in package\\.json, .*Chart\\.yaml.*CHANGELOG\\.md$`, "m"),
    );
    expect(outputOf("npm pkg")).toBe("");
    expect(outputOf("tar ").split("\n")).toEqual(
      expect.arrayContaining(["package/dist/main.js", "package/dist/THIRD-PARTY-LICENSES.txt", "package/LICENSE"]),
    );
    expect(outputOf("git tag")).toBe(`git tag --sign v${VERSION} --message Latchkey ${VERSION}\n`);
    expect(outputOf("git push")).toBe(`git push origin main v${VERSION}\n`);
    expect(outputOf("npm publish")).toBe(`npm publish latchkey-${VERSION}.tgz\n`);
    expect(outputOf("docker buildx")).toContain(`-t registry.example.com/latchkey:${VERSION} --push .`);
  });
});

describe("the version", () => {
  test("is the same wherever it stands; `node scripts/release.ts` tells", () => {
    const told = execFileSync(process.execPath, ["scripts/release.ts"], { cwd: ROOT, encoding: "utf8" });
    const manifest: unknown = JSON.parse(readFileSync(resolve(ROOT, "package.json"), "utf8"));
    expect(manifest).toHaveProperty("version", told.split(" ")[0]);
  });
});

describe("CHANGELOG.md", () => {
  test("is in the form of Keep a Changelog", () => {
    const [first, ...rest] = [...changes.matchAll(/^## (.*)$/gm)].map(([, heading = ""]) => heading);
    expect(first).toBe("[Unreleased]");
    for (const heading of rest) expect(heading).toMatch(/^\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$/);
    const kinds = [...changes.matchAll(/^### (.*)$/gm)].map(([, kind]) => kind);
    expect(["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]).toEqual(expect.arrayContaining(kinds));
    expect(changes).not.toMatch(/^#{4}/m);
  });
});
