import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFolder, type Folder, PROGRAM, sha256Of } from "./harness.ts";

const CONFIG = 'upstream: http://127.0.0.1:9\nroutes: [{ match: "* /**", authenticated: true }]\nkeys: keys.yaml\n';
const KEYS = `# By hand.\nkeys:\n  - { id: till, hash: "${sha256Of("till")}" }\n`;

let folder: Folder;

beforeEach(async () => {
  folder = await createFolder();
  await folder.write("latchkey.yaml", CONFIG);
  await folder.write("keys.yaml", KEYS);
});
afterEach(() => folder.remove());

/** Runs the built program with a standard output that is full, or that nobody reads. */
async function run(output: "full" | "unread", ...args: readonly string[]) {
  const stdout = output === "full" ? openSync("/dev/full", "w") : "pipe";
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd: folder.path, stdio: ["ignore", stdout, "pipe"] });
  child.stdout?.destroy();
  let err = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, err };
}

describe("the built program, where standard output cannot be written", () => {
  test.each([
    [["check"]],
    [["keys", "list", "--json"]],
    [["explain", "GET", "/", "--key-id", "till"]],
    [["schema"]],
    [["--help"]],
  ])("%j says so in one line, and fails", async (args) => {
    expect(await run("full", ...args)).toEqual({
      code: 1,
      err: "latchkey: standard output cannot be written: no space left on device\n",
    });
  });

  test("a reader that has seen enough is no failure", async () => {
    expect(await run("unread", "schema")).toEqual({ code: 0, err: "" });
  });

  test.each([
    ["full", "no space left on device"],
    ["unread", "broken pipe"],
  ] as const)("keys create leaves no record of a key that nobody was given: %s", async (output, why) => {
    expect(await run(output, "keys", "create", "--id", "pos")).toEqual({
      code: 1,
      err: `latchkey keys create: standard output cannot be written: ${why}\nNo key was created.\n`,
    });
    expect(await readFile(join(folder.path, "keys.yaml"), "utf8")).toBe(KEYS);
  });

  test("nor a keys file that was made for it", async () => {
    await folder.write("latchkey.yaml", CONFIG.replace("keys.yaml", "{ files: [keys.yaml, more.yaml] }"));
    const { code, err } = await run("full", "keys", "create", "--id", "pos", "--json", "--file", "more.yaml");
    expect([code, err]).toEqual([1, expect.stringContaining("No key was created")]);
    await expect(stat(join(folder.path, "more.yaml"))).rejects.toThrow("ENOENT");
  });
});
