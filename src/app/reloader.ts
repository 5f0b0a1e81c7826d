import type { Diagnostic } from "../config/diagnostics.ts";
import type { LoadedConfiguration, LoadResult } from "../config/load.ts";
import { describeDiff, diffPolicies } from "../config/policy-diff.ts";
import { createPolicyStore, type Loaded, type PolicyStore, type ReloadOutcome } from "../config/policy-store.ts";
import { restartNeeded } from "../config/restart.ts";
import type { Configuration } from "../config/settings.ts";
import { waitForRest } from "../config/wait-for-rest.ts";
import { watchFiles } from "../config/watcher.ts";
import type { Clock } from "../proxy/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface ReloaderOptions {
  readonly load: () => Promise<LoadResult>;
  readonly first: LoadedConfiguration;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** May refuse a new configuration that is valid by itself. */
  readonly guard: (next: Configuration, current: Configuration) => Promise<readonly Diagnostic[]>;
  /** Puts a new configuration in force: one assignment, made before anything is logged. */
  readonly takeUp: (next: Configuration) => void;
  /** Called after every attempt: what is not part of the config, such as a certificate, may have changed too. */
  readonly afterAttempt: () => Promise<void>;
}

/** Keeps the configuration in force that of the files on disk, or the last good one. */
export interface Reloader {
  readonly reload: () => Promise<ReloadOutcome>;
  readonly lastReload: () => PolicyStore<Configuration>["lastReload"];
  readonly close: () => void;
}

export function startReloader(options: ReloaderOptions): Reloader {
  const { first, log, metrics, clock } = options;
  let files = watchedFiles(first);
  const restClock = {
    now: clock.now,
    pause: (delayMs: number) => new Promise<void>((resolve) => clock.after(delayMs, resolve)),
  };
  const store = createPolicyStore<Configuration>({
    load: async () => {
      const restless = await waitForRest(files, restClock);
      const loaded = restless === undefined ? await options.load() : refuseRestless(restless, files);
      // What a refused main file names is watched too: one of those files may be all that is missing.
      files = loaded.kind === "loaded" ? watchedFiles(loaded) : [...new Set([...files, ...loaded.files])];
      watcher.setFiles(files, loaded.digests);
      return loaded;
    },
    initial: first.configuration,
    nowMs: clock.now,
    guard: options.guard,
    onSwap: (next, previous) => {
      options.takeUp(next.configuration);
      report(next, previous, options);
    },
    onReject: (diagnostics) => {
      metrics.reloaded("failure", store.current.policy.revision, clock.now());
      log.error(
        { diagnostics, revision: store.current.policy.revision },
        "reload rejected, the last good policy stays",
      );
    },
  });
  const reload = async (): Promise<ReloadOutcome> => {
    const outcome = await store.reload();
    if (outcome.kind === "unchanged") metrics.reloaded("unchanged", store.current.policy.revision, clock.now());
    await options.afterAttempt();
    return outcome;
  };
  const timers = { setTimeout: unreferenced };
  const watcher = watchFiles(files, () => void reload(), { timers, known: first.digests });
  metrics.reloaded("success", first.configuration.policy.revision, clock.now());
  return { reload, lastReload: () => store.lastReload, close: () => watcher.close() };
}

function report(next: Loaded<Configuration>, previous: Configuration, { log, metrics, clock, first }: ReloaderOptions) {
  const { policy, settings } = next.configuration;
  log.level = settings.log.level;
  metrics.reloaded("success", policy.revision, clock.now());
  const changes = describeDiff(diffPolicies(previous.policy, policy));
  log.info({ revision: policy.revision, previous: previous.policy.revision, changes }, "policy reloaded");
  for (const warning of next.warnings) log.warn({ warning }, "config warning");
  const pending = restartNeeded(first.configuration.settings, settings);
  if (pending.length > 0) log.warn({ settings: pending }, "these settings change only at a restart");
}

function refuseRestless(file: string, files: readonly string[]): LoadResult {
  const message = "The file is still being written; it is read once it stands still";
  const diagnostic: Diagnostic = { severity: "error", file, line: 0, column: 0, path: "", message };
  return { kind: "rejected", diagnostics: [diagnostic], files, digests: new Map() };
}

function watchedFiles(loaded: LoadedConfiguration): readonly string[] {
  const { tls } = loaded.configuration.settings.listen;
  return tls === undefined ? loaded.files : [...loaded.files, tls.cert, tls.key];
}

/** Watching alone is no reason to stay alive. */
function unreferenced(task: () => void, delayMs: number) {
  const timer = setTimeout(task, delayMs);
  timer.unref();
  return { cancel: () => clearTimeout(timer) };
}
