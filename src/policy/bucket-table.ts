import {
  type Buckets,
  type Demand,
  isLive,
  type Limit,
  settle,
  spentAfter,
  type Taken,
  timeToWait,
  toQuota,
  toRetrySeconds,
} from "./bucket.ts";

interface Bucket {
  readonly limitId: string;
  spentMs: number;
  atMs: number;
  intervalMs: number;
}

/** Live buckets by owner, in the memory of one thread. Bounded: see `take`. */
export interface BucketTable extends Buckets {
  readonly owners: ReadonlyMap<string, readonly Readonly<Bucket>[]>;
  readonly maxOwners: number;
}

interface Table {
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

export function createBucketTable(maxOwners: number = DEFAULT_MAX_OWNERS): BucketTable {
  const owners = new Map<string, Bucket[]>();
  const table: Table = { owners, maxOwners, sweep: owners.entries() };
  return {
    owners,
    maxOwners,
    take: (demand, nowMs) => take(table, demand, nowMs),
  };
}

function take(table: Table, { owner, limits, cost }: Demand, nowMs: number): Taken {
  if (limits.length === 0) return NOTHING_TAKEN;
  let buckets = table.owners.get(owner);
  if (buckets === undefined && !makeRoom(table, nowMs)) return { kind: "full" };
  let waitMs = 0;
  for (const limit of limits) waitMs = Math.max(waitMs, timeToWait(spentTime(buckets, limit, nowMs), limit, cost));
  if (waitMs > 0) {
    const quotas = limits.map((limit) => toQuota(limit, spentTime(buckets, limit, nowMs)));
    return { kind: "denied", quotas, retryAfterSeconds: toRetrySeconds(waitMs) };
  }
  if (buckets === undefined) {
    buckets = [];
    table.owners.set(owner, buckets);
  }
  const spentFrom = buckets;
  return { kind: "taken", quotas: limits.map((limit) => toQuota(limit, spend(spentFrom, limit, cost, nowMs))) };
}

const NOTHING_TAKEN: Taken = { kind: "taken", quotas: [] };

function findBucket(buckets: readonly Bucket[], limit: Limit): Bucket | undefined {
  for (const bucket of buckets) if (bucket.limitId === limit.id) return bucket;
  return undefined;
}

/** What was spent of a limit at this instant, and the bucket brought up to it. */
function spentTime(buckets: readonly Bucket[] | undefined, limit: Limit, nowMs: number): number {
  const bucket = buckets && findBucket(buckets, limit);
  if (bucket === undefined) return 0;
  bucket.spentMs = settle(bucket, limit, nowMs);
  bucket.atMs = nowMs;
  bucket.intervalMs = limit.intervalMs;
  return bucket.spentMs;
}

/** Takes from a bucket that was brought up to this instant; what is spent of it then. */
function spend(buckets: Bucket[], limit: Limit, cost: number, nowMs: number): number {
  const bucket = findBucket(buckets, limit);
  const spentMs = spentAfter(bucket?.spentMs ?? 0, limit, cost);
  if (bucket === undefined) buckets.push({ limitId: limit.id, spentMs, atMs: nowMs, intervalMs: limit.intervalMs });
  else bucket.spentMs = spentMs;
  return spentMs;
}

/** Drops a few owners whose buckets are full again (an idle bucket is a full one); says whether there is room. */
function makeRoom(table: Table, nowMs: number): boolean {
  for (let looked = 0; looked < SWEPT_PER_INSERT; looked += 1) {
    const { value, done } = table.sweep.next();
    if (done === true) table.sweep = table.owners.entries();
    else if (!value[1].some((bucket) => isLive(bucket, nowMs))) table.owners.delete(value[0]);
  }
  return table.owners.size < table.maxOwners;
}
