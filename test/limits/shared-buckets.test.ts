import { once } from "node:events";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocateBuckets, type BucketShape, freeLocks, openSharedBuckets } from "../../src/limits/shared-buckets.ts";
import { LOCK_WORDS, toName } from "../../src/limits/shared-take.ts";
import type { Buckets, Limit } from "../../src/policy/bucket.ts";
import { createBucketTable } from "../../src/policy/bucket-table.ts";
import type { Taking, TakingResult } from "./taker.ts";

const NOW = 1_790_000_000_123;

function createLimit(count: number, windowMs: number, capacity = count): Limit {
  return {
    id: `test/${windowMs}`,
    name: `${count}/${windowMs}ms`,
    count,
    windowMs,
    capacity,
    intervalMs: windowMs / count,
  };
}

/** Buckets of one thread, in shared memory of their own, with a clock that says what the test last said. */
function open(shape?: BucketShape): Buckets {
  let latestMs = 0;
  const buckets = openSharedBuckets(allocateBuckets(shape), 1, () => latestMs);
  return {
    ...buckets,
    take: (demand, nowMs) => {
      latestMs = nowMs;
      return buckets.take(demand, nowMs);
    },
  };
}

const limit = fc
  .record({
    count: fc.integer({ min: 1, max: 200 }),
    windowMs: fc.constantFrom(1000, 60_000, 3_600_000, 86_400_000),
    burst: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
  })
  .map(({ count, windowMs, burst }) => createLimit(count, windowMs, burst ?? count));

const request = fc.record({
  owner: fc.constantFrom("a", "b", "c", "203.0.113.7"),
  gapMs: fc.constantFrom(0, 0, 0, 1, 700, 61_000),
  cost: fc.integer({ min: 1, max: 4 }),
  which: fc.constantFrom<readonly number[]>([0], [1], [0, 1], [1, 2], [2], [0, 1, 2]),
  givesBack: fc.boolean(),
});

describe("openSharedBuckets()", () => {
  test.each([
    ["with room for many", undefined],
    // Of four owners with three limits each.
    ["with no room for more", { shelves: 1, slotsPerShelf: 12, reach: 12 }],
  ])("openSharedBuckets() answers a single thread as its own table would, %s", (_, shape) => {
    const scenes = fc.tuple(fc.tuple(limit, limit, limit), fc.array(request, { minLength: 1, maxLength: 60 }));
    fc.assert(
      fc.property(scenes, ([all, requests]) => {
        const [shared, own] = [open(shape), createBucketTable()];
        let nowMs = NOW;
        for (const { owner, gapMs, cost, which, givesBack } of requests) {
          nowMs += gapMs;
          const limits = all.filter(
            ({ id }, index) => which.includes(index) && all.findIndex((one) => one.id === id) === index,
          );
          const taken = own.take({ owner, limits, cost }, nowMs);
          expect(shared.take({ owner, limits, cost }, nowMs)).toEqual(taken);
          if (!givesBack || taken.kind !== "taken") continue;
          const back = { owner, limits, cost: -cost };
          expect(shared.take(back, nowMs)).toEqual(own.take(back, nowMs));
        }
      }),
    );
  });

  test("openSharedBuckets() gives nothing away and locks nobody out when the clock steps back", () => {
    const shared = open();
    const demand = { owner: "a", limits: [createLimit(2, 60_000)], cost: 2 };
    expect(shared.take(demand, NOW).kind).toBe("taken");
    const back = NOW - 3_600_000;
    expect(shared.take({ ...demand, cost: 1 }, back)).toMatchObject({ kind: "denied", retryAfterSeconds: 30 });
    expect(shared.take({ ...demand, cost: 1 }, back + 29_999).kind).toBe("denied");
    expect(shared.take({ ...demand, cost: 1 }, back + 30_000).kind).toBe("taken");
    expect(shared.take({ ...demand, cost: 1 }, back + 30_000).kind).toBe("denied");
  });

  test("openSharedBuckets() keeps what was spent when a limit changes", () => {
    const shared = open();
    const [old, next] = [createLimit(4, 60_000), createLimit(2, 60_000)];
    expect(shared.take({ owner: "a", limits: [old], cost: 1 }, NOW).kind).toBe("taken");
    expect(shared.take({ owner: "a", limits: [next], cost: 1 }, NOW).kind).toBe("taken");
    expect(shared.take({ owner: "a", limits: [next], cost: 1 }, NOW)).toMatchObject({
      kind: "denied",
      retryAfterSeconds: 30,
    });
  });

  test("openSharedBuckets() refuses what it has no room to count, and forgets no live bucket for it", () => {
    const shared = open({ shelves: 1, slotsPerShelf: 8, reach: 8 });
    const limits = [createLimit(2, 60_000)];
    const owners = Array.from({ length: 20 }, (_, index) => `owner-${index}`);
    const take = (owner: string, nowMs: number) => shared.take({ owner, limits, cost: 1 }, nowMs).kind;
    const first = owners.map((owner) => take(owner, NOW));
    expect(first.filter((kind) => kind === "taken")).toHaveLength(8);
    expect(first.filter((kind) => kind === "full")).toHaveLength(12);
    // Those who have a bucket are still counted.
    expect(owners.slice(0, 8).map((owner) => take(owner, NOW))).toEqual(Array.from({ length: 8 }, () => "taken"));
    expect(owners.slice(0, 8).map((owner) => take(owner, NOW))).toEqual(Array.from({ length: 8 }, () => "denied"));
    // Buckets that are full again make room for others.
    expect(owners.slice(8, 16).map((owner) => take(owner, NOW + 60_000))).not.toContain("full");
  });

  test("openSharedBuckets() has room for as many keys as one thread's table, with two limits each", {
    timeout: 60_000,
  }, () => {
    const shared = open();
    const limits = [createLimit(2, 60_000), createLimit(5, 3_600_000)];
    let full = 0;
    for (let index = 0; index < 200_000; index += 1) {
      if (shared.take({ owner: `key-${index}`, limits, cost: 1 }, NOW).kind === "full") full += 1;
    }
    expect(full).toBe(0);
  });

  test("freeLocks() frees what a thread left locked when it ended, which is refused until then", () => {
    const shape = { shelves: 4, slotsPerShelf: 16, reach: 16 };
    const memory = allocateBuckets(shape);
    const buckets = openSharedBuckets(memory, 1, () => NOW);
    const demand = { owner: "a", limits: [createLimit(2, 60_000)], cost: 1 };
    const locks = new Int32Array(memory.buffer, 0, shape.shelves * LOCK_WORDS);
    for (let shelf = 0; shelf < shape.shelves; shelf += 1) locks[shelf * LOCK_WORDS] = 7;
    expect(buckets.take(demand, NOW)).toEqual({ kind: "full" });
    expect(freeLocks(memory, 8)).toBe(0);
    expect(freeLocks(memory, 7)).toBe(4);
    expect(buckets.take(demand, NOW).kind).toBe("taken");
  });
});

