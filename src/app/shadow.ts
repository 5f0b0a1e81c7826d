import type { Diagnostic } from "../config/diagnostics.ts";
import { describeDiff, diffPoliciesInSlices } from "../config/policy-diff.ts";
import type { Configuration } from "../config/settings.ts";
import { type KnownDigests, watchFiles } from "../config/watcher.ts";
import type { Policy } from "../policy/policy.ts";
import {
  createComparison,
  createSpending,
  type Shadow,
  type ShadowComparison,
  type ShadowRequest,
} from "../proxy/shadow.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** A candidate as it was loaded, or why it cannot be. */
export type LoadedCandidate = {
  readonly files: readonly string[];
  readonly digests: KnownDigests;
} & (
  | { readonly kind: "loaded"; readonly configuration: Configuration }
  | { readonly kind: "rejected"; readonly diagnostics: readonly Diagnostic[] }
);

export interface ShadowOptions {
  readonly load: (file: string) => Promise<LoadedCandidate>;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly now: () => number;
  readonly pause: () => Promise<unknown>;
}

/** Keeps the candidate that the live configuration names beside it, and tells how they differ on real traffic. */
export interface ShadowKeeper {
  /** Undefined while there is nothing to compare with. */
  readonly current: () => Shadow | undefined;
  /** Takes up the live configuration that is now in force, and the candidate it names. */
  readonly follow: (live: Configuration) => Promise<void>;
  /** Reads the candidate again. */
  readonly reload: () => Promise<void>;
  readonly report: () => Readonly<Record<string, unknown>>;
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

// About a tenth of a second of requests at full load; what comes on top is counted as undecided.
const MAX_PENDING = 10_000;
// About a millisecond of comparing.
const BATCH = 500;

export function createShadowKeeper({ load, log, metrics, now, pause }: ShadowOptions): ShadowKeeper {
  let live: Policy | undefined;
  let candidate: Candidate | undefined;
  let comparison: ShadowComparison | undefined;
  let loading: Promise<void> = Promise.resolve();
  const spent = createSpending();

  const pending: ShadowRequest[] = [];
  const shadow: Shadow = {
    observe: (request) => {
      if (pending.length >= MAX_PENDING) comparison?.undecided("overflow");
      // After the answer is under way: whoever waits for it does not wait for this.
      else if (pending.push(request) === 1) setImmediate(work);
    },
  };
  const work = (): void => {
    for (const request of pending.splice(0, BATCH)) comparison?.compare(request);
    if (pending.length > 0) setImmediate(work);
  };

  const pairUp = (): void => {
    const policy = candidate?.policy;
    comparison =
      live === undefined || policy === undefined
        ? undefined
        : createComparison(live, policy, spent, {
            compared: metrics.shadowed,
            undecided: metrics.shadowUndecided,
            sample: (sample) => log.info({ ...sample, candidate: policy.revision }, "shadow decision differs"),
          });
    metrics.shadowActive(comparison !== undefined);
  };

  const read = async (of: Candidate): Promise<void> => {
    const loaded = await load(of.file);
    if (candidate !== of) return;
    of.watcher.setFiles(loaded.files, loaded.digests);
    if (loaded.kind === "rejected") {
      // Nothing is compared with a candidate that is no longer what the file says.
      of.policy = undefined;
      of.diagnostics = loaded.diagnostics;
      pairUp();
      log.warn({ shadow: of.file, diagnostics: loaded.diagnostics }, "shadow policy rejected, nothing is compared");
      return;
    }
    const { policy } = loaded.configuration;
    if (policy.revision === of.policy?.revision) return;
    of.policy = policy;
    of.sinceMs = now();
    of.diagnostics = [];
    pairUp();
    const changes = live === undefined ? [] : describeDiff(await diffPoliciesInSlices(live, policy, pause));
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

  const take = async ({ policy, settings }: Configuration): Promise<void> => {
    live = policy;
    if (settings.shadow === candidate?.file) {
      pairUp();
      return;
    }
    candidate?.watcher.close();
    candidate = undefined;
    pairUp();
    if (settings.shadow === undefined) return;
    const watcher = watchFiles([settings.shadow], () => void readNext(), { timers: { setTimeout: unreferenced } });
    candidate = { file: settings.shadow, watcher, policy: undefined, sinceMs: now(), diagnostics: [] };
    await readNext();
  };

  return {
    current: () => (comparison === undefined ? undefined : shadow),
    // The live policy is in force already, and nothing that becomes of a candidate may end its process.
    follow: (next) =>
      take(next).catch((error: unknown) => log.warn({ error: String(error) }, "shadow policy cannot be used")),
    reload: readNext,
    report: () => toReport(live, candidate, comparison),
    close: () => candidate?.watcher.close(),
  };
}

function toReport(
  live: Policy | undefined,
  candidate: Candidate | undefined,
  comparison: ShadowComparison | undefined,
): Readonly<Record<string, unknown>> {
  if (candidate === undefined) return { state: "off" };
  if (comparison === undefined) {
    return { state: "rejected", file: candidate.file, diagnostics: candidate.diagnostics };
  }
  return {
    state: "comparing",
    file: candidate.file,
    live: live?.revision,
    candidate: candidate.policy?.revision,
    since: new Date(candidate.sinceMs).toISOString(),
    requests: comparison.totals(),
    rows: comparison.rows().map(({ latestMs, ...row }) => ({ ...row, latest: new Date(latestMs).toISOString() })),
    beyondRows: comparison.beyondRows(),
  };
}

/** Watching alone is no reason to stay alive. */
function unreferenced(task: () => void, delayMs: number) {
  const timer = setTimeout(task, delayMs);
  timer.unref();
  return { cancel: () => clearTimeout(timer) };
}
