import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Buckets, Limit, Quota } from "../../src/policy/bucket.ts";
import { createBucketTable } from "../../src/policy/bucket-table.ts";

// A real instant: doubles are coarser there than near zero.
const NOW = 1_790_000_000_123;

function createLimit(count: number, windowMs: number, capacity = count, id = `test/${windowMs}`): Limit {
  return { id, name: `${count}/${windowMs}ms`, count, windowMs, capacity, intervalMs: windowMs / count };
}

function take(table: Buckets, limits: readonly Limit[], nowMs: number, cost = 1, owner = "k") {
  const taken = table.take({ owner, limits, cost }, nowMs);
  return taken.kind === "full" ? { ...taken, quotas: [] } : taken;
}

/** What is left of a limit: a take of nothing tells. */
function quotaOf(table: Buckets, limit: Limit, nowMs: number): Quota | undefined {
  return take(table, [limit], nowMs, 0).quotas[0];
}

/** How many requests of cost 1 are admitted at one instant. */
function countAdmitted(table: Buckets, limits: readonly Limit[], nowMs: number, owner = "k"): number {
  let admitted = 0;
  while (take(table, limits, nowMs, 1, owner).kind === "taken") admitted += 1;
  return admitted;
}

const limits = fc
  .record({
    count: fc.integer({ min: 1, max: 2000 }),
    windowMs: fc.constantFrom(1000, 60_000, 900_000, 3_600_000, 86_400_000),
    burst: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
  })
  .map(({ count, windowMs, burst }) => createLimit(count, windowMs, burst ?? count));

/** Pauses between requests, most of them short against the limit's own pace. */
function pauses(limit: Limit) {
  const ms = fc.oneof(
    fc.constant(0),
    fc.integer({ min: 0, max: Math.ceil(2 * limit.intervalMs) }),
    fc.integer({ min: 0, max: 2 * limit.windowMs }),
  );
  return fc.array(ms, { maxLength: 60 });
}

const limitAndPauses = limits.chain((limit) => fc.tuple(fc.constant(limit), pauses(limit)));

