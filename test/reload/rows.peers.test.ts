import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, type Program, startProgram, type Upstream } from "../e2e/harness.ts";
import { CHANGES, changedAtMs, release, swapVolume } from "./changes.ts";
import { DOOMED, keysYaml, mainYaml, recordOf, STEADY, startEcho } from "./deployment.ts";
import { ask, firstAnswer, isAllowed, isRefused, measure, reload, startTraffic } from "./traffic.ts";

/** One generation of what is on disk. */
interface Files {
  readonly main: string;
  readonly keys: string;
}

interface Row {
  /** Puts the first generation in place and says which file is the main one. */
  readonly lay: (folder: string, files: Files) => Promise<string>;
  /** Puts the next one there and says at which path the change was made. */
  readonly change: (folder: string, files: Files) => Promise<string>;
  /** What `keys` in the main file says. */
  readonly keys?: string;
  /** How the program is started, where that is part of the row. */
  readonly under?: (folder: string) => readonly string[];
  /** How many changes are made; the fastest must keep the bound, since the machine may be busy. */
  readonly times: number;
  readonly boundMs: number;
}

// What revocation promises: from the change of the file to the first refusal.
const EVENT_MS = 250;
// What raises no event waits for the poll of the content, every 2 s, and for a second look that agrees.
const POLL_MS = 2_400;
// However busy the machine is: the poll is the net under every row.
const NEVER_LATER_MS = 5_000;

const plain = (change: (path: string, text: string) => Promise<void>): Row => ({
  lay: async (folder, { main, keys }) => {
    await writeFile(join(folder, "keys.yaml"), keys, { mode: 0o600 });
    await writeFile(join(folder, "latchkey.yaml"), main);
    return join(folder, "latchkey.yaml");
  },
  change: async (folder, { keys }) => {
    await change(join(folder, "keys.yaml"), keys);
    return join(folder, "keys.yaml");
  },
  times: 4,
  boundMs: EVENT_MS,
});

const swapBoth: Row["change"] = async (folder, { main, keys }) => {
  await swapVolume(folder, { "latchkey.yaml": main, "keys.yaml": keys });
  return join(folder, "..data");
};

const swapTwo: Row["change"] = async (folder, { main, keys }) => {
  await swapVolume(join(folder, "config"), { "latchkey.yaml": main });
  await swapVolume(join(folder, "secret"), { "keys.yaml": keys });
  return join(folder, "secret", "..data");
};

const releaseBoth = async (folder: string, { main, keys }: Files) => {
  releases += 1;
  await release(folder, String(releases), { "latchkey.yaml": main, "keys.yaml": keys });
  return join(folder, "current");
};
let releases = 0;

/** A file mounted over a file, as `docker run -v file:file` does, in a mount namespace of the program's own. */
const bindMounted: Row = {
  lay: async (folder, { main, keys }) => {
    await mkdir(join(folder, "mounted"));
    await writeFile(join(folder, "source.yaml"), keys, { mode: 0o600 });
    await writeFile(join(folder, "mounted", "keys.yaml"), "hidden by the mount", { mode: 0o600 });
    await writeFile(join(folder, "mounted", "latchkey.yaml"), main);
    return join(folder, "mounted", "latchkey.yaml");
  },
  change: async (folder, { keys }) => {
    await writeFile(join(folder, "source.yaml"), keys);
    return join(folder, "source.yaml");
  },
  under: (folder) => [
    ...["unshare", "--mount", "--propagation", "private", "sh", "-c"],
    'mount --bind "$1" "$2" && shift 2 && exec "$@"',
    ...["sh", join(folder, "source.yaml"), join(folder, "mounted", "keys.yaml")],
  ],
  times: 2,
  boundMs: POLL_MS,
};

const ROWS: readonly (readonly [name: string, row: Row])[] = [
  ...Object.entries(CHANGES).map(([name, change]) => [name, plain(change)] as const),
  [
    "the kubelet's swap of a volume with both files",
    {
      lay: async (folder, files) => {
        await swapBoth(folder, files);
        return join(folder, "latchkey.yaml");
      },
      change: swapBoth,
      times: 4,
      boundMs: EVENT_MS,
    },
  ],
  [
    "the kubelet's swap of a ConfigMap and then of a Secret",
    {
      lay: async (folder, files) => {
        await swapTwo(folder, files);
        return join(folder, "config", "latchkey.yaml");
      },
      change: swapTwo,
      keys: "../secret/keys.yaml",
      times: 4,
      boundMs: EVENT_MS,
    },
  ],
  [
    "a symlink to the whole directory switched to the next release",
    {
      lay: async (folder, files) => {
        await releaseBoth(folder, files);
        return join(folder, "current", "latchkey.yaml");
      },
      change: releaseBoth,
      times: 2,
      boundMs: POLL_MS,
    },
  ],
  ["a bind-mounted single file written in place", bindMounted],
];

