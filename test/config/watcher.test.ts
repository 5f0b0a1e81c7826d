import { execFile } from "node:child_process";
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  digestOfContent,
  digestOfNames,
  type FileWatcher,
  type Timers,
  type WatchOptions,
  watchFiles,
} from "../../src/config/watcher.ts";

const EVENTS_ONLY = 3_600_000;
const FAST_POLL = 20;

let directory = "";
let watchers: FileWatcher[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "latchkey-watch-"));
  watchers = [];
});

afterEach(async () => {
  for (const watcher of watchers) watcher.close();
  await rm(directory, { recursive: true });
});

/** Counts occurrences; `reach` waits for the nth one, with the test's own deadline. */
function createCounter() {
  let count = 0;
  const waiting: { readonly goal: number; readonly resolve: () => void }[] = [];
  return {
    get count() {
      return count;
    },
    hit: () => {
      count += 1;
      for (const { goal, resolve } of waiting) if (count >= goal) resolve();
    },
    reach: (goal: number) =>
      new Promise<void>((resolve) => (count >= goal ? resolve() : waiting.push({ goal, resolve }))),
  };
}

function createTimers() {
  const fired = createCounter();
  const live = new Set<NodeJS.Timeout>();
  const timers: Timers = {
    setTimeout: (task, delayMs) => {
      const timer = setTimeout(() => {
        live.delete(timer);
        task();
        fired.hit();
      }, delayMs).unref();
      live.add(timer);
      return {
        cancel: () => {
          clearTimeout(timer);
          live.delete(timer);
        },
      };
    },
  };
  return { timers, fired, live };
}

async function digestOf(path: string): Promise<string> {
  return (await stat(path)).isDirectory() ? digestOfNames(await readdir(path)) : digestOfContent(await readFile(path));
}

/** Watches files whose present content is known, so that only later changes are reported. */
async function startWatching(files: readonly string[], options: Partial<WatchOptions> = {}) {
  const changes = createCounter();
  const { timers, fired, live } = createTimers();
  const known = new Map<string, string>();
  for (const file of files) known.set(file, await digestOf(file));
  const watcher = watchFiles(files, changes.hit, { timers, debounceMs: 40, pollMs: EVENTS_ONLY, known, ...options });
  watchers.push(watcher);
  return { changes, watcher, fired, live };
}

