import { spawnSync } from "node:child_process";
import { cp, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, type Folder, PROGRAM, sha256Of, startProgram } from "../e2e/harness.ts";
import { WATCH_PARTS } from "../e2e/watched-parts.ts";

/** Runs a command of a built program; with a config that is not there, `serve` loads all that serves and ends. */
function run(program: string, args: readonly string[], flags: readonly string[] = []) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", WATCH_PARTS, ...flags, program, ...args],
    {
      encoding: "utf8",
    },
  );
  return { status, stdout, parts: stderr.split("\n").filter((line) => line.startsWith("part ")) };
}

const FAILING_SERVE = ["serve", "--config", "nowhere.yaml", "--admin", "off"];

describe("the built program", () => {
  let folder: Folder;
  beforeAll(async () => {
    folder = await createFolder();
  });
  afterAll(() => folder.remove());
  const copyProgram = async (name: string): Promise<string> => {
    const copy = join(folder.path, name);
    await cp(dirname(PROGRAM), copy, { recursive: true });
    return copy;
  };

  test("starts from what V8 compiled when it was built", () => {
    const { status, parts } = run(PROGRAM, FAILING_SERVE);
    expect(status).toBe(1);
    expect(parts).toEqual(["part cli: from what was compiled", "part serve: from what was compiled"]);
  });

  test("starts its threads from that, too", async () => {
    const config = { upstream: "http://127.0.0.1:9", routes: [{ match: "* /**", authenticated: true }], keys: [] };
    const file = await folder.write("latchkey.json", JSON.stringify(config));
    const watch = ["env", `NODE_OPTIONS=--import=${WATCH_PARTS}`];
    const program = await startProgram(file, ["--workers", "2"], watch);
    try {
      // More than is loaded where requests wait.
      const keys = Array.from({ length: 100 }, (_, index) => ({ id: `k${index}`, hash: sha256Of(String(index)) }));
      await folder.write("latchkey.json", JSON.stringify({ ...config, keys }));
      await program.waitForLine(({ msg }) => msg === "policy reloaded");
    } finally {
      expect(await program.stop()).toBe(0);
    }
    const parts = program
      .stderr()
      .split("\n")
      .filter((line) => line.startsWith("part "));
    const threads = ["plane", "plane", "load"].map((part) => `part ${part}: from what was compiled`);
    expect(parts.slice(-threads.length)).toEqual(threads);
  });

  test("loads for a command nothing of what serves, and to serve nothing of the commands", () => {
    const from = (...parts: readonly string[]) => parts.map((part) => `part ${part}: from what was compiled`);
    expect(run(PROGRAM, ["--version"]).parts).toEqual(from("cli", "commands"));
    expect(run(PROGRAM, FAILING_SERVE).parts).toEqual(from("cli", "serve"));
  });

  test("leaves Node what it compiled of its own modules", async () => {
    const tell = await folder.write(
      "tell.cjs",
      `const builtins = require("internal/test/binding").internalBinding("builtins");
       process.on("exit", () => {
         const { compiledWithoutCache } = builtins.getCacheUsage?.() ?? builtins;
         process.stderr.write("made anew: " + [...compiledWithoutCache].sort().join(" ") + "\\n");
       });`,
    );
    const flags = ["--expose-internals", "--require", tell];
    const { stderr } = spawnSync(process.execPath, [...flags, PROGRAM, ...FAILING_SERVE], { encoding: "utf8" });
    const [, anew = ""] = stderr.split("made anew: ");
    // Flags that differ at one of the loads would show in all that it brings in; these are loaded one at a time, when they are used.
    const names = anew.trim().split(" ");
    expect(
      names.filter((name) => !/^(?:perf_hooks|internal\/(?:perf|navigator|histogram|fs)\b.*)$/.test(name)),
    ).toEqual([]);
  });

  test("loads of Node's modules none that only TLS and upgrades need", () => {
    const tell = 'process.on("exit", () => process.stderr.write(process.moduleLoadList.join("\\n")))';
    const flags = ["--import", `data:text/javascript,${encodeURIComponent(tell)}`];
    const { stderr } = spawnSync(process.execPath, [...flags, PROGRAM, ...FAILING_SERVE], { encoding: "utf8" });
    const loaded = stderr.split("\n").filter((line) => line.startsWith("NativeModule "));
    expect(loaded).toContain("NativeModule http");
    for (const name of ["tls", "https", "http2", "zlib"]) expect(loaded).not.toContain(`NativeModule ${name}`);
    for (const name of ["child_process", "cluster", "readline", "assert"])
      expect(loaded).not.toContain(`NativeModule ${name}`);
  });

  test("starts as well where that was made with other flags", () => {
    const { status, stdout, parts } = run(PROGRAM, ["--version"], ["--no-opt"]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    expect(parts).toEqual(["cli", "commands"].map((part) => `part ${part}: what was compiled was rejected`));
  });

  test("starts as well where it is cut short", async () => {
    const copy = await copyProgram("cut");
    for (const name of await readdir(join(copy, "compiled"))) await writeFile(join(copy, "compiled", name), "no code");
    const { status, parts } = run(join(copy, "main.js"), ["--version"]);
    expect(status).toBe(0);
    expect(parts).toEqual(["cli", "commands"].map((part) => `part ${part}: what was compiled was rejected`));
  });

  test("starts as well where it is not there", async () => {
    const copy = await copyProgram("cold");
    await rm(join(copy, "compiled"), { recursive: true });
    const { status, parts } = run(join(copy, "main.js"), FAILING_SERVE);
    expect(status).toBe(1);
    expect(parts).toEqual(["part cli: compiled anew", "part serve: compiled anew"]);
  });
});