describe("take()", () => {
  test("take() leaves no bucket behind for an owner it refuses at once", () => {
    const table = createBucketTable(1);
    const limit = createLimit(2, 60_000);
    expect(take(table, [limit], NOW, 3, "over").kind).toBe("denied");
    expect([...table.owners.keys()]).toEqual([]);
    expect(take(table, [limit], NOW, 1, "within").kind).toBe("taken");
  });

  test("take() admits exactly the capacity at one instant, whatever the limit and the time of day", () => {
    fc.assert(
      fc.property(limits, fc.nat(86_400_000), (limit, offset) => {
        expect(countAdmitted(createBucketTable(), [limit], NOW + offset)).toBe(limit.capacity);
      }),
    );
  });

  test.for([1e6, 1e7, 1e9])(
    "take() admits exactly a burst of ten at one instant, however short the interval: %d/second",
    (count) => {
      const limit = createLimit(count, 1000, 10);
      const table = createBucketTable();
      const first = take(table, [limit], NOW);
      expect(first).toMatchObject({ kind: "taken", quotas: [{ remaining: 9 }] });
      expect(countAdmitted(table, [limit], NOW)).toBe(9);
    },
  );

  test("take() never admits more than capacity plus rate times time in any window", () => {
    fc.assert(
      fc.property(limitAndPauses, fc.integer({ min: 1, max: 5 }), ([limit, gaps], maxCost) => {
        const table = createBucketTable();
        const admitted: { readonly atMs: number; readonly cost: number }[] = [];
        let nowMs = NOW;
        for (const [index, gap] of gaps.entries()) {
          nowMs += gap;
          const cost = 1 + (index % maxCost);
          // Bursts, so that the buckets really run dry.
          for (let repeat = 0; repeat < limit.capacity / 3 + 1; repeat += 1) {
            if (take(table, [limit], nowMs, cost).kind === "taken") admitted.push({ atMs: nowMs, cost });
          }
        }
        // The largest surplus of any window, found in one pass: what came in above what flowed off.
        let surplus = 0;
        let previousMs = NOW;
        for (const { atMs, cost } of admitted) {
          surplus = Math.max(0, surplus - (atMs - previousMs) / limit.intervalMs) + cost;
          previousMs = atMs;
          expect(surplus).toBeLessThanOrEqual(limit.capacity + 0.01);
        }
      }),
    );
  });

  test("take() refuses with a Retry-After that is enough", () => {
    fc.assert(
      fc.property(limitAndPauses, fc.integer({ min: 1, max: 5 }), ([limit, gaps], wanted) => {
        const table = createBucketTable();
        const cost = Math.min(wanted, limit.capacity);
        let nowMs = NOW;
        for (const gap of gaps) {
          nowMs += gap;
          const first = take(table, [limit], nowMs, cost);
          if (first.kind !== "denied") continue;
          expect(first.retryAfterSeconds).toBeGreaterThanOrEqual(1);
          nowMs += first.retryAfterSeconds * 1000;
          expect(take(table, [limit], nowMs, cost).kind).toBe("taken");
        }
      }),
    );
  });

  test("take() names the longest wait of several limits, and waiting so long is enough for all", () => {
    const [fast, slow] = [createLimit(10, 1000), createLimit(20, 3_600_000)];
    const table = createBucketTable();
    for (let burst = 0; burst < 2; burst += 1) countAdmitted(table, [fast, slow], NOW + burst * 1000);
    const denied = take(table, [fast, slow], NOW + 1000);
    expect(denied).toMatchObject({ kind: "denied", retryAfterSeconds: 179 });
    expect(take(table, [fast, slow], NOW + 180_000).kind).toBe("taken");
  });

  test("take() takes from all limits or from none", () => {
    fc.assert(
      fc.property(limits, limits, fc.array(fc.nat(5000), { maxLength: 30 }), (a, b, gaps) => {
        const [first, second] = [
          { ...a, id: "a" },
          { ...b, id: "b" },
        ];
        const both = createBucketTable();
        const apart = createBucketTable();
        let nowMs = NOW;
        for (const gap of gaps) {
          nowMs += gap;
          const open = [first, second].every((limit) => (quotaOf(apart, limit, nowMs)?.remaining ?? 0) > 0);
          const taken = take(both, [first, second], nowMs);
          expect(taken.kind).toBe(open ? "taken" : "denied");
          if (open) for (const limit of [first, second]) take(apart, [limit], nowMs);
          // What each bucket holds is what one that saw only the admitted requests holds.
          for (const limit of [first, second]) {
            expect(quotaOf(both, limit, nowMs)).toEqual(quotaOf(apart, limit, nowMs));
          }
        }
      }),
    );
  });

  test("take() takes nothing for a denied request, however many there are", () => {
    const limit = createLimit(5, 60_000);
    const table = createBucketTable();
    expect(countAdmitted(table, [limit], NOW)).toBe(5);
    for (let second = 0; second < 11; second += 1) {
      expect(take(table, [limit], NOW + second * 1000)).toMatchObject({
        kind: "denied",
        retryAfterSeconds: 12 - second,
      });
    }
    expect(countAdmitted(table, [limit], NOW + 12_000)).toBe(1);
  });

  test("take() reports as remaining what it then admits", () => {
    fc.assert(
      fc.property(limitAndPauses, ([limit, gaps]) => {
        const table = createBucketTable();
        let nowMs = NOW;
        for (const gap of gaps) {
          nowMs += gap;
          take(table, [limit], nowMs);
        }
        const taken = take(table, [limit], nowMs);
        const remaining = taken.kind === "full" ? -1 : taken.quotas[0]?.remaining;
        expect(countAdmitted(table, [limit], nowMs)).toBe(remaining);
      }),
    );
  });

  test("take() says when a bucket has one more request and when it is full", () => {
    const table = createBucketTable();
    const limit = createLimit(6, 60_000);
    take(table, [limit], NOW);
    const taken = take(table, [limit], NOW);
    expect(taken).toEqual({ kind: "taken", quotas: [{ limit, remaining: 4, nextSeconds: 10, fullSeconds: 20 }] });
    expect(take(table, [limit], NOW + 5_000)).toMatchObject({ quotas: [{ nextSeconds: 5, fullSeconds: 25 }] });
  });

  test("take() keeps what was spent when the limit changes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 300 }),
        fc.nat(300),
        (old, next, uses) => {
          const table = createBucketTable();
          const spent = Math.min(uses, old);
          for (let use = 0; use < spent; use += 1) take(table, [createLimit(old, 60_000)], NOW);
          const changed = createLimit(next, 60_000);
          expect(countAdmitted(table, [changed], NOW)).toBe(Math.max(0, next - spent));
          const denied = take(table, [changed], NOW);
          if (denied.kind !== "denied") throw new Error(denied.kind);
          expect(take(table, [changed], NOW + denied.retryAfterSeconds * 1000).kind).toBe("taken");
        },
      ),
    );
  });

  test("take() leaves no bucket emptier than empty when the limit is lowered", () => {
    const table = createBucketTable();
    expect(countAdmitted(table, [createLimit(300, 60_000)], NOW)).toBe(300);
    const lowered = createLimit(2, 60_000);
    expect(take(table, [lowered], NOW)).toMatchObject({ kind: "denied", retryAfterSeconds: 30 });
    expect(countAdmitted(table, [lowered], NOW + 60_000)).toBe(2);
  });

  test("take() gives nothing away and locks nobody out when the clock steps back", () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 0, max: 864_000_000 }), (limit, backMs) => {
        const table = createBucketTable();
        countAdmitted(table, [limit], NOW);
        const denied = take(table, [limit], NOW - backMs);
        if (denied.kind !== "denied") throw new Error(denied.kind);
        expect(denied.retryAfterSeconds).toBeLessThanOrEqual(Math.ceil(limit.intervalMs / 1000));
        const laterMs = NOW - backMs + denied.retryAfterSeconds * 1000;
        // Division into intervals is inexact: right at a whole number of requests either count is right.
        const gained = (denied.retryAfterSeconds * 1000) / limit.intervalMs;
        const [least, most] = [gained - 0.01, gained + 0.01].map((due) => Math.min(limit.capacity, Math.floor(due)));
        const admitted = countAdmitted(table, [limit], laterMs);
        expect(admitted).toBeGreaterThanOrEqual(Math.max(1, least ?? 0));
        expect(admitted).toBeLessThanOrEqual(Math.max(1, most ?? 0));
      }),
    );
  });
});

