import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const MODULE = fileURLToPath(new URL("../../src/app/young-generation.ts", import.meta.url));
const ENGINE = fileURLToPath(new URL("../../src/app/engine.ts", import.meta.url));

/** How large V8 made each half of the young generation, in MB, while some megabytes of it were in use at any time. */
async function growYoung(begin: string): Promise<number> {
  const program = `
    import { getHeapSpaceStatistics } from "node:v8";
    import { boundGarbage } from ${JSON.stringify(MODULE)};
    import { beginStart, growingFreely } from ${JSON.stringify(ENGINE)};
    ${begin}
    const used = Array.from({ length: 40_000 });
    for (let turn = 0; turn < 300; turn += 1) {
      for (let at = 0; at < used.length; at += 1) used[at] = { turn, at, more: [turn, at] };
      await new Promise(setImmediate);
    }
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
    console.log((young.space_used_size + young.space_available_size) / 1024 / 1024);`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
  return Number(stdout);
}

const BOUND = 12;

test("boundGarbage() bounds the young generation, which would grow beyond it", async () => {
  expect(await growYoung("")).toBeGreaterThan(BOUND);
  expect(await growYoung("boundGarbage();")).toBeLessThanOrEqual(BOUND);
});

test("growingFreely() lets it grow as it would, for as long as that lasts", async () => {
  expect(await growYoung("boundGarbage(); void growingFreely(() => new Promise(() => {}));")).toBeGreaterThan(BOUND);
  expect(await growYoung("boundGarbage(); await growingFreely(async () => {});")).toBeLessThanOrEqual(BOUND);
});

test("boundGarbage() leaves what Node was told of it on its command line", async () => {
  expect(await growYoung('beginStart(["--max-semi-space-size=32"]); boundGarbage();')).toBeGreaterThan(BOUND);
});
