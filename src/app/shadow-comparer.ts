import type { Policy } from "../policy/policy.ts";
import type { ShadowBuckets } from "../policy/shadow.ts";
import {
  createComparison,
  type Shadow,
  type ShadowComparison,
  type ShadowNumbers,
  type ShadowRequest,
} from "../proxy/shadow.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** Compares the live policy with a candidate on the requests of this thread, after their answers are under way. */
export interface ShadowComparer {
  /** Undefined while there is nothing to compare with. */
  readonly current: () => Shadow | undefined;
  /** Begins anew with these two. */
  readonly pairUp: (live: Policy, candidate: Policy | undefined) => void;
  /** Since these two were paired up. */
  readonly numbers: () => ShadowNumbers | undefined;
}

export interface ShadowComparerOptions {
  readonly shadowBuckets: ShadowBuckets;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "shadowed" | "shadowUndecided">;
}

// About a tenth of a second of requests at full load; what comes on top is counted as undecided.
const MAX_PENDING = 10_000;
// About a millisecond of comparing.
const BATCH = 500;

export function createShadowComparer({ shadowBuckets, log, metrics }: ShadowComparerOptions): ShadowComparer {
  let comparison: ShadowComparison | undefined;
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
  return {
    current: () => (comparison === undefined ? undefined : shadow),
    pairUp: (live, candidate) => {
      comparison =
        candidate === undefined
          ? undefined
          : createComparison(live, candidate, shadowBuckets, {
              compared: metrics.shadowed,
              undecided: metrics.shadowUndecided,
              sample: (sample) => log.info({ ...sample, candidate: candidate.revision }, "shadow decision differs"),
            });
    },
    numbers: () =>
      comparison && { totals: comparison.totals(), rows: comparison.rows(), beyondRows: comparison.beyondRows() },
  };
}