describe("the table of buckets", () => {
  const limit = createLimit(2, 60_000);

  test("take() keeps the table within its bound and never forgets a live bucket", () => {
    const visits = fc.array(fc.record({ owner: fc.nat(30), gap: fc.constantFrom(0, 0, 100, 31_000) }), {
      minLength: 20,
      maxLength: 200,
    });
    fc.assert(
      fc.property(visits, fc.integer({ min: 1, max: 20 }), (sequence, maxOwners) => {
        const bounded = createBucketTable(maxOwners);
        const unbounded = createBucketTable(1000);
        let nowMs = NOW;
        for (const { owner, gap } of sequence) {
          nowMs += gap;
          const taken = take(bounded, [limit], nowMs, 1, `k${owner}`);
          expect(bounded.owners.size).toBeLessThanOrEqual(maxOwners);
          // Refused for want of room is fail closed; anything else is what a table without a bound answers.
          if (taken.kind !== "full") expect(taken).toEqual(take(unbounded, [limit], nowMs, 1, `k${owner}`));
        }
      }),
    );
  });

  test("take() refuses a new owner when every place holds a live bucket, and serves those who have one", () => {
    const table = createBucketTable(3);
    for (const owner of ["a", "b", "c"]) expect(take(table, [limit], NOW, 1, owner).kind).toBe("taken");
    expect(take(table, [limit], NOW, 1, "d").kind).toBe("full");
    expect(take(table, [limit], NOW, 1, "a").kind).toBe("taken");
    expect(take(table, [limit], NOW + 60_000, 1, "d").kind).toBe("taken");
  });

  test("take() forgets idle owners as new ones arrive", () => {
    const table = createBucketTable(1000);
    for (let owner = 0; owner < 500; owner += 1) take(table, [limit], NOW, 1, `old${owner}`);
    for (let owner = 0; owner < 100; owner += 1) take(table, [limit], NOW + 60_000, 1, `new${owner}`);
    expect(table.owners.size).toBe(100);
  });

  test("take() of a negative cost gives back what was taken, and never more", () => {
    const table = createBucketTable();
    expect(countAdmitted(table, [limit], NOW)).toBe(2);
    take(table, [limit], NOW, -1);
    expect(countAdmitted(table, [limit], NOW)).toBe(1);
    // By then one of the two has come back by itself.
    take(table, [limit], NOW + 45_000, -1);
    take(table, [limit], NOW + 45_000, -1);
    expect(countAdmitted(table, [limit], NOW + 45_000)).toBe(2);
  });

  test("take() of a negative cost leaves a bucket as if the request had not been, whatever passed between", () => {
    fc.assert(
      fc.property(limits, fc.nat(90_000), fc.nat(5), (limit, pauseMs, others) => {
        const [given, never] = [createBucketTable(), createBucketTable()];
        for (const table of [given, never]) for (let count = 0; count < others; count += 1) take(table, [limit], NOW);
        if (take(given, [limit], NOW).kind === "taken") take(given, [limit], NOW + pauseMs, -1);
        const [quota, expected] = [given, never].map((table) => quotaOf(table, limit, NOW + pauseMs));
        expect(quota?.remaining).toBe(expected?.remaining);
      }),
    );
  });
});
