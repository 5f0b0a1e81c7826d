import type { Diagnostic } from "./diagnostics.ts";
import type { KnownDigests } from "./watcher.ts";

/** What the store must know of a configuration; the rest is the caller's. */
export interface Revisioned {
  readonly policy: { readonly revision: string };
}

/** What to watch for a change of what was loaded, or for the mending of what was rejected. */
export interface Watched {
  /** Absolute paths of all it was read from or should have been, and of directories where a `*` may find more. */
  readonly files: readonly string[];
  /** What was read at them. */
  readonly digests: KnownDigests;
}

/** A whole new configuration; what else is known of it is the caller's. */
export interface Loaded<C> extends Watched {
  readonly kind: "loaded";
  readonly configuration: C;
  readonly warnings: readonly Diagnostic[];
}

export interface Rejected extends Watched {
  readonly kind: "rejected";
  readonly diagnostics: readonly Diagnostic[];
}

export type ReloadOutcome =
  | { readonly kind: "swapped"; readonly revision: string; readonly previous: string }
  | { readonly kind: "unchanged" }
  | { readonly kind: "rejected"; readonly diagnostics: readonly Diagnostic[] };

export interface PolicyStoreOptions<C extends Revisioned, L extends Loaded<C> = Loaded<C>> {
  /** Reads and compiles the files anew, off the event loop. A throw is a rejection. */
  readonly load: (current: C) => Promise<L | Rejected>;
  readonly initial: C;
  readonly nowMs: () => number;
  /** A last word on a new configuration that is valid by itself; any diagnostic rejects it, and so does a throw. */
  readonly guard?: (next: L, current: C) => Promise<readonly Diagnostic[]>;
  /** Why `initial` is not what the files say, where it is not: it stands for a first reload that was rejected. */
  readonly rejected?: readonly Diagnostic[];
  /** Called after `current` holds the new configuration; the next load waits for its end. */
  readonly onSwap: (next: L, previous: C) => Promise<void>;
  readonly onReject: (rejected: Rejected) => void;
}

export interface PolicyStore<C> {
  /** The configuration in force. A request reads it once and keeps what it read to its end. */
  readonly current: C;
  /** Undefined before the first reload. */
  readonly lastReload: { readonly atMs: number; readonly outcome: ReloadOutcome } | undefined;
  /** Loads and, if all is well, swaps. One load runs at a time; calls made meanwhile share the one that follows. */
  readonly reload: () => Promise<ReloadOutcome>;
}

/** Holds the configuration in force. A reload replaces it whole, in one assignment, or leaves the last good one. */
export function createPolicyStore<C extends Revisioned, L extends Loaded<C> = Loaded<C>>(
  options: PolicyStoreOptions<C, L>,
): PolicyStore<C> {
  // Taken apart here, so that nothing holds the first configuration once there is a second.
  const { load, guard, nowMs, onSwap, onReject } = options;
  let running: Promise<ReloadOutcome> | undefined;
  let queued: Promise<ReloadOutcome> | undefined;

  const store: { current: C; lastReload: PolicyStore<C>["lastReload"]; reload: PolicyStore<C>["reload"] } = {
    current: options.initial,
    lastReload:
      options.rejected === undefined
        ? undefined
        : { atMs: nowMs(), outcome: { kind: "rejected", diagnostics: options.rejected } },
    reload() {
      if (running === undefined) return start();
      // What the running load has read may already be old, so whoever asks now waits for the next one.
      queued ??= running.then(start, start);
      return queued;
    },
  };

  function start(): Promise<ReloadOutcome> {
    queued = undefined;
    running = run().finally(() => {
      running = queued;
    });
    return running;
  }

  async function run(): Promise<ReloadOutcome> {
    const previous = store.current;
    const loaded = await loadSafely(() => loadGuarded(previous));
    if (loaded.kind === "rejected") {
      const outcome = conclude({ kind: "rejected", diagnostics: loaded.diagnostics });
      onReject(loaded);
      return outcome;
    }
    const { revision } = loaded.configuration.policy;
    if (revision === previous.policy.revision) return conclude({ kind: "unchanged" });
    store.current = loaded.configuration;
    const outcome = conclude({ kind: "swapped", revision, previous: previous.policy.revision });
    await onSwap(loaded, previous);
    return outcome;
  }

  async function loadGuarded(previous: C): Promise<L | Rejected> {
    const loaded = await load(previous);
    const isNew = loaded.kind === "loaded" && loaded.configuration.policy.revision !== previous.policy.revision;
    const diagnostics = isNew ? ((await guard?.(loaded, previous)) ?? []) : [];
    const { files, digests } = loaded;
    return diagnostics.length > 0 ? { kind: "rejected", diagnostics, files, digests } : loaded;
  }

  function conclude(outcome: ReloadOutcome): ReloadOutcome {
    store.lastReload = { atMs: nowMs(), outcome };
    return outcome;
  }

  return store;
}

/** An exception while loading must not end a process that has a good policy in force. */
async function loadSafely<L>(load: () => Promise<L | Rejected>): Promise<L | Rejected> {
  try {
    return await load();
  } catch (error) {
    const message = `the reload failed: ${error instanceof Error ? error.message : String(error)}`;
    const diagnostic: Diagnostic = { severity: "error", file: "", line: 0, column: 0, path: "", message };
    return { kind: "rejected", diagnostics: [diagnostic], files: [], digests: new Map() };
  }
}
