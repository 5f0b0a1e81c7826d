import {
  type Buckets,
  type Demand,
  isLive,
  type Limit,
  type Quota,
  settle,
  spentAfter,
  type Taken,
  timeToWait,
  toQuota,
  toRetrySeconds,
} from "./bucket.ts";

interface Bucket {
  /** As it was when it was last taken from. */
  limit: Limit;
  spentMs: number;
  atMs: number;
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
  const known = table.owners.get(owner);
  if (known === undefined && !makeRoom(table, nowMs)) return { kind: "full" };
  const buckets = known ?? [];
  let waitMs = 0;
  for (const limit of limits) {
    const { spentMs } = settled(buckets, limit, nowMs);
    waitMs = Math.max(waitMs, timeToWait(spentMs, limit, cost));
  }
  if (known === undefined && waitMs === 0) table.owners.set(owner, buckets);
  const quotas: Quota[] = [];
  for (const limit of limits) {
    const bucket = bucketOf(buckets, limit, nowMs);
    bucket.spentMs = spentAfter(bucket.spentMs, limit, waitMs > 0 ? 0 : cost);
    quotas.push(toQuota(limit, bucket.spentMs));
  }
  return waitMs > 0 ? { kind: "denied", quotas, retryAfterSeconds: toRetrySeconds(waitMs) } : { kind: "taken", quotas };
}

const NOTHING_TAKEN: Taken = { kind: "taken", quotas: [] };

/** The bucket of a limit, brought up to this instant. */
function settled(buckets: Bucket[], limit: Limit, nowMs: number): Bucket {
  const bucket = bucketOf(buckets, limit, nowMs);
  const { spentMs, atMs, limit: earlier } = bucket;
  bucket.spentMs = settle({ spentMs, atMs, intervalMs: earlier.intervalMs }, limit, nowMs);
  bucket.atMs = nowMs;
  bucket.limit = limit;
  return bucket;
}

/** The bucket of a limit, which has the limit's id, whatever numbers a reload gave that. */
function bucketOf(buckets: Bucket[], limit: Limit, nowMs: number): Bucket {
  // Until a reload it is the same limit: looked for first, since that reads nothing of either.
  for (const bucket of buckets) if (bucket.limit === limit) return bucket;
  for (const bucket of buckets) if (bucket.limit.id === limit.id) return bucket;
  const made = { limit, spentMs: 0, atMs: nowMs };
  buckets.push(made);
  return made;
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
