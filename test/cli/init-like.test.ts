import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { PROGRAM } from "../e2e/harness.ts";
import { createDirectory, run } from "./run.ts";

const SYSTEMS = fileURLToPath(new URL("../../config/systems/", import.meta.url));
const names = await readdir(SYSTEMS);

async function initLike(name: string, ...flags: readonly string[]) {
  const directory = await createDirectory();
  const ran = await run(["init", "--out", directory, "--like", name, ...flags]);
  return { ...ran, directory, config: `${directory}/latchkey.yaml`, keys: `${directory}/keys.yaml` };
}

describe("latchkey init --like", () => {
  test("knows the systems that this project reproduces", () => {
    expect(names.toSorted()).toEqual(["billoget", "breadbox", "brotherpos", "clients-and-invoices", "ibakepro"]);
  });

  describe.for(names)("%s", (name) => {
    test("writes that system's config, byte for byte, and it passes check without a warning", async () => {
      const { code, config } = await initLike(name);
      expect(code).toBe(0);
      expect(await readFile(config, "utf8")).toBe(await readFile(`${SYSTEMS}${name}/latchkey.yaml`, "utf8"));
      const checked = await run(["check", "--strict", "--config", config]);
      expect([checked.err, checked.code]).toEqual(["", 0]);
    });

    test("shows its records as comments, with nothing of a key that everybody knows", async () => {
      const { keys } = await initLike(name);
      const text = await readFile(keys, "utf8");
      const examples = await readFile(`${SYSTEMS}${name}/keys.yaml`, "utf8");
      expect(text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual(["keys: []"]);
      for (const [, id] of examples.matchAll(/- id: (\S+)/g)) expect(text).toContain(`#   - id: ${id}\n`);
      for (const [, digest = ""] of examples.matchAll(/hash: "(\S+)"/g)) expect(text).not.toContain(digest);
    });

    test("the next steps it names work as they stand", async () => {
      const { out, config } = await initLike(name);
      const create = /latchkey (keys create .*)/.exec(out)?.[1]?.split(" ") ?? [];
      const created = await run(create);
      expect([created.code, created.out.trim()]).toEqual([0, expect.stringMatching(/^\S{30,}$/)]);
      const checked = await run(["check", "--strict", "--config", config]);
      expect([checked.err, checked.code]).toEqual(["", 0]);
    });

    test("takes another upstream and leaves every other line", async () => {
      const { config } = await initLike(name, "--upstream", "unix:/run/app.sock");
      const [written, shipped] = await Promise.all(
        [config, `${SYSTEMS}${name}/latchkey.yaml`].map(async (file) => (await readFile(file, "utf8")).split("\n")),
      );
      const changed = written?.filter((line, index) => line !== shipped?.[index]);
      expect(changed).toEqual([expect.stringContaining('"unix:/run/app.sock"')]);
    });

    test("the built program begins with it too", async () => {
      const directory = await createDirectory();
      const child = spawn(process.execPath, [PROGRAM, "init", "--like", name, "--out", directory], { stdio: "ignore" });
      const [code]: readonly unknown[] = await once(child, "exit");
      expect(code).toBe(0);
      const [built, shipped] = await Promise.all(
        [`${directory}/latchkey.yaml`, `${SYSTEMS}${name}/latchkey.yaml`].map((file) => readFile(file, "utf8")),
      );
      expect(built).toBe(shipped);
    });
  });

  test.for([
    ["bilogget", "did you mean billoget?"],
    ["nothing-like-it", "expected billoget, breadbox"],
    ["../systems/billoget", "expected billoget, breadbox"],
  ])("%s is a wrong call: %s", async ([name = "", said = ""]) => {
    const { code, err, directory } = await initLike(name);
    expect(code).toBe(2);
    expect(err).toContain(said);
    expect(await readdir(directory)).toEqual([]);
  });

  test.for([["--minimal"], ["--routes", "/orders"]])("does not go together with %s", async (flags) => {
    const { code, err } = await initLike("billoget", ...flags);
    expect(code).toBe(2);
    expect(err).toContain("cannot be used with");
  });

  test("its help names the systems", async () => {
    const { out } = await run(["init", "--help"]);
    expect(out).toContain(`SYSTEM is ${names.toSorted().join(", ")}.`);
  });
});
