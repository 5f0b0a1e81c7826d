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

/**
 * What was spent, as the time until the bucket is full again, counted from `atMs`. The instant of being
 * full, GCRA's one number, would be 10^12 ms large: doubles are 0.0002 ms apart there, and those errors
 * add up to a lost request in a burst.
 */
interface Bucket {
  readonly limitId: string;
  spentMs: number;
  atMs: number;
  /** The interval the number was computed with, so that a changed limit keeps what was spent. */
  intervalMs: number;
}

/** What one request would take: `cost` from each of the owner's `limits`. */
export interface Demand {
  readonly owner: string;
  readonly limits: readonly Limit[];
  readonly cost: number;
}

export type Taken =
  | { readonly kind: "taken"; readonly quotas: readonly Quota[] }
  | { readonly kind: "denied"; readonly quotas: readonly Quota[]; readonly retryAfterSeconds: number }
  | { readonly kind: "full" };

/** Live bucket state by owner (a key id or a client address). Bounded: see `takeAll`. */
export interface BucketTable {
  readonly owners: Map<string, Bucket[]>;
  readonly maxOwners: number;
  /** Where the sweep goes on. One that began anew each time would pass over all that was deleted before it. */
  sweep: MapIterator<[string, Bucket[]]>;
}

// A live bucket is never evicted to make room, so the table must be able to hold every owner that
// spends within one window; 200,000 owners with two limits each take about 50 MB.
const DEFAULT_MAX_OWNERS = 200_000;

// Each insertion looks at this many old owners and drops those whose buckets are full again, so
// sweeping keeps pace with arrivals and no single request pays for the whole table.
const SWEPT_PER_INSERT = 8;

// Division of windows into intervals is inexact in binary, by up to 10^-8 ms a request for a window of a day;
// a microsecond of grace keeps exactly `capacity` requests at one instant admissible.
const GRACE_MS = 1e-3;

export function createBucketTable(maxOwners: number = DEFAULT_MAX_OWNERS): BucketTable {
  const owners = new Map<string, Bucket[]>();
  return { owners, maxOwners, sweep: owners.entries() };
}

/**
 * Takes every demand's cost from every one of its limits, or nothing at all. `full` means that the
 * table has no room for a new owner: the caller must refuse, since it cannot count.
 */
export function takeAll(table: BucketTable, demands: readonly Demand[], nowMs: number): Taken {
  let waitMs = 0;
  for (const demand of demands) {
    const buckets = table.owners.get(demand.owner);
    if (buckets === undefined && !makeRoom(table, nowMs)) return { kind: "full" };
    for (const limit of demand.limits) waitMs = Math.max(waitMs, timeToWait(buckets, limit, demand.cost, nowMs));
  }
  if (waitMs > 0) {
    const quotas = demands.flatMap(({ owner, limits }) =>
      limits.map((limit) => toQuota(limit, spentTime(table.owners.get(owner), limit, nowMs))),
    );
    return { kind: "denied", quotas, retryAfterSeconds: toRetrySeconds(waitMs) };
  }
  const quotas: Quota[] = [];
  for (const demand of demands) {
    for (const limit of demand.limits) {
      quotas.push(toQuota(limit, spend(table, demand.owner, limit, demand.cost, nowMs)));
    }
  }
  return { kind: "taken", quotas };
}

/** Whether an owner's spending is counted here, or could be: a full table takes no new owner. */
export function hasRoomFor(table: BucketTable, owner: string, nowMs: number): boolean {
  return table.owners.has(owner) || makeRoom(table, nowMs);
}

/** Whether one more take of `cost` would be admitted; takes nothing. Seconds to wait otherwise. */
export function retryAfter(
  table: BucketTable,
  owner: string,
  limit: Limit,
  cost: number,
  nowMs: number,
): number | undefined {
  const waitMs = timeToWait(table.owners.get(owner), limit, cost, nowMs);
  return waitMs > 0 ? toRetrySeconds(waitMs) : undefined;
}

function timeToWait(buckets: readonly Bucket[] | undefined, limit: Limit, cost: number, nowMs: number): number {
  const waitMs = spentTime(buckets, limit, nowMs) + (cost - limit.capacity) * limit.intervalMs;
  return waitMs > GRACE_MS ? waitMs : 0;
}

function toRetrySeconds(waitMs: number): number {
  return Math.max(1, Math.ceil(waitMs / 1000));
}

/** How long, at the limit's refill rate, the bucket needs to be full again: 0 for an idle one. */
function spentTime(buckets: readonly Bucket[] | undefined, limit: Limit, nowMs: number): number {
  const bucket = buckets?.find((candidate) => candidate.limitId === limit.id);
  if (bucket === undefined) return 0;
  settle(bucket, limit, nowMs);
  return bucket.spentMs;
}

/** Brings a bucket to this instant and to the limit as it is now; takes nothing. */
function settle(bucket: Bucket, limit: Limit, nowMs: number): void {
  // A clock that stepped back refills nothing, and the time it repeats is not waited for twice.
  const elapsedMs = Math.max(0, nowMs - bucket.atMs);
  const spentMs = Math.max(0, bucket.spentMs - elapsedMs) * (limit.intervalMs / bucket.intervalMs);
  // A limit that was lowered must not leave a bucket emptier than empty, or `Retry-After` would not be enough.
  bucket.spentMs = Math.min(spentMs, limit.capacity * limit.intervalMs);
  bucket.atMs = nowMs;
  bucket.intervalMs = limit.intervalMs;
}

function isLive(bucket: Bucket, nowMs: number): boolean {
  return bucket.spentMs > nowMs - bucket.atMs;
}

function spend(table: BucketTable, owner: string, limit: Limit, cost: number, nowMs: number): number {
  let buckets = table.owners.get(owner);
  if (buckets === undefined) {
    buckets = [];
    table.owners.set(owner, buckets);
  }
  const spentMs = spentTime(buckets, limit, nowMs) + cost * limit.intervalMs;
  const bucket = buckets.find((candidate) => candidate.limitId === limit.id);
  if (bucket === undefined) buckets.push({ limitId: limit.id, spentMs, atMs: nowMs, intervalMs: limit.intervalMs });
  else bucket.spentMs = spentMs;
  return spentMs;
}

function toQuota(limit: Limit, spentMs: number): Quota {
  const spent = spentMs / limit.intervalMs;
  // The same grace as in taking, in requests: more of it would promise a request that is then refused.
  const grace = GRACE_MS / limit.intervalMs;
  const untilNextMs = spentMs - Math.floor(spent - grace) * limit.intervalMs;
  return {
    limit,
    remaining: Math.max(0, Math.floor(limit.capacity - spent + grace)),
    nextSeconds: spentMs === 0 ? 0 : Math.ceil(untilNextMs / 1000),
    fullSeconds: Math.ceil(spentMs / 1000),
  };
}

/** Drops a few owners whose buckets are full again (an idle bucket is a full one); says whether there is room. */
function makeRoom(table: BucketTable, nowMs: number): boolean {
  for (let looked = 0; looked < SWEPT_PER_INSERT; looked += 1) {
    const { value, done } = table.sweep.next();
    if (done === true) table.sweep = table.owners.entries();
    else if (!value[1].some((bucket) => isLive(bucket, nowMs))) table.owners.delete(value[0]);
  }
  return table.owners.size < table.maxOwners;
}
