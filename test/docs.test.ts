import { existsSync } from "node:fs";
import { glob, readFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { DENIAL_REASONS } from "../src/policy/decision.ts";
import { DENIALS } from "../src/proxy/denial-table.ts";

const ROOT = resolve(import.meta.dirname, "..");

const read = (path: string): Promise<string> => readFile(resolve(ROOT, path), "utf8");

/** The entries of the page by their heading's code, in the order written. */
async function readFailureModes(): Promise<readonly (readonly [reason: string, entry: string])[]> {
  const page = await read("docs/failure-modes.md");
  const [, ...entries] = page.split(/^## /m);
  return entries.map((entry) => [/^`(.*)`\n/.exec(entry)?.[1] ?? `no code: ${entry.split("\n", 1)[0]}`, entry]);
}

describe("docs/failure-modes.md", () => {
  it("has one entry for every denial reason, in the order of the list, and no other", async () => {
    const reasons = (await readFailureModes()).map(([reason]) => reason);
    expect(reasons).toEqual([...DENIAL_REASONS]);
  });

  it("states the default status of every denial reason", async () => {
    const stated = (await readFailureModes()).map(([reason, entry]) => [
      reason,
      /^- \*\*Status:\*\* (\d{3})$/m.exec(entry)?.[1],
    ]);
    expect(stated).toEqual(DENIAL_REASONS.map((reason) => [reason, String(DENIALS[reason].status)]));
  });

  it("tells in every entry the meaning, what the client sees, likely causes, what to check and what to change", async () => {
    for (const [reason, entry] of await readFailureModes()) {
      const labels = [...entry.matchAll(/^- \*\*([^*]+):\*\*/gm)].map(([, label]) => label);
      expect(labels, reason).toEqual(["Status", "Meaning", "The client sees", "Likely causes", "Check", "Change"]);
    }
  });

  it("quotes the default message of every denial reason up to its first template field", async () => {
    for (const [reason, entry] of await readFailureModes()) {
      const known = DENIAL_REASONS.find((candidate) => candidate === reason);
      const fixed = known === undefined ? "" : DENIALS[known].message.split("{", 1)[0]?.trimEnd();
      expect(entry.replaceAll(/\s+/g, " "), reason).toContain(`"${fixed}`);
    }
  });
});

describe("docs/operations.md", () => {
  it("describes every metric that is defined, and no other", async () => {
    const source = (await read("src/telemetry/metrics.ts")) + (await read("src/telemetry/request-tally.ts"));
    const defined = [...source.matchAll(/name: "(latchkey_[a-z_]+)"/g)].map(([, name]) => name);
    const page = await read("docs/operations.md");
    // A row of the table of metrics begins with the name; a mention elsewhere must be one of them too.
    const described = [...page.matchAll(/^\| `(latchkey_[a-z_]+)`/gm)].map(([, name]) => name);
    const mentioned = [...page.matchAll(/latchkey_[a-z_]+/g)].map(([name]) => name);
    expect(defined).not.toEqual([]);
    expect(described.toSorted()).toEqual(defined.toSorted());
    expect(new Set(mentioned)).toEqual(new Set(defined));
  });

  it("describes every field of a request's log line", async () => {
    const source = await read("src/telemetry/access-log.ts");
    const fields = [...source.matchAll(/,"([A-Za-z]+)":/g)].map(([, field]) => field);
    const page = await read("docs/operations.md");
    const described = [...page.matchAll(/^\| `([A-Za-z]+)` \|/gm)].map(([, field]) => field);
    expect(fields).toContain("clientAddress");
    expect(described).toEqual(expect.arrayContaining(fields));
  });
});

describe("the relative links", async () => {
  const pages: string[] = [];
  for await (const page of glob(["*.md", "docs/**/*.md", "charts/*/README.md"], { cwd: ROOT })) pages.push(page);

  it.each(pages.toSorted())("of %s lead to files that exist and headings they have", async (page) => {
    const text = withoutCode(await read(page));
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link ?? "");
    for (const link of links) {
      if (/^[a-z]+:/i.test(link)) continue;
      const [path = "", heading] = link.split("#");
      const file = path === "" ? resolve(ROOT, page) : resolve(ROOT, dirname(page), path);
      expect(existsSync(file), `${page} links to ${link}`).toBe(true);
      if (heading !== undefined) expect(await headingsOf(file), `${page} links to ${link}`).toContain(heading);
    }
  });
});

describe("the files of this repository that a page names in code", async () => {
  const pages: string[] = [];
  for await (const page of glob(["*.md", "docs/**/*.md", "charts/*/README.md"], { cwd: ROOT })) {
    // What happened to a file later is no fault of a page on the past.
    if (page !== "CHANGELOG.md") pages.push(page);
  }

  it.each(pages.toSorted())("%s: are there", async (page) => {
    const text = (await read(page)).replaceAll(/^```[\s\S]*?^```/gm, "");
    const named = [...text.matchAll(/`((?:src|test|scripts|bench|config|charts|k8s|docs|demo)\/[^\s`]+)`/g)];
    const missing: string[] = [];
    for (const [, path = ""] of named) {
      if (/[<…]/.test(path) || MADE_WHILE_RUNNING.has(path)) continue;
      const found = await Array.fromAsync(glob(path, { cwd: ROOT }));
      if (found.length === 0) missing.push(path);
    }
    expect(missing).toEqual([]);
  });
});

const MADE_WHILE_RUNNING = new Set(["config/demo-keys.yaml"]);

describe("README.md", () => {
  it("is short: what does not help to begin stands in docs/", async () => {
    expect((await read("README.md")).split("\n").length).toBeLessThanOrEqual(120);
  });
});

describe("docs/README.md", () => {
  it("leads to every page under docs/, at most over another page", async () => {
    const reached = new Set<string>();
    const open = ["docs/README.md"];
    for (let page = open.pop(); page !== undefined; page = open.pop()) {
      if (reached.has(page)) continue;
      reached.add(page);
      const links = [...withoutCode(await read(page)).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)].map(
        ([, link]) => link ?? "",
      );
      for (const link of links.filter((link) => !/^[a-z]+:/i.test(link) && link.endsWith(".md"))) {
        open.push(relative(ROOT, resolve(ROOT, dirname(page), link)));
      }
    }
    const pages = await Array.fromAsync(glob("docs/**/*.md", { cwd: ROOT }));
    expect(pages.filter((page) => !reached.has(page))).toEqual([]);
    expect(await read("README.md")).toContain("(docs/README.md)");
  });
});

/** What stands in code is shown, not linked. */
function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, "").replaceAll(/`[^`\n]*`/g, "");
}

/** The anchors of a page, as GitHub makes them of its headings. */
async function headingsOf(file: string): Promise<readonly string[]> {
  const text = (await readFile(file, "utf8")).replaceAll(/^```[\s\S]*?^```/gm, "");
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{Letter}\p{Number}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
