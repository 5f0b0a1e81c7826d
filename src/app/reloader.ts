import type { Diagnostic } from "../config/diagnostics.ts";
import { describeCopyFailure } from "../config/last-good.ts";
import type { LoadedConfiguration, RejectedConfiguration } from "../config/load.ts";
import { describeChanges } from "../config/policy-diff.ts";
import { createPolicyStore, type PolicyStore, type ReloadOutcome } from "../config/policy-store.ts";
import { describeComparison, toBasis } from "../config/reload-comparison.ts";
import { restartNeeded } from "../config/restart.ts";
import type { Configuration, Settings } from "../config/settings.ts";
import { diffSettings } from "../config/settings-diff.ts";
import { loadAtRest } from "../config/wait-for-rest.ts";
import { watchFiles } from "../config/watcher.ts";
import type { Clock } from "../proxy/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Fallback } from "./first-load.ts";
import type { Loader } from "./loader.ts";
import { findTlsProblem } from "./tls-material.ts";
import { watchTimers } from "./watch-timers.ts";

export interface ReloaderOptions {
  readonly loader: Loader;
  /** Where each good configuration is copied to. */
  readonly lastGood: string | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** May refuse a new configuration that is valid by itself. */
  readonly guard: (next: LoadedConfiguration) => readonly Diagnostic[];
  /** Puts a new configuration in force, before anything is logged. */
  readonly takeUp: (next: LoadedConfiguration) => void | Promise<void>;
  /** Called after every attempt: what is not part of the config, such as a certificate, may have changed too. */
  readonly afterAttempt: () => Promise<void>;
}

/** Keeps the configuration in force that of the files on disk, or the last good one. */
export interface Reloader {
  /** The configuration in force. */
  readonly current: () => Configuration;
  /** When it came into force. */
  readonly sinceMs: () => number;
  readonly reload: () => Promise<ReloadOutcome>;
  readonly lastReload: () => PolicyStore<Configuration>["lastReload"];
  /** When the copy was made that is in force since the start; undefined once the files are. */
  readonly lastGoodCopy: () => string | undefined;
  readonly close: () => void;
}

/** `fallback` is why `first` is not what the files say, where it is not. The options outlive `first`, which is large. */
export function startReloader(
  first: LoadedConfiguration,
  fallback: Fallback | undefined,
  options: ReloaderOptions,
): Reloader {
  const { loader, log, metrics, clock } = options;
  const startSettings = first.configuration.settings;
  const seen = fallback?.rejected ?? first;
  let files: readonly string[] = [...new Set([...watchedFiles(first), ...seen.files])];
  let lastGoodCopy = fallback?.keptAt;
  let sinceMs = clock.now();
  const restClock = {
    now: clock.now,
    pause: (delayMs: number) => new Promise<void>((resolve) => clock.after(delayMs, resolve)),
  };
  const store = createPolicyStore<Configuration, LoadedConfiguration>({
    load: async (current) => {
      await copied;
      const attempt = await loadAtRest(files, () => loader.load({ basis: toBasis(current) }), restClock);
      const loaded = attempt.kind === "loaded" ? attempt.loaded : refuseRestless(attempt.path, files);
      // What a refused main file names is watched too: one of those files may be all that is missing.
      files = loaded.kind === "loaded" ? watchedFiles(loaded) : [...new Set([...files, ...loaded.files])];
      watcher.setFiles(files, loaded.digests);
      return loaded;
    },
    initial: first.configuration,
    ...(fallback === undefined ? {} : { rejected: fallback.rejected.diagnostics }),
    nowMs: clock.now,
    guard: async (next) => options.guard(next),
    onSwap: async (next, previous) => {
      sinceMs = clock.now();
      await options.takeUp(next);
      log.level = next.configuration.settings.log.level;
      metrics.reloaded("success", next.configuration.policy.revision, clock.now());
      report(next, previous, startSettings, options);
      await keepCopy(next.configuration, options);
    },
    onReject: ({ diagnostics }) => {
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
    if (outcome.kind !== "rejected") lastGoodCopy = undefined;
    await options.afterAttempt();
    return outcome;
  };
  /** Of a change that was seen nobody waits for the outcome. */
  const follow = (): void =>
    void reload().catch((error: unknown) => log.error({ error: String(error) }, "reload broke off"));
  const watcher = watchFiles(files, follow, { timers: watchTimers, known: seen.digests });
  const { revision } = first.configuration.policy;
  metrics.reloaded("success", revision, clock.now());
  const copied = fallback === undefined ? keepCopy(first.configuration, options) : Promise.resolve();
  if (fallback !== undefined) {
    metrics.reloaded("failure", revision, clock.now());
    const { diagnostics } = fallback.rejected;
    log.error(
      { diagnostics, revision, keptAt: lastGoodCopy },
      "config rejected at the start, the last good copy is in force",
    );
  }
  return {
    current: () => store.current,
    sinceMs: () => sinceMs,
    reload,
    lastReload: () => store.lastReload,
    lastGoodCopy: () => lastGoodCopy,
    close: () => watcher.close(),
  };
}

function report(
  next: LoadedConfiguration,
  previous: Configuration,
  startSettings: Settings,
  { log }: ReloaderOptions,
): void {
  const { policy, settings } = next.configuration;
  const { comparison } = next;
  const changes = [
    ...(comparison === undefined ? [] : describeComparison(comparison, previous.policy, policy)),
    ...describeChanges(diffSettings(previous.settings, settings)),
  ];
  log.info({ revision: policy.revision, previous: previous.policy.revision, changes }, "policy reloaded");
  for (const warning of next.warnings) log.warn({ warning }, "config warning");
  const pending = restartNeeded(startSettings, settings);
  if (pending.length > 0) log.warn({ settings: pending }, "these settings change only at a restart");
}

function refuseRestless(file: string, files: readonly string[]): RejectedConfiguration {
  const message = "The file is still being written; it is read once it stands still";
  const diagnostic: Diagnostic = { severity: "error", file, line: 0, column: 0, path: "", message };
  return { kind: "rejected", diagnostics: [diagnostic], files, digests: new Map() };
}

function watchedFiles(loaded: LoadedConfiguration): readonly string[] {
  const { tls } = loaded.configuration.settings.listen;
  return tls === undefined ? loaded.files : [...loaded.files, tls.cert, tls.key];
}

async function keepCopy({ settings }: Configuration, { loader, lastGood, log }: ReloaderOptions): Promise<void> {
  if (lastGood === undefined) return;
  // A certificate that no listener takes is no reason to refuse a revoked key, but good it is not.
  const problem = (await findTlsProblem(settings.listen)) ?? (await loader.keep(lastGood).catch(describeCopyFailure));
  if (problem === undefined) log.info({ directory: lastGood }, "last good copy made");
  else log.error({ directory: lastGood, problem }, "the last good copy could not be made");
}
