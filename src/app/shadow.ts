import type { Diagnostic } from "../config/diagnostics.ts";
import type { LoadedConfiguration, RejectedConfiguration } from "../config/load.ts";
import { type Basis, describeComparison, toBasis } from "../config/reload-comparison.ts";
import type { Configuration } from "../config/settings.ts";
import { type KnownDigests, watchFiles } from "../config/watcher.ts";
import type { Policy } from "../policy/policy.ts";
import type { ShadowNumbers } from "../proxy/shadow.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { watchTimers } from "./watch-timers.ts";

export interface ShadowOptions {
  /** `basis` is the live policy, to say how the candidate differs. */
  readonly load: (file: string, basis: Basis | undefined) => Promise<LoadedConfiguration | RejectedConfiguration>;
  /** Hands the candidate to what answers requests, or takes it away. */
  readonly compareWith: (candidate: LoadedConfiguration | undefined) => void;
  readonly numbers: () => ShadowNumbers | undefined | Promise<ShadowNumbers | undefined>;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "shadowActive">;
  readonly now: () => number;
}

/** Keeps the candidate that the live configuration names beside it, and tells how they differ on real traffic. */
export interface ShadowKeeper {
  /** Takes up the live configuration that is now in force, and the candidate it names. */
  readonly follow: (live: Configuration) => Promise<void>;
  /** Reads the candidate again. */
  readonly reload: () => Promise<void>;
  readonly report: () => Promise<Readonly<Record<string, unknown>>>;
  readonly close: () => void;
}

interface Candidate {
  readonly file: string;
  readonly watcher: {
    readonly setFiles: (files: readonly string[], digests?: KnownDigests) => void;
    readonly close: () => void;
  };
  policy: Policy | undefined;
  sinceMs: number;
  diagnostics: readonly Diagnostic[];
}

export function createShadowKeeper({ load, compareWith, numbers, log, metrics, now }: ShadowOptions): ShadowKeeper {
  let live: Configuration | undefined;
  let candidate: Candidate | undefined;
  let loading: Promise<void> = Promise.resolve();

  const put = (of: Candidate, next: LoadedConfiguration | undefined): void => {
    of.policy = next?.configuration.policy;
    compareWith(next);
    metrics.shadowActive(next !== undefined);
  };

  const read = async (of: Candidate): Promise<void> => {
    const against = live;
    const loaded = await load(of.file, against && toBasis(against));
    if (candidate !== of) return;
    of.watcher.setFiles(loaded.files, loaded.digests);
    if (loaded.kind === "rejected") {
      // Nothing is compared with a candidate that is no longer what the file says.
      put(of, undefined);
      of.diagnostics = loaded.diagnostics;
      log.warn({ shadow: of.file, diagnostics: loaded.diagnostics }, "shadow policy rejected, nothing is compared");
      return;
    }
    const { policy } = loaded.configuration;
    if (policy.revision === of.policy?.revision) return;
    put(of, loaded);
    of.sinceMs = now();
    of.diagnostics = [];
    const { comparison } = loaded;
    const changes =
      against === undefined || comparison === undefined ? [] : describeComparison(comparison, against.policy, policy);
    log.info({ shadow: of.file, revision: policy.revision, changes }, "shadow policy loaded");
  };
  /** One at a time, in the order asked for; a failure to read is the candidate's alone. */
  const readNext = (): Promise<void> => {
    loading = loading.then(async () => {
      if (candidate === undefined) return;
      await read(candidate).catch((error: unknown) =>
        log.warn({ error: String(error) }, "shadow policy cannot be read"),
      );
    });
    return loading;
  };

  const take = async (next: Configuration): Promise<void> => {
    const { settings } = next;
    live = next;
    if (settings.shadow === candidate?.file) return;
    candidate?.watcher.close();
    if (candidate !== undefined) put(candidate, undefined);
    candidate = undefined;
    if (settings.shadow === undefined) return;
    const watcher = watchFiles([settings.shadow], () => void readNext(), { timers: watchTimers });
    candidate = { file: settings.shadow, watcher, policy: undefined, sinceMs: now(), diagnostics: [] };
    await readNext();
  };

  return {
    // The live policy is in force already, and nothing that becomes of a candidate may end its process.
    follow: (next) =>
      take(next).catch((error: unknown) => log.warn({ error: String(error) }, "shadow policy cannot be used")),
    reload: readNext,
    report: async () => toReport(live?.policy, candidate, await numbers()),
    close: () => candidate?.watcher.close(),
  };
}

function toReport(
  live: Policy | undefined,
  candidate: Candidate | undefined,
  numbers: ShadowNumbers | undefined,
): Readonly<Record<string, unknown>> {
  if (candidate === undefined) return { state: "off" };
  if (candidate.policy === undefined || numbers === undefined) {
    return { state: "rejected", file: candidate.file, diagnostics: candidate.diagnostics };
  }
  return {
    state: "comparing",
    file: candidate.file,
    live: live?.revision,
    candidate: candidate.policy.revision,
    since: new Date(candidate.sinceMs).toISOString(),
    requests: numbers.totals,
    rows: numbers.rows.map(({ latestMs, ...row }) => ({ ...row, latest: new Date(latestMs).toISOString() })),
    beyondRows: numbers.beyondRows,
  };
}