/** One update as the kubelet's AtomicWriter makes it: new directory, new link, rename over `..data`, old one removed. */
async function atomicWrite(volume: string, generation: number, files: Readonly<Record<string, string>>): Promise<void> {
  const name = `..2026_01_01_00_00_00.${generation}`;
  const old = (await readdir(volume)).filter((entry) => entry.startsWith("..2026"));
  await mkdir(join(volume, name));
  for (const [file, text] of Object.entries(files)) await writeFile(join(volume, name, file), text);
  await symlink(name, join(volume, "..data_tmp"));
  await rename(join(volume, "..data_tmp"), join(volume, "..data"));
  for (const file of Object.keys(files)) {
    await symlink(join("..data", file), join(volume, file)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
  for (const entry of old) await rm(join(volume, entry), { recursive: true });
}

/** Ways in which a file's content changes under its name. */
const CHANGES: Readonly<Record<string, (path: string, text: string) => Promise<void>>> = {
  "a write in place": (path, text) => writeFile(path, text),
  "a truncation and a slow write in two parts": async (path, text) => {
    await truncate(path);
    await appendFile(path, text.slice(0, 1));
    await appendFile(path, text.slice(1));
  },
  "sed -i": async (path, text) => {
    await writeFile(`${path}.sed`, text);
    await rename(`${path}.sed`, path);
  },
  "an editor that moves the old file away": async (path, text) => {
    await rename(path, `${path}~`);
    await writeFile(path, text);
    await unlink(`${path}~`);
  },
};

describe("watchFiles()", () => {
  test.each(Object.entries(CHANGES))(
    "watchFiles() reports %s once, time after time, by events alone",
    async (_, change) => {
      const path = join(directory, "keys.yaml");
      await writeFile(path, "v0");
      const { changes } = await startWatching([path]);
      for (const generation of [1, 2, 3]) {
        await change(path, `v${generation}`);
        await changes.reach(generation);
      }
      expect(changes.count).toBe(3);
    },
  );

  test("watchFiles() reports every swap of a kubelet volume once, however many files it holds", async () => {
    await atomicWrite(directory, 0, { "latchkey.yaml": "a0", "keys.yaml": "b0" });
    const { changes } = await startWatching([join(directory, "latchkey.yaml"), join(directory, "keys.yaml")]);
    for (const generation of [1, 2, 3]) {
      await atomicWrite(directory, generation, { "latchkey.yaml": `a${generation}`, "keys.yaml": `b${generation}` });
      await changes.reach(generation);
    }
    expect(changes.count).toBe(3);
  });

  test("watchFiles() is silent when a swap leaves the content as it was", async () => {
    await atomicWrite(directory, 0, { "keys.yaml": "same" });
    const { changes, fired } = await startWatching([join(directory, "keys.yaml")], { pollMs: FAST_POLL });
    await atomicWrite(directory, 1, { "keys.yaml": "same" });
    await fired.reach(fired.count + 3);
    expect(changes.count).toBe(0);
    await atomicWrite(directory, 2, { "keys.yaml": "other" });
    await changes.reach(1);
    expect(changes.count).toBe(1);
  });

  test("watchFiles() reports a change beside a log file that is written to all the time, without the poll", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "v0");
    const { changes } = await startWatching([path]);
    const noise = setInterval(() => void appendFile(join(directory, "app.log"), "a line\n"), 5);
    await writeFile(path, "v1");
    await changes.reach(1).finally(() => clearInterval(noise));
    expect(changes.count).toBe(1);
  });

  test("watchFiles() waits for the end of a file that is written piece by piece, however often it looks", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "v0");
    let seen = "";
    const settled = new Promise<void>((resolve) => {
      const known = new Map([[path, digestOfContent(Buffer.from("v0"))]]);
      const { timers } = createTimers();
      const onChange = () =>
        void readFile(path, "utf8")
          .then((text) => (seen ||= text))
          .then(() => resolve());
      watchers.push(watchFiles([path], onChange, { timers, debounceMs: 1, settleMs: 200, pollMs: 3, known }));
    });
    await truncate(path);
    for (const piece of ["a", "b", "c", "d", "e"]) {
      await appendFile(path, piece);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    await settled;
    expect(seen).toBe("abcde");
  });

  test("watchFiles() reports a deletion, and the file's return with other content", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "v0");
    const { changes } = await startWatching([path]);
    await unlink(path);
    await changes.reach(1);
    await writeFile(path, "v1");
    await changes.reach(2);
    expect(changes.count).toBe(2);
  });

  test("watchFiles() reports a file added to a directory in the set", async () => {
    await mkdir(join(directory, "keys.d"));
    const { changes, fired } = await startWatching([join(directory, "keys.d")], { pollMs: FAST_POLL });
    // No glob matches an editor's swap file, so it is no change.
    await writeFile(join(directory, "keys.d", ".a.yaml.swp"), "");
    await fired.reach(fired.count + 3);
    await writeFile(join(directory, "keys.d", "a.yaml"), "");
    await changes.reach(1);
    expect(changes.count).toBe(1);
  });

  test("watchFiles() finds a switched parent symlink, which raises no event, by its poll, and watches on", async () => {
    for (const release of ["one", "two"]) {
      await mkdir(join(directory, release));
      await writeFile(join(directory, release, "keys.yaml"), release);
    }
    await symlink("one", join(directory, "current"));
    const { changes } = await startWatching([join(directory, "current", "keys.yaml")], { pollMs: FAST_POLL });
    await symlink("two", join(directory, "next"));
    await rename(join(directory, "next"), join(directory, "current"));
    await changes.reach(1);
    await writeFile(join(directory, "two", "keys.yaml"), "two again");
    await changes.reach(2);
  });

  test("watchFiles() finds a file that is a symlink into another directory by its poll", async () => {
    await mkdir(join(directory, "elsewhere"));
    const target = join(directory, "elsewhere", "keys.yaml");
    await writeFile(target, "v0");
    await mkdir(join(directory, "here"));
    await symlink(target, join(directory, "here", "keys.yaml"));
    const { changes } = await startWatching([join(directory, "here", "keys.yaml")], { pollMs: FAST_POLL });
    await writeFile(target, "v1");
    await changes.reach(1);
  });

  test("watchFiles() begins with a directory that does not exist yet and ends with one that was replaced", async () => {
    const path = join(directory, "late", "keys.yaml");
    const known = new Map([[path, "error:ENOENT"]]);
    const changes = createCounter();
    const { timers } = createTimers();
    const watcher = watchFiles([path], changes.hit, { timers, debounceMs: 40, pollMs: FAST_POLL, known });
    watchers.push(watcher);
    await mkdir(dirname(path));
    await writeFile(path, "v0");
    await changes.reach(1);
    await rm(dirname(path), { recursive: true });
    await changes.reach(2);
    await mkdir(dirname(path));
    await writeFile(path, "v1");
    await changes.reach(3);
    await writeFile(path, "v2");
    await changes.reach(4);
  });

  test("watchFiles() counts a path whose content nobody vouches for as changed once", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "v0");
    const { changes, fired } = await startWatching([path], { known: new Map(), pollMs: FAST_POLL });
    await changes.reach(1);
    await fired.reach(fired.count + 3);
    expect(changes.count).toBe(1);
  });

  test("watchFiles() does not read a FIFO", async () => {
    const path = join(directory, "fifo");
    await promisify(execFile)("mkfifo", [path]);
    const { changes } = await startWatching([], { pollMs: FAST_POLL });
    watchers[0]?.setFiles([path]);
    await changes.reach(1);
  });

  test("setFiles() adds and drops files while watching", async () => {
    const [first, second] = [join(directory, "a", "keys.yaml"), join(directory, "b", "keys.yaml")];
    for (const path of [first, second]) {
      await mkdir(dirname(path));
      await writeFile(path, "v0");
    }
    const { changes, watcher, fired } = await startWatching([first]);
    watcher.setFiles([second], new Map([[second, await digestOf(second)]]));
    await writeFile(second, "v1");
    await changes.reach(1);
    const firedBefore = fired.count;
    await writeFile(first, "v1");
    await writeFile(second, "v2");
    await changes.reach(2);
    expect(changes.count).toBe(2);
    expect(fired.count).toBeGreaterThan(firedBefore);
  });

  test("close() ends every timer and watch", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "v0");
    const countWatches = () => process.getActiveResourcesInfo().filter((name) => name === "FSEventWrap").length;
    const before = countWatches();
    const { changes, watcher, live } = await startWatching([path]);
    await writeFile(path, "v1");
    await changes.reach(1);
    watcher.close();
    expect(live.size).toBe(0);
    expect(countWatches()).toBe(before);
    await writeFile(path, "v2");
    watcher.setFiles([path, directory]);
    expect(live.size).toBe(0);
    expect(changes.count).toBe(1);
  });

  test("watchFiles() does not keep the process alive", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "v0");
    const script = `
      import { watchFiles } from ${JSON.stringify(new URL("../../src/config/watcher.ts", import.meta.url).href)};
      const timers = { setTimeout: (task, ms) => { const t = setTimeout(task, ms).unref(); return { cancel: () => clearTimeout(t) }; } };
      watchFiles([${JSON.stringify(path)}], () => {}, { timers });
      process.stdout.write("watching");
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], {
      timeout: 10_000,
    });
    expect(stdout).toBe("watching");
  });
});
