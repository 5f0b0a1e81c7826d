import { once } from "node:events";
import { appendFile, mkdir, rename, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, type Program, startProgram, type Upstream } from "../e2e/harness.ts";
import { swapVolume } from "./changes.ts";
import { DOOMED, keysYaml, mainYaml, STEADY, startEcho } from "./deployment.ts";
import { ask, firstAnswer, isRefused, reload, startTraffic } from "./traffic.ts";

describe("the built program, while its files are in disorder,", { timeout: 60_000 }, () => {
  let upstream: Upstream;

  beforeAll(async () => {
    upstream = await startEcho();
  });
  afterAll(() => upstream.close());

  /** Starts on what `lay` wrote, and expects every request meanwhile to be answered; hands back the pairs seen. */
  async function withTraffic(
    lay: (folder: string) => Promise<string>,
    use: (program: Program, folder: string) => Promise<void>,
  ): Promise<ReadonlySet<string>> {
    const folder = await createFolder();
    const program = await startProgram(await lay(folder.path));
    try {
      const traffic = startTraffic(program);
      await use(program, folder.path);
      const { failures, pairs } = await traffic.stop();
      expect(failures).toEqual([]);
      return pairs;
    } finally {
      await program.stop();
      await folder.remove();
    }
  }

  const write = (folder: string, name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 });

  const layPlain = async (folder: string): Promise<string> => {
    await mkdir(join(folder, "etc"));
    await write(folder, "etc/keys.yaml", keysYaml(1, 0));
    await write(folder, "etc/latchkey.yaml", mainYaml(upstream.url, 1, "keys.yaml"));
    return join(folder, "etc", "latchkey.yaml");
  };

  test("never mixes the files of two generations of a volume, however fast they follow each other", async () => {
    const swap = (folder: string, generation: number) =>
      swapVolume(folder, {
        "latchkey.yaml": mainYaml(upstream.url, generation, "keys.yaml"),
        "keys.yaml": keysYaml(generation, 0),
      });
    const LAST = 150;
    const pairs = await withTraffic(
      async (folder) => {
        await swap(folder, 1);
        return join(folder, "latchkey.yaml");
      },
      async (program, folder) => {
        let swapping = true;
        const reloading = (async () => {
          while (swapping) await reload(program);
        })();
        for (let generation = 2; generation <= LAST; generation += 1) {
          await swap(folder, generation);
          // Now and then as long as a load takes.
          await pause(generation % 4 === 0 ? 20 : 0);
        }
        swapping = false;
        await reloading;
        await firstAnswer(program, STEADY[0], ({ main }) => main === LAST);
      },
    );
    const torn = [...pairs].filter((pair) => !/^(\d+)\/\1$/.test(pair));
    expect(torn).toEqual([]);
    expect(pairs.size).toBeGreaterThan(10);
  });

  test("waits with a main file whose keys are in a volume that changes later", async () => {
    const config = (folder: string, generation: number) =>
      swapVolume(join(folder, "config"), {
        "latchkey.yaml": mainYaml(upstream.url, generation, `../secret/keys-${generation}.yaml`),
      });
    const secret = (folder: string, generation: number) =>
      swapVolume(join(folder, "secret"), { [`keys-${generation}.yaml`]: keysYaml(generation, generation - 1) });
    const pairs = await withTraffic(
      async (folder) => {
        await secret(folder, 1);
        await config(folder, 1);
        return join(folder, "config", "latchkey.yaml");
      },
      async (program, folder) => {
        for (const [index, doomed] of DOOMED.slice(0, 3).entries()) {
          await config(folder, index + 2);
          await expect.poll(() => successGauge(program)).toBe("0");
          expect(await ask(program, doomed)).toMatchObject({ status: 200, main: index + 1, keys: index + 1 });
          await secret(folder, index + 2);
          await firstAnswer(program, doomed, isRefused);
          expect(await successGauge(program)).toBe("1");
        }
      },
    );
    expect([...pairs].toSorted()).toEqual(["1/1", "2/2", "3/3", "4/4"]);
  });

  test("takes up a keys file that comes after the main file that names it, in a directory nobody watched", async () => {
    await withTraffic(layPlain, async (program, folder) => {
      await write(folder, "etc/latchkey.yaml", mainYaml(upstream.url, 2, "../later/keys.yaml"));
      await expect.poll(() => successGauge(program)).toBe("0");
      await mkdir(join(folder, "later"));
      await write(folder, "later/keys.yaml", keysYaml(2, 1));
      await firstAnswer(program, "doomed1", isRefused);
    });
  });

  const whole = keysYaml(9, 6);
  const broken: readonly (readonly [name: string, breakUp: (etc: string) => Promise<void>])[] = [
    ["an empty keys file", (etc) => truncate(join(etc, "keys.yaml"))],
    ["a keys file of blanks", (etc) => write(etc, "keys.yaml", " \n\n")],
    ["a keys file of nothing but a comment", (etc) => write(etc, "keys.yaml", "# keys:\n")],
    ["half a keys file", (etc) => write(etc, "keys.yaml", whole.slice(0, whole.lastIndexOf("hash")))],
    ["a keys file that is gone", (etc) => unlink(join(etc, "keys.yaml"))],
    ["an empty main file", (etc) => truncate(join(etc, "latchkey.yaml"))],
    ["half a main file", (etc) => write(etc, "latchkey.yaml", mainYaml(upstream.url, 9, "keys.yaml").slice(0, 60))],
    ["a main file that is gone", (etc) => unlink(join(etc, "latchkey.yaml"))],
    ["a directory that is gone", (etc) => rename(etc, `${etc}.away`)],
  ];

  test.each(broken)("keeps its policy over %s, and takes up the repaired files", async (_, breakUp) => {
    const pairs = await withTraffic(layPlain, async (program, folder) => {
      const etc = join(folder, "etc");
      await breakUp(etc);
      await expect.poll(() => successGauge(program), { timeout: 5_000 }).toBe("0");
      expect(await reload(program)).toBe("rejected");
      for (const id of DOOMED) expect(await ask(program, id)).toMatchObject({ status: 200, main: 1, keys: 1 });

      await mkdir(etc, { recursive: true });
      await write(etc, "keys.yaml", keysYaml(2, 1));
      await write(etc, "latchkey.yaml", mainYaml(upstream.url, 2, "keys.yaml"));
      await firstAnswer(program, "doomed1", isRefused);
      expect(await successGauge(program)).toBe("1");
    });
    expect([...pairs].toSorted()).toEqual(["1/1", "2/2"]);
  });

  test.each(["POST /-/reload", "SIGHUP"])(
    "does not take up a file that is sound but not yet written to its end when told by %s",
    async (how) => {
      const folder = await createFolder();
      const program = await startProgram(await layPlain(folder.path));
      const keys = join(folder.path, "etc", "keys.yaml");
      let timely = 0;
      for (let generation = 2; generation <= 7; generation += 1) {
        const [head = "", ...records] = keysYaml(generation, generation - 1)
          .trimEnd()
          .split("\n");
        const text = [head, ...records.toReversed(), ""].join("\n");
        // What stands there until the rest comes is a keys file too, in which only the last key is missing.
        const cut = text.lastIndexOf("\n", text.length - 2) + 1;
        const traffic = startTraffic(program);
        const startedMs = performance.now();
        await truncate(keys);
        await appendFile(keys, text.slice(0, cut));
        const told = how === "SIGHUP" ? program.process.kill("SIGHUP") : reload(program);
        await pause(40);
        await appendFile(keys, text.slice(cut));
        const gapMs = performance.now() - startedMs;
        await told;
        await firstAnswer(program, DOOMED[generation - 2] ?? "", isRefused);
        await firstAnswer(program, STEADY[0], (answer) => answer.keys === generation);
        const { failures } = await traffic.stop();
        // Whoever pauses for longer in the middle of a file, as this test on a busy machine, is taken to be done.
        if (gapMs > 80) continue;
        timely += 1;
        expect(failures).toEqual([]);
      }
      expect(timely).toBeGreaterThan(0);
      await program.stop();
      await folder.remove();
    },
  );

  test("survives a storm of signals", async () => {
    await withTraffic(layPlain, async (program, folder) => {
      for (let turn = 0; turn < 200; turn += 1) program.process.kill("SIGHUP");
      await write(folder, "etc/keys.yaml", keysYaml(2, 1));
      await firstAnswer(program, "doomed1", isRefused);
      const stopped = once(program.process, "exit");
      expect(await Promise.race([stopped, pause(100, "running")])).toBe("running");
    });
  });
});

async function successGauge(program: Program): Promise<string | undefined> {
  const text = await (await fetch(`${program.adminUrl}/metrics`)).text();
  return /^latchkey_config_last_reload_success (\d)$/m.exec(text)?.[1];
}
