import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadAtRest, waitForRest } from "../../src/config/wait-for-rest.ts";

const NOW_MS = 1_700_000_000_000;

let directory = "";
let nowMs = NOW_MS;
let pauses: number[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "latchkey-rest-"));
  nowMs = NOW_MS;
  pauses = [];
});
afterEach(() => rm(directory, { recursive: true }));

/** A file that was last written to at that time. */
async function fileOf(writtenAtMs: number, folder = directory): Promise<string> {
  const path = join(folder, "keys.yaml");
  await writeFile(path, "text");
  await utimes(path, writtenAtMs / 1000, writtenAtMs / 1000);
  return path;
}

const wait = (path: string, meanwhile: () => Promise<unknown> = async () => {}) =>
  waitForRest([path], {
    now: () => nowMs,
    pause: async (delayMs) => {
      pauses.push(delayMs);
      nowMs += delayMs;
      await meanwhile();
    },
  });

describe("waitForRest()", () => {
  test("waitForRest() does not wait for a file that has rested for 100 ms", async () => {
    expect(await wait(await fileOf(NOW_MS - 100))).toBeUndefined();
    expect(pauses).toEqual([]);
  });

  test("waitForRest() waits for the rest of 100 ms, and again when the file was written to meanwhile", async () => {
    const path = await fileOf(NOW_MS - 30);
    let writes = 0;
    const meanwhile = async () => {
      writes += 1;
      if (writes === 1) await fileOf(nowMs - 10);
    };
    expect(await wait(path, meanwhile)).toBeUndefined();
    expect(pauses).toEqual([70, 90]);
  });

  test("waitForRest() waits for a file dated a little ahead, by a clock that is finer", async () => {
    expect(await wait(await fileOf(NOW_MS + 1))).toBeUndefined();
    expect(pauses).toEqual([101]);
  });

  test("waitForRest() names a file that is written to without end", async () => {
    const path = await fileOf(NOW_MS - 1);
    expect(await wait(path, () => fileOf(nowMs - 1))).toBe(path);
    expect(nowMs - NOW_MS).toBeGreaterThanOrEqual(2_000);
  });

  test.each([
    ["a file that is not there", () => Promise.resolve(join(directory, "none"))],
    ["a directory", () => Promise.resolve(directory)],
    ["a file dated by a clock that is ahead", () => fileOf(NOW_MS + 5_000)],
    [
      "a file of a volume, which was whole before it was linked",
      async () => {
        await mkdir(join(directory, "..1"));
        await symlink("..1", join(directory, "..data"));
        await fileOf(NOW_MS - 1, join(directory, "..1"));
        await symlink(join("..data", "keys.yaml"), join(directory, "keys.yaml"));
        return join(directory, "keys.yaml");
      },
    ],
  ])("waitForRest() does not wait for %s", async (_, make) => {
    expect(await wait(await make())).toBeUndefined();
    expect(pauses).toEqual([]);
  });
});

describe("loadAtRest()", () => {
  /** Loads a file that is changed while that happens, as often as said. */
  async function load(path: string, changes: number, extra: readonly string[] = []) {
    let loads = 0;
    const result = await loadAtRest(
      [path],
      async () => {
        loads += 1;
        nowMs += 5;
        if (loads <= changes) await fileOf(nowMs - 1);
        return { files: [path, ...extra], loads };
      },
      {
        now: () => nowMs,
        pause: async (delayMs) => {
          nowMs += delayMs;
        },
      },
    );
    return { result, loads };
  }

  test("loadAtRest() loads once what nobody writes to", async () => {
    const path = await fileOf(NOW_MS - 200);
    expect(await load(path, 0)).toMatchObject({ result: { kind: "loaded" }, loads: 1 });
  });

  test("loadAtRest() waits and loads again when a file was begun anew after the look at it", async () => {
    const path = await fileOf(NOW_MS - 200);
    expect(await load(path, 1)).toMatchObject({ result: { kind: "loaded", loaded: { loads: 2 } } });
    expect(nowMs - NOW_MS).toBeGreaterThanOrEqual(100);
  });

  test("loadAtRest() waits for a file that it learns of by loading", async () => {
    const path = await fileOf(NOW_MS - 200);
    const folder = join(directory, "keys.d");
    await mkdir(folder);
    const other = await fileOf(NOW_MS - 1, folder);
    expect(await load(path, 0, [other])).toMatchObject({ result: { kind: "loaded" }, loads: 2 });
  });

  test("loadAtRest() names a file that is written to in every load", async () => {
    const path = await fileOf(NOW_MS - 200);
    expect(await load(path, Number.POSITIVE_INFINITY)).toEqual({ result: { kind: "restless", path }, loads: 3 });
  });
});
