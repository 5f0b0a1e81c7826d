import { describe, expect, test } from "vitest";
import type { Limit, Taken } from "../../src/policy/bucket.ts";
import { type Ending, explore, type Scene, type Shelf, type Take } from "./interleavings.ts";
import { loadSteppedTake } from "./stepped.ts";

const NOW = 1_790_000_000_100;
const take = loadSteppedTake();

function createLimit(count: number, windowMs: number): Limit {
  const name = `${count}/${windowMs}ms`;
  return { id: `${windowMs}`, name, count, windowMs, capacity: count, intervalMs: windowMs / count };
}

const WIDE = createLimit(2, 64_000);
const NARROW = createLimit(1, 32_000);
/** One request of owner 1, against both limits. */
const both = (...limits: readonly Limit[]): Take => ({ owner: 1, limits, nowMs: NOW });
const PATIENT = { take, slots: 3, pauses: 50, impatient: false } as const satisfies Partial<Scene>;

function kindsOf({ results }: Ending): readonly Taken["kind"][] {
  return results.flat().map(({ kind }) => kind);
}

function countTaken(ending: Ending): number {
  return kindsOf(ending).filter((kind) => kind === "taken").length;
}

/** What every bucket holds is what the admitted requests took, no more and no less. */
function expectSpent(ending: Ending, limits: readonly Limit[], taken: number): void {
  for (const limit of limits) {
    expect(ending.shelf.spentOf(1, limit) ?? 0, ending.schedule.join(" ")).toBeCloseTo(taken, 9);
  }
}

