import { readlink, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SETTLE_MS } from "./watcher.ts";

/** Time as waiting needs it, by the clock that files are dated by. */
export interface RestClock {
  readonly now: () => number;
  readonly pause: (delayMs: number) => Promise<void>;
}

// A file that is still being written to after this long is left to the watcher, which has no hurry.
const MAX_WAIT_MS = 2_000;

// A file from further in the future was dated by another clock, which tells nothing.
const MAX_SKEW_MS = 1_000;

/**
 * Waits until no file was written to for a while, as the watcher does by itself before it asks for a reload: half a
 * file may be valid too. Returns the path of one that does not come to rest; a volume's files are whole from the start.
 */
export async function waitForRest(paths: readonly string[], clock: RestClock): Promise<string | undefined> {
  const deadlineMs = clock.now() + MAX_WAIT_MS;
  for (const path of paths) {
    for (;;) {
      const nowMs = clock.now();
      const restingMs = nowMs - (await writtenAtMs(path));
      if (restingMs >= SETTLE_MS || restingMs < -MAX_SKEW_MS) break;
      if (nowMs >= deadlineMs) return path;
      await clock.pause(SETTLE_MS - restingMs);
    }
  }
  return undefined;
}

// Each load may be of files that are written to while it runs; who does that so often is left to the watcher too.
const MAX_LOADS = 3;

/**
 * Loads when no file was written to for a while, and again when one turns out to have been written to since: between
 * the look at a file and its reading somebody may have begun to write it anew. Otherwise the path of a restless one.
 */
export async function loadAtRest<L extends { readonly files: readonly string[] }>(
  paths: readonly string[],
  load: () => Promise<L>,
  clock: RestClock,
): Promise<{ readonly kind: "loaded"; readonly loaded: L } | { readonly kind: "restless"; readonly path: string }> {
  let watched = paths;
  for (let loads = 1; ; loads += 1) {
    const restless = await waitForRest(watched, clock);
    if (restless !== undefined) return { kind: "restless", path: restless };
    const startedMs = clock.now();
    const loaded = await load();
    const written = await findWrittenSince(startedMs - SETTLE_MS, loaded.files, clock);
    if (written === undefined) return { kind: "loaded", loaded };
    if (loads === MAX_LOADS) return { kind: "restless", path: written };
    watched = [...new Set([...watched, ...loaded.files])];
  }
}

async function findWrittenSince(
  sinceMs: number,
  paths: readonly string[],
  clock: RestClock,
): Promise<string | undefined> {
  for (const path of paths) {
    const atMs = await writtenAtMs(path);
    if (atMs > sinceMs && atMs - clock.now() <= MAX_SKEW_MS) return path;
  }
  return undefined;
}

/** Long ago for what is no plain file: its reader has more to say about it. */
async function writtenAtMs(path: string): Promise<number> {
  try {
    const stats = await stat(path);
    if (!stats.isFile() || (await isInVolume(path))) return 0;
    return stats.mtimeMs;
  } catch {
    return 0;
  }
}

/** Whether a kubelet's volume holds it, whose files are all written before the link to them is swapped. */
async function isInVolume(path: string): Promise<boolean> {
  return readlink(join(dirname(path), "..data")).then(
    () => true,
    () => false,
  );
}
