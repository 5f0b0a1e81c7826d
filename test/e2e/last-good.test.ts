import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../cli/run.ts";
import {
  createFolder,
  type Folder,
  type Program,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "./harness.ts";

const KEY = `lk_${"7".repeat(32)}`;
const KEPT = "last good copy made";

describe("the built program with --last-good", () => {
  let upstream: Upstream;
  let folder: Folder;
  let args: readonly string[];
  const programs: Program[] = [];
  const main = () => `upstream: ${upstream.url}\nroutes: [{ match: "* /**", authenticated: true }]\nkeys: keys.yaml\n`;
  const keys = () => folder.write("keys.yaml", `keys: [{ id: a, hash: "${sha256Of(KEY)}" }]\n`);
  const start = async (): Promise<Program> => {
    const program = await startProgram(join(folder.path, "latchkey.yaml"), args);
    programs.push(program);
    return program;
  };

  beforeAll(async () => {
    upstream = await startUpstream();
    folder = await createFolder();
    args = ["--last-good", join(folder.path, "copy")];
    await folder.write("latchkey.yaml", main());
    await keys();
    const first = await start();
    await first.waitForLine(({ msg }) => msg === KEPT);
    await first.stop();
  });
  afterAll(async () => {
    for (const program of programs) await program.stop();
    await upstream.close();
    await folder.remove();
  });

  test("keeps one copy that only its owner may read", async () => {
    const copy = join(folder.path, "copy");
    const names = await readdir(copy);
    expect(names.filter((name) => name.startsWith("generation-"))).toHaveLength(1);
    expect((await stat(copy)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(join(copy, "current"))) {
      expect((await stat(join(copy, "current", name))).mode & 0o777).toBe(0o600);
    }
  });

  test("starts on the copy when the files are bad, says so everywhere, and goes over once they are good", async () => {
    await folder.write("latchkey.yaml", "keys: keys.yaml\nroutes: [\n");
    await rm(join(folder.path, "keys.yaml"));
    const program = await start();
    const ready = await program.waitForLine(({ msg }) => msg === "ready");
    expect(ready["lastGoodCopy"]).toMatch(/^\d{4}-.*Z$/);
    const told = await program.waitForLine(({ level }) => level === "error");
    expect(told["msg"]).toBe("config rejected at the start, the last good copy is in force");
    expect(JSON.stringify(told["diagnostics"])).toContain("Invalid YAML");
    const metrics = await (await fetch(`${program.adminUrl}/metrics`)).text();
    expect(metrics).toContain("latchkey_config_last_reload_success 0");
    const readyz = async () => (await fetch(`${program.adminUrl}/readyz`)).json();
    expect(await readyz()).toMatchObject({
      status: "ready",
      lastGoodCopy: ready["lastGoodCopy"],
      lastReload: { outcome: { kind: "rejected" } },
    });
    expect((await fetch(`${program.url}/`, { headers: { "x-api-key": KEY } })).status).toBe(200);

    await folder.write("latchkey.yaml", `${main()}limits: 100/minute\n`);
    await program.waitForLine(({ msg }) => msg === "reload rejected, the last good policy stays");
    await keys();
    await program.waitForLine(({ msg }) => msg === "policy reloaded");
    await program.waitForLine(({ msg }) => msg === KEPT);
    expect(await readyz()).toMatchObject({ lastReload: { outcome: { kind: "swapped" } } });
    expect(await readyz()).not.toHaveProperty("lastGoodCopy");
  });

  test("fails with the same diagnostics where there is no copy, and without the flag", async () => {
    const bad = await folder.write("bad.yaml", "routes: [\n");
    for (const more of [[], ["--last-good", join(folder.path, "none")]]) {
      const { code, err } = await run(["serve", "--config", bad, "--listen", "127.0.0.1:0", ...more]);
      expect([code, err]).toEqual([1, expect.stringContaining("Invalid YAML")]);
    }
  });
});
