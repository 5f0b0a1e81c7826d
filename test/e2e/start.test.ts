import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { testOver } from "../oracle/only-ours.ts";
import { createFolder, PROGRAM, startProgram } from "./harness.ts";

// What these forbid costs tens of milliseconds of CPU at every start, in a container that may have half a core.

test("a start loads nothing of the undici inside Node", async () => {
  const folder = await createFolder();
  const reporter = await folder.write(
    "report.mjs",
    'process.on("exit", () => process.stderr.write("loaded: " + process.moduleLoadList.join()));',
  );
  const config = await folder.write(
    "latchkey.yaml",
    'upstream: http://127.0.0.1:9\nroutes: [{ match: "* /**", authenticated: true }]\nkeys: []\n',
  );
  const program = await startProgram(config, [], ["env", `NODE_OPTIONS=--import=${reporter}`]);
  try {
    expect(await program.stop()).toBe(0);
    const [, loaded = ""] = program.stderr().split("loaded: ");
    expect(loaded).toContain("NativeModule http");
    expect(loaded).not.toContain("undici");
  } finally {
    await folder.remove();
  }
});

const BUNDLE = "the bundle holds little of undici and zod but what is used of them";
testOver(BUNDLE)(BUNDLE, async () => {
  const dist = dirname(PROGRAM);
  const scripts = (await readdir(dist)).filter((name) => name.endsWith(".js"));
  const sizes = await Promise.all(scripts.map(async (name) => (await stat(join(dist, name))).size));
  // The largest part is the one that serves; each holds for itself what it shares with the others.
  expect(Math.max(...sizes)).toBeLessThan(1_100_000);
});