/** Has real threads take from the same buckets, all at the same time. */
async function runThreads(threads: number, taking: Omit<Taking, "thread" | "threads" | "gate" | "memory">) {
  const memory = allocateBuckets();
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const workers = Array.from({ length: threads }, (_, index) => {
    const workerData: Taking = { ...taking, memory, gate, threads, thread: index + 1 };
    return new Worker(new URL("./taker.ts", import.meta.url), { workerData });
  });
  const results = await Promise.all(
    workers.map(async (worker): Promise<TakingResult> => (await once(worker, "message"))[0]),
  );
  await Promise.all(workers.map((worker) => worker.terminate()));
  const total = (owner: string) => results.reduce((sum, { taken }) => sum + (taken[owner] ?? 0), 0);
  return { total, full: results.reduce((sum, { full }) => sum + full, 0) };
}

test("toName() makes of no digest the name of an empty slot", () => {
  expect([...toName(Buffer.alloc(16))]).toEqual([1, 0, 0, 0]);
  expect([...toName(Buffer.from("0200000003000000040000000500000006", "hex"))]).toEqual([2, 3, 4, 5]);
});

describe("openSharedBuckets() in several real threads", () => {
  test("openSharedBuckets() admits exactly the limit when four threads ask for more of it", {
    timeout: 60_000,
  }, async () => {
    const limits = [createLimit(30_000, 60_000), createLimit(20_000, 3_600_000)];
    const { total, full } = await runThreads(4, { owners: ["one"], limits, takes: 20_000, nowMs: NOW });
    expect({ taken: total("one"), full }).toEqual({ taken: 20_000, full: 0 });
  });

  test("openSharedBuckets() admits exactly the limit of each of many keys", { timeout: 60_000 }, async () => {
    const owners = Array.from({ length: 500 }, (_, index) => `key-${index}`);
    const { total, full } = await runThreads(3, {
      owners,
      limits: [createLimit(50, 60_000)],
      takes: 500 * 40,
      nowMs: NOW,
    });
    expect(full).toBe(0);
    expect(new Set(owners.map(total))).toEqual(new Set([50]));
  });

  test("openSharedBuckets() never admits more than capacity and refill by the real clock", {
    timeout: 60_000,
  }, async () => {
    const limits = [createLimit(1_000, 1_000, 10)];
    const began = Date.now();
    const { total } = await runThreads(4, { owners: ["one"], limits, takes: 100_000, nowMs: undefined });
    // One for each millisecond and ten at once.
    expect(total("one")).toBeLessThanOrEqual(10 + Date.now() - began);
    expect(total("one")).toBeGreaterThanOrEqual(10);
  });
});
