import { describeCopyFailure, keepLastGood, openLastGood } from "../config/last-good.ts";
import { type LoadedConfiguration, parseConfiguration, type RejectedConfiguration } from "../config/load.ts";
import { type Basis, compareWith } from "../config/reload-comparison.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { createSourceIo, readSnapshot, type SourceIo } from "../config/source.ts";
import type { Clock } from "../proxy/clock.ts";
import { beginServing, growingFreely } from "./engine.ts";
import { createLoadThread } from "./load-thread.ts";
import type { LoadRequest } from "./load-worker.ts";

/** Loads the configuration as it stands on disk, at the start and for every reload; one load at a time. */
export interface Loader {
  /** From the files themselves, or from the last good copy of them in a directory. Rejects where there is no such copy. */
  readonly load: (options?: LoadOptions) => Promise<LoadedConfiguration | RejectedConfiguration>;
  /** Copies the files of the last load into a directory; a problem is why it could not. */
  readonly keep: (directory: string) => Promise<string | undefined>;
  readonly close: () => Promise<void>;
}

export interface LoadOptions {
  readonly copy?: string | undefined;
  /** What to compare with. */
  readonly basis?: Basis | undefined;
}

export interface LoaderOptions extends Omit<LoadRequest, "nowMs" | "copy" | "basis"> {
  readonly workerUrl: URL;
  /** Whether nobody is served yet. */
  readonly isStarting: boolean;
  readonly clock: Clock;
}

// YAML takes about a microsecond a character, so this is half of the ten milliseconds that requests may wait.
const MAX_DIRECT_BYTES = 4 * 1024;
// At the start nobody waits but for the start itself, and a thread takes 70 ms to begin. Of 10,000 keys it would need more
// memory, too; beyond these the garbage of this thread's own collector is the larger.
const MAX_DIRECT_BYTES_AT_START = 4 * 1024 * 1024;

// Some 3,500 keys: from there on what the optimising compilers bring is more than the memory they take is worth.
const MAX_UNOPTIMISED_BYTES = 1024 * 1024;

// Comparing with this many keys takes a millisecond too.
const MAX_DIRECT_BASIS_BYTES = 256 * 1024;

/** Small files are loaded where they are needed, since that is faster; all others in a thread of their own. */
export function createLoader({ workerUrl, clock, configFile, overrides, env, isStarting }: LoaderOptions): Loader {
  const thread = createLoadThread(workerUrl, clock);
  let maxBytes = isStarting ? MAX_DIRECT_BYTES_AT_START : MAX_DIRECT_BYTES;
  let small: Snapshot | undefined;
  const inThread: typeof thread.load = (request) => {
    beginServing();
    return growingFreely(() => thread.load(request));
  };
  const here = (snapshot: Snapshot, basis: Basis | undefined) => {
    if (isStarting && sizeOf(snapshot) > MAX_UNOPTIMISED_BYTES) beginServing();
    return withoutDocument(parseConfiguration(snapshot, overrides, clock.now()), basis);
  };
  return {
    load: async ({ copy, basis } = {}) => {
      const io = copy === undefined ? createSourceIo(env) : (await openLastGood(copy, env)).io;
      const isLarge = basis !== undefined && basis.keys.byteLength > MAX_DIRECT_BASIS_BYTES;
      small = isLarge ? undefined : await readSmallSnapshot(configFile, io, maxBytes);
      const result =
        small === undefined
          ? await inThread({ configFile, overrides, env: { ...env }, nowMs: clock.now(), copy, basis })
          : here(small, basis);
      if (result.kind === "loaded") maxBytes = MAX_DIRECT_BYTES;
      return result;
    },
    keep: async (directory) => {
      if (small === undefined) return thread.keep(directory, clock.now());
      try {
        await keepLastGood(small, directory, clock.now());
        return undefined;
      } catch (error) {
        return describeCopyFailure(error);
      }
    },
    close: thread.close,
  };
}

function sizeOf({ main, keysFiles }: Snapshot): number {
  return keysFiles.reduce((sum, { text }) => sum + text.length, main?.text.length ?? 0);
}

/** Whoever can say where something stands keeps the whole document in memory. */
function withoutDocument(
  result: ReturnType<typeof parseConfiguration>,
  basis: Basis | undefined,
): LoadedConfiguration | RejectedConfiguration {
  if (result.kind === "rejected") return result;
  const { kind, configuration, input, warnings, files, digests } = result;
  const comparison = basis && compareWith(basis, configuration);
  return { kind, configuration, input, warnings, files, digests, comparison };
}

/** All the files at once, unless together they are larger than that. */
async function readSmallSnapshot(configFile: string, io: SourceIo, maxBytes: number): Promise<Snapshot | undefined> {
  const sizes = new Map<string, number>();
  const isTooMuch = () => [...sizes.values()].reduce((sum, size) => sum + size, 0) > maxBytes;
  const snapshot = await readSnapshot(configFile, {
    ...io,
    stat: async (path) => {
      const stats = await io.stat(path);
      sizes.set(path, stats.size);
      return stats;
    },
    // The snapshot is thrown away then, so that it does not matter what stands in it.
    readFile: (path) => (isTooMuch() ? Promise.resolve(new Uint8Array()) : io.readFile(path)),
  });
  return isTooMuch() ? undefined : snapshot;
}
