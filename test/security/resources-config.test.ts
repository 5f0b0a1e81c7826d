import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createFolder,
  exchangeBytes,
  type Folder,
  PROGRAM,
  parseResponse,
  sha256Of,
  startProgram,
  startUpstream,
} from "../e2e/harness.ts";

const GOOD = "lk_live_0123456789abcdef0123456789abcdef";
const WHOLE = `routes: [{ match: "* /**", authenticated: true }]\nkeys: [{ id: good, hash: "${sha256Of(GOOD)}" }]\n`;

const laughs = Array.from({ length: 12 }, (_, level) => {
  const named = level === 0 ? '["lol"]' : `[${`*l${level - 1},`.repeat(10)}]`;
  return `l${level}: &l${level} ${named}`;
}).join("\n");

/** Texts that cost a careless reader more than they are long. */
const BOMBS: Readonly<Record<string, string>> = {
  "a billion laughs": `${laughs}\n`,
  "lists a hundred thousand deep": `routes: ${"[".repeat(100_000)}${"]".repeat(100_000)}\n`,
  "maps a hundred thousand deep": `routes: ${"{a: ".repeat(100_000)}1${"}".repeat(100_000)}\n`,
  "block lists fifty thousand deep": `routes:\n  ${"- ".repeat(50_000)}a\n`,
  "a hundred thousand explicit keys": `${"? ".repeat(100_000)}a\n`,
  "thirty thousand anchors under unknown names": Array.from(
    { length: 30_000 },
    (_, index) => `a${index}: &a${index} x\n`,
  ).join(""),
  "one name thirty thousand times": "keys: []\n".repeat(30_000),
  "an alias of itself": "routes: &a [*a]\n",
  "a quote that never ends": `routes: "${"a\n".repeat(100_000)}`,
  "thirty thousand routes with a fault each": `routes:\n${'  - { match: "GET nowhere" }\n'.repeat(30_000)}`,
  "a format of many choices": `keyFormats: ["${Array.from({ length: 60 }, (_, index) => `{c${index}:a|aa}`).join("")}{s:hex(32)}"]\n`,
  "a pattern of ten thousand names": `routes: [{ match: "GET /${"{a}/".repeat(10_000)}**", public: true }]\n`,
};

let folder: Folder;
beforeAll(async () => {
  folder = await createFolder();
});
afterAll(() => folder?.remove());

describe("hostile config files", () => {
  test.each(Object.entries(BOMBS))("check refuses %s, in time and in words", async (_name, text) => {
    const file = await folder.write("bomb.yaml", `upstream: http://127.0.0.1:3000\n${text}`);
    const startedMs = performance.now();
    const { status, stdout, stderr, signal } = spawnSync(
      process.execPath,
      ["--max-old-space-size=512", PROGRAM, "check", "--config", file],
      { encoding: "utf8", timeout: 20_000, maxBuffer: 256 * 1024 ** 2 },
    );
    expect({ status, signal }).toEqual({ status: 1, signal: null });
    expect(stdout + stderr).toContain("bomb.yaml");
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(performance.now() - startedMs).toBeLessThan(15_000);
  });

  test("a reload of a bomb leaves the last good policy in force, and requests go on", async () => {
    const upstream = await startUpstream();
    const file = await folder.write("latchkey.yaml", `upstream: ${upstream.url}\n${WHOLE}`);
    const program = await startProgram(file);
    const ask = async () => {
      const bytes = `GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${GOOD}\r\nConnection: close\r\n\r\n`;
      return parseResponse(await exchangeBytes(program.port, bytes)).status;
    };
    try {
      for (const text of [BOMBS["a billion laughs"], BOMBS["lists a hundred thousand deep"]]) {
        const seen = program.lines.length;
        await writeFile(join(folder.path, "latchkey.yaml"), `upstream: ${upstream.url}\n${text}`);
        await program.waitForLine((line) => program.lines.indexOf(line) >= seen && line["level"] === "error");
        expect(await ask()).toBe(200);
      }
    } finally {
      await program.stop();
      await upstream.close();
    }
  });
});
