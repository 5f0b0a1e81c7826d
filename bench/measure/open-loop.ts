/** Latencies of requests that were due at fixed times, whether or not the proxy was ready for them. */
export interface OpenLoop {
  /** Requests that became due and were not yet sent, up to as many as there are free connections. */
  readonly takeDue: (nowMs: number, free: number) => readonly Sent[];
  readonly answered: (sent: Sent, nowMs: number) => void;
  /** How long until the next request is due; undefined when none is left. */
  readonly untilNextMs: (nowMs: number) => number | undefined;
  readonly isComplete: () => boolean;
  /** Ends it: whatever has no answer by now is charged with the time it has waited so far, sent or not. */
  readonly giveUp: (nowMs: number) => void;
  readonly latenciesMs: () => readonly number[];
}

/** One request under way, by when it should have been sent. */
export interface Sent {
  readonly dueMs: number;
}

/**
 * A request is due every 1/rate seconds, and its latency counts from then. A proxy that stalls is charged
 * with every request that fell due meanwhile, not with the one that was under way: no coordinated omission.
 */
export function createOpenLoop(startMs: number, perSecond: number, requests: number): OpenLoop {
  const intervalMs = 1000 / perSecond;
  const latencies: number[] = [];
  const unanswered = new Set<Sent>();
  let next = 0;
  const dueAt = (index: number) => startMs + index * intervalMs;
  return {
    takeDue: (nowMs, free) => {
      const taken: Sent[] = [];
      while (taken.length < free && next < requests && dueAt(next) <= nowMs) {
        const sent = { dueMs: dueAt(next) };
        taken.push(sent);
        unanswered.add(sent);
        next += 1;
      }
      return taken;
    },
    answered: (sent, nowMs) => {
      if (unanswered.delete(sent)) latencies.push(nowMs - sent.dueMs);
    },
    untilNextMs: (nowMs) => (next < requests ? dueAt(next) - nowMs : undefined),
    isComplete: () => latencies.length === requests,
    giveUp: (nowMs) => {
      for (const { dueMs } of unanswered) latencies.push(nowMs - dueMs);
      unanswered.clear();
      for (; next < requests; next += 1) latencies.push(Math.max(0, nowMs - dueAt(next)));
    },
    latenciesMs: () => latencies,
  };
}

/** The smallest value that at least `share` percent of the values do not exceed (nearest rank). */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  // 99.9% of 1,000 comes out a hair above 999, which is no reason to take the thousandth.
  const rank = Math.ceil((share / 100) * sorted.length - 1e-9);
  return sorted[Math.max(0, rank - 1)] ?? Number.NaN;
}

/** The middle value; of an even number of values the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