describe("the built program takes up, while requests flow and none of them fails,", { timeout: 60_000 }, () => {
  let upstream: Upstream;
  const figures: string[] = [];

  beforeAll(async () => {
    upstream = await startEcho();
  });
  afterAll(async () => {
    await upstream.close();
    process.stdout.write(`From the change to the first refusal, in ms:\n${figures.join("")}`);
  });

  const note = (name: string, latencies: readonly number[]): void => {
    figures.push(`  ${name}: ${latencies.map((latency) => latency.toFixed(0)).join(" ")}\n`);
  };

  async function withProgram(row: Row, use: (program: Program, folder: string) => Promise<void>): Promise<void> {
    const folder = await createFolder();
    const { keys = "keys.yaml" } = row;
    const main = await row.lay(folder.path, { main: mainYaml(upstream.url, 1, keys), keys: keysYaml(1, 0) });
    const program = await startProgram(main, [], row.under?.(folder.path));
    try {
      const traffic = startTraffic(program);
      await use(program, folder.path);
      const { answered, failures } = await traffic.stop();
      expect(failures).toEqual([]);
      expect(answered).toBeGreaterThan(0);
    } finally {
      await program.stop();
      await folder.remove();
    }
  }

  const filesOf = (row: Row, generation: number): Files => ({
    main: mainYaml(upstream.url, generation, row.keys ?? "keys.yaml"),
    keys: keysYaml(generation, generation - 1),
  });

  test.each(ROWS)("%s, time after time", async (name, row) => {
    await withProgram(row, async (program, folder) => {
      const latencies = await measure(row.times, row.boundMs, async (turn) => {
        const doomed = DOOMED[turn] ?? "";
        expect(await ask(program, doomed)).toMatchObject({ status: 200 });
        const refusedAt = firstAnswer(program, doomed, isRefused);
        const place = await row.change(folder, filesOf(row, turn + 2));
        const changedAt = await changedAtMs(place);
        const latency = (await refusedAt) - changedAt;
        expect(await ask(program, STEADY[0])).toMatchObject({ status: 200, keys: turn + 2 });
        return latency;
      });
      note(name, latencies);
      expect(Math.min(...latencies)).toBeLessThan(row.boundMs);
      expect(Math.max(...latencies)).toBeLessThan(NEVER_LATER_MS);
    });
  });

  test.each([
    ["SIGHUP", (program: Program) => Promise.resolve(program.process.kill("SIGHUP"))],
    [
      "POST /-/reload",
      async (program: Program, doomed: string) => {
        // Unchanged, when the poll came between the change and the question: then it is in force already.
        expect(await reload(program)).toMatch(/^(?:swapped|unchanged)$/);
        expect(await ask(program, doomed)).toSatisfy(isRefused);
      },
    ],
  ])("what raised no event, at once when told by %s", async (name, tell) => {
    await withProgram(bindMounted, async (program, folder) => {
      const latencies = await measure(4, EVENT_MS, async (turn) => {
        await bindMounted.change(folder, filesOf(bindMounted, turn + 2));
        const toldAt = Date.now();
        const doomed = DOOMED[turn] ?? "";
        const refusedAt = firstAnswer(program, doomed, isRefused);
        await tell(program, doomed);
        return (await refusedAt) - toldAt;
      });
      note(name, latencies);
      expect(Math.min(...latencies)).toBeLessThan(EVENT_MS);
    });
  });

  test("files added to and removed from a glob, time after time", async () => {
    const row = plain(CHANGES["cat >"]);
    await withProgram(
      { ...row, keys: '{ files: [keys.yaml, "keys.d/*.yaml"] }', lay: layGlob },
      async (program, folder) => {
        const latencies = await measure(4, EVENT_MS, async (turn) => {
          const id = `extra${turn % 2}`;
          const file = join(folder, "keys.d", `${id}.yaml`);
          const allowedAt = firstAnswer(program, id, isAllowed);
          await writeFile(file, `keys:\n${recordOf(id, turn)}`, { mode: 0o600 });
          const addedAt = await changedAtMs(file);
          const added = (await allowedAt) - addedAt;
          const refusedAt = firstAnswer(program, id, isRefused);
          await rm(file);
          const removedAt = await changedAtMs(join(folder, "keys.d"));
          return Math.max(added, (await refusedAt) - removedAt);
        });
        note("a file added to a glob and removed, the slower of the two", latencies);
        expect(Math.min(...latencies)).toBeLessThan(EVENT_MS);
      },
    );
  });

  const layGlob: Row["lay"] = async (folder, files) => {
    await mkdir(join(folder, "keys.d"));
    return plain(CHANGES["cat >"]).lay(folder, files);
  };
});
