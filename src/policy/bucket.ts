/**
 * One limit on one thing: `capacity` requests at once, then one more every `intervalMs`.
 * Compiled from `100/minute` (capacity 100, interval 600 ms) with an optional smaller or larger burst.
 */
export interface Limit {
  /** What the bucket counts, stable across reloads and changed numbers: `default/60s`, `route:GET /x/60s`. */
  readonly id: string;
  /** The limit as people write it, such as `100/minute`; the name in `RateLimit-Policy`. */
  readonly name: string;
  readonly count: number;
  readonly windowMs: number;
  readonly capacity: number;
  readonly intervalMs: number;
}

/** What is left of one limit after a request, as reported in response headers. */
export interface Quota {
  readonly limit: Limit;
  readonly remaining: number;
  /** Whole seconds until one more request would be admitted; 0 when nothing was spent. */
  readonly nextSeconds: number;
  /** Whole seconds until the bucket is full again. */
  readonly fullSeconds: number;
}

/** What one request would take: `cost` from each of the owner's `limits`. A negative cost gives back what was taken before. */
export interface Demand {
  /** A key id or a client address. */
  readonly owner: string;
  readonly limits: readonly Limit[];
  readonly cost: number;
}

export type Taken =
  | { readonly kind: "taken"; readonly quotas: readonly Quota[] }
  | { readonly kind: "denied"; readonly quotas: readonly Quota[]; readonly retryAfterSeconds: number }
  | { readonly kind: "full" };

/** Where buckets are kept: in this thread's own memory, or in memory that several threads share. */
export interface Buckets {
  /**
   * Takes the demand's cost from every one of its limits, or nothing at all, in one step. `full` means that
   * there is no room for a new owner: the caller must refuse, since it cannot count.
   */
  readonly take: (demand: Demand, nowMs: number) => Taken;
}

/**
 * What was spent, as the time until the bucket is full again, counted from `atMs`. The instant of being
 * full, GCRA's one number, would be 10^12 ms large: doubles are 0.0002 ms apart there, and those errors
 * add up to a lost request in a burst.
 */
export interface Spent {
  readonly spentMs: number;
  readonly atMs: number;
  /** The interval the number was computed with, so that a changed limit keeps what was spent. */
  readonly intervalMs: number;
}

// Division of windows into intervals is inexact in binary, by up to 10^-8 ms a request for a window of a day;
// a microsecond of grace keeps exactly `capacity` requests at one instant admissible.
const GRACE_MS = 1e-3;
// Of millions a second a microsecond holds several.
const GRACE_INTERVALS = 0.5;

/** How long, at the limit as it is now, a bucket needs from this instant to be full again: 0 for an idle one. */
export function settle({ spentMs, atMs, intervalMs }: Spent, limit: Limit, nowMs: number): number {
  // A clock that stepped back refills nothing, and the time it repeats is not waited for twice.
  const elapsedMs = Math.max(0, nowMs - atMs);
  const leftMs = Math.max(0, spentMs - elapsedMs) * (limit.intervalMs / intervalMs);
  // A limit that was lowered must not leave a bucket emptier than empty, or `Retry-After` would not be enough.
  return Math.min(leftMs, limit.capacity * limit.intervalMs);
}

/** How long a take of `cost` must wait for a bucket with so much spent; 0 where it is admitted. */
export function timeToWait(spentMs: number, limit: Limit, cost: number): number {
  const waitMs = spentMs + (cost - limit.capacity) * limit.intervalMs;
  return waitMs > graceOf(limit) ? waitMs : 0;
}

/** What is spent after a take of `cost`. Nothing given back makes a bucket fuller than full: part of it has come back by itself. */
export function spentAfter(spentMs: number, limit: Limit, cost: number): number {
  return Math.max(0, spentMs + cost * limit.intervalMs);
}

/** The limits that have not got so much left: of those of a denied take, the ones that denied it. */
export function findShort(quotas: readonly Quota[], cost: number): readonly Limit[] {
  return quotas.filter(({ remaining }) => remaining < cost).map(({ limit }) => limit);
}

function graceOf({ intervalMs }: Limit): number {
  return Math.min(GRACE_MS, GRACE_INTERVALS * intervalMs);
}

/** Whether a bucket differs from none: a full one does not. */
export function isLive({ spentMs, atMs }: Pick<Spent, "spentMs" | "atMs">, nowMs: number): boolean {
  return spentMs > nowMs - atMs;
}

export function toRetrySeconds(waitMs: number): number {
  return Math.max(1, Math.ceil(waitMs / 1000));
}

export function toQuota(limit: Limit, spentMs: number): Quota {
  const spent = spentMs / limit.intervalMs;
  // The same grace as in taking, in requests: more of it would promise a request that is then refused.
  const grace = graceOf(limit) / limit.intervalMs;
  const untilNextMs = spentMs - Math.floor(spent - grace) * limit.intervalMs;
  return {
    limit,
    remaining: Math.max(0, Math.floor(limit.capacity - spent + grace)),
    nextSeconds: spentMs === 0 ? 0 : Math.ceil(untilNextMs / 1000),
    fullSeconds: Math.ceil(spentMs / 1000),
  };
}