describe("takeShared(), in every interleaving of its steps", { timeout: 60_000 }, () => {
  test("takeShared() admits exactly the limit to two threads of two requests with two buckets", (context) => {
    const three = createLimit(3, 32_000);
    const threads = [
      [both(WIDE, three), both(WIDE, three)],
      [both(WIDE, three), both(WIDE, three)],
    ];
    const { endings, states } = explore({ ...PATIENT, threads }, (ending) => {
      expect(countTaken(ending)).toBe(2);
      expect(kindsOf(ending)).not.toContain("full");
      expectSpent(ending, [WIDE, three], 2);
    });
    context.annotate(`${states} states, ${endings} ends`);
    expect(endings).toBeGreaterThan(1);
  });

  test("takeShared() admits exactly the narrower limit to three threads, and the wider one loses nothing", (context) => {
    const threads = [[both(WIDE, NARROW)], [both(NARROW, WIDE)], [both(WIDE, NARROW)]];
    const { endings, states } = explore({ ...PATIENT, threads }, (ending) => {
      expect(countTaken(ending)).toBe(1);
      // The two that were denied took nothing of the wide limit, which had room for one of them.
      expectSpent(ending, [WIDE, NARROW], 1);
    });
    context.annotate(`${states} states, ${endings} ends`);
    expect(endings).toBeGreaterThanOrEqual(3);
  });

  test("takeShared() never admits more, nor leaves anything taken, when threads give up waiting", () => {
    const threads = [[both(WIDE, NARROW)], [both(WIDE, NARROW)], [both(WIDE)]];
    const seen = new Set<string>();
    explore({ ...PATIENT, threads, pauses: 2, impatient: true }, (ending) => {
      const [one, other, third] = ending.results.map(([result]) => result?.kind);
      seen.add(`${one} ${other} ${third}`);
      const narrow = [one, other].filter((kind) => kind === "taken").length;
      expect(narrow).toBeLessThanOrEqual(1);
      expect(ending.shelf.spentOf(1, NARROW) ?? 0).toBeCloseTo(narrow, 9);
      expect(ending.shelf.spentOf(1, WIDE) ?? 0).toBeCloseTo(narrow + (third === "taken" ? 1 : 0), 9);
    });
    // Somebody gives up in some of them, and in others nobody does.
    expect(seen).toContain("taken denied taken");
    expect(seen).toContain("full taken taken");
  });

  test("takeShared() keeps exactly what was taken and not given back", () => {
    const four = createLimit(4, 64_000);
    const back: Take = { ...both(four), cost: -1 };
    const threads = [[both(four), back], [both(four), back], [both(four)]];
    explore({ ...PATIENT, threads, prepare: (shelf) => shelf.set(0, 1, four, four.intervalMs, NOW) }, (ending) => {
      expect(countTaken(ending)).toBe(5);
      // One was spent beforehand, and the third thread keeps its own.
      expectSpent(ending, [four], 2);
    });
  });

  test("takeShared() gives nothing away when a thread dies while it gives back", () => {
    const four = createLimit(4, 64_000);
    const threads = [
      [both(four), { ...both(four), cost: -1 }],
      [both(four), both(four), both(four)],
    ];
    explore({ ...PATIENT, threads, mortal: 0 }, (ending) => {
      const spent = ending.shelf.spentOf(1, four) ?? 0;
      expect(ending.results[1]?.map(({ kind }) => kind)).toEqual(["taken", "taken", "taken"]);
      expect(spent, ending.schedule.join(" ")).toBeGreaterThanOrEqual(3 - 1e-9);
      expect(spent, ending.schedule.join(" ")).toBeLessThanOrEqual(4 + 1e-9);
    });
  });

  test("takeShared() does not refill twice what two threads saw pass", () => {
    // The second thread was told an earlier instant than the one it takes after.
    const threads = [[both(WIDE)], [{ ...both(WIDE), nowMs: NOW - 50 }], [both(WIDE)]];
    explore({ ...PATIENT, threads, prepare: (shelf) => shelf.set(0, 1, WIDE, WIDE.windowMs, NOW - 100) }, (ending) => {
      // Empty 100 ms before, and one more request is due after 32 s.
      expect(countTaken(ending)).toBe(0);
    });
    const fresh = [[both(WIDE)], [{ ...both(WIDE), nowMs: NOW - 50 }], [both(WIDE)]];
    explore({ ...PATIENT, threads: fresh }, (ending) => expect(countTaken(ending)).toBe(2));
  });

  test("takeShared() gives the one free slot to one of two, and a live bucket's to nobody", () => {
    const live = (shelf: Shelf) => {
      shelf.set(0, 8, WIDE, 1, NOW - 10);
      shelf.set(1, 9, WIDE, 50_000, NOW - 10);
    };
    const threads = [[{ owner: 1, limits: [WIDE], nowMs: NOW }], [{ owner: 2, limits: [WIDE], nowMs: NOW }]];
    const { endings } = explore({ ...PATIENT, threads, slots: 2, prepare: live }, (ending) => {
      expect([...kindsOf(ending)].sort()).toEqual(["full", "taken"]);
      expect(ending.shelf.spentOf(9, WIDE)).toBe(50_000 / WIDE.intervalMs);
      expect(ending.shelf.spentOf(8, WIDE)).toBeUndefined();
    });
    expect(endings).toBeGreaterThanOrEqual(2);
  });

  test("takeShared() forgets no bucket that another thread takes from while its slot is wanted", () => {
    const idle = (shelf: Shelf) => shelf.set(0, 1, WIDE, 1, NOW - 10);
    const threads = [[both(WIDE)], [{ owner: 2, limits: [WIDE], nowMs: NOW }], [both(WIDE)]];
    explore({ ...PATIENT, threads, slots: 2, prepare: idle }, (ending) => {
      // Whoever of owner 1 comes after owner 2 finds its bucket, or a new one that is as full: never two.
      expect(kindsOf(ending)).toEqual(["taken", "taken", "taken"]);
      expect(ending.shelf.spentOf(1, WIDE)).toBeCloseTo(2, 9);
      expect(ending.shelf.spentOf(2, WIDE)).toBeCloseTo(1, 9);
    });
  });

  test("takeShared() gives two buckets of one request two slots", () => {
    const threads = [[both(WIDE, NARROW)], [{ owner: 2, limits: [WIDE], nowMs: NOW }]];
    explore({ ...PATIENT, threads, slots: 2 }, (ending) => {
      const [one, other] = ending.results.map(([result]) => result?.kind);
      expect([one, other].filter((kind) => kind === "taken")).toHaveLength(1);
      expectSpent(ending, [WIDE, NARROW], one === "taken" ? 1 : 0);
    });
  });

  test("takeShared() gives no bucket of a request the slot of another, though that is full again", () => {
    const idle = (shelf: Shelf) => shelf.set(0, 1, WIDE, 1, NOW - 10);
    const threads = [[both(WIDE, NARROW)], [both(NARROW, WIDE)]];
    explore({ ...PATIENT, threads, prepare: idle }, (ending) => {
      expect([...kindsOf(ending)].sort(), ending.schedule.join(" ")).toEqual(["denied", "taken"]);
      expectSpent(ending, [WIDE, NARROW], 1);
    });
  });

  test("takeShared() never admits more than the limit when a thread dies at any of its steps", (context) => {
    const threads = [[both(WIDE, NARROW)], [both(WIDE), both(WIDE), both(WIDE)]];
    let deaths = 0;
    const { endings, states } = explore({ ...PATIENT, threads, mortal: 0 }, (ending) => {
      const [, survivor = []] = ending.results;
      deaths += ending.died ? 1 : 0;
      // The lock of the dead is not waited for without end, so that the living get all their answers.
      expect(survivor.map(({ kind }) => kind)).not.toContain("full");
      const taken = survivor.filter(({ kind }) => kind === "taken").length;
      expect(countTaken(ending)).toBeLessThanOrEqual(2);
      // At most what the dead one asked for is lost.
      expect(taken, ending.schedule.join(" ")).toBeGreaterThanOrEqual(1);
    });
    context.annotate(`${states} states, ${endings} ends`);
    expect(deaths).toBeGreaterThan(10);
  });

  test("takeShared() gives nothing away when a thread dies while it takes up a changed limit", () => {
    const [narrow, wide] = [createLimit(2, 64_000), createLimit(4, 64_000)];
    const widest = createLimit(400, 64_000);
    for (const [old, next, requests] of [
      [wide, narrow, 1],
      [narrow, wide, 1],
      // What two requests are of the one is nearly nothing of the other.
      [widest, narrow, 2],
    ] as const) {
      const threads = [[both(next)], Array.from({ length: next.capacity }, () => both(next))];
      const spent = (shelf: Shelf) => shelf.set(0, 1, old, requests * old.intervalMs, NOW);
      explore({ ...PATIENT, threads, mortal: 0, prepare: spent }, (ending) => {
        expect(countTaken(ending), ending.schedule.join(" ")).toBeLessThanOrEqual(next.capacity - requests);
      });
    }
  });

  test("explore() finds what is wrong without the lock", () => {
    const broken = loadSteppedTake((source) =>
      source.replace("const holder = swapWord(locks, at, FREE, thread);", "const holder = FREE;"),
    );
    const threads = [[both(NARROW)], [both(NARROW)]];
    let most = 0;
    explore({ ...PATIENT, take: broken, threads }, (ending) => {
      most = Math.max(most, countTaken(ending));
    });
    expect(most).toBe(2);
  });
});
