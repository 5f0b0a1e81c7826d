import { getHeapSpaceStatistics } from "node:v8";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { giveBackMemory } from "../../src/app/give-back.ts";
import { createOpenExchanges, type OpenExchange } from "../../src/proxy/open-exchanges.ts";
import { NOT_LISTED } from "../../src/proxy/roster.ts";
import { createPolicy } from "../policy/fixture.ts";

const { keys: ITS_KEY } = createPolicy({ keys: [{ id: "known", credential: "a-credential" }] });
const { keys: NO_KEYS } = createPolicy({});
const NOW_MS = 0;
const LATE_MS = 1_000_000;

describe("createOpenExchanges()", () => {
  test("ends those that are open and whose key is gone, each once, whatever came and went before", () => {
    const step = fc.record({ place: fc.nat(9), does: fc.constantFrom("add", "remove") });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const open = createOpenExchanges();
        const ended: number[] = [];
        const exchanges = Array.from({ length: 10 }, (_, place) => createExchange(() => ended.push(place)));
        const expected = new Set<number>();
        for (const { place, does } of steps) {
          const exchange = exchanges[place];
          if (exchange === undefined || (does === "add" && expected.has(place))) continue;
          open[does === "add" ? "add" : "remove"](exchange);
          if (does === "add") expected.add(place);
          else expected.delete(place);
        }
        expect(open.endUnusable(NO_KEYS, NOW_MS, LATE_MS)).toBe(expected.size);
        expect(ended.toSorted()).toEqual([...expected].toSorted());
        expect(open.endUnusable(NO_KEYS, NOW_MS, LATE_MS)).toBe(0);
      }),
    );
  });

  test("leaves alone what is young and what its key still opens", () => {
    const open = createOpenExchanges();
    open.add(createExchange(() => expect.unreachable()));
    expect(open.endUnusable(NO_KEYS, NOW_MS, 999)).toBe(0);
    expect(open.endUnusable(ITS_KEY, NOW_MS, LATE_MS)).toBe(0);
  });

  test("does not end what one that ended took with it", () => {
    const open = createOpenExchanges();
    let ended = 0;
    const exchanges = Array.from({ length: 3 }, () =>
      createExchange(() => {
        ended += 1;
        for (const exchange of exchanges) open.remove(exchange);
      }),
    );
    for (const exchange of exchanges) open.add(exchange);
    open.endUnusable(NO_KEYS, NOW_MS, LATE_MS);
    expect(ended).toBe(1);
  });

  test("keeps nothing of what has come and gone", () => {
    const open = createOpenExchanges();
    const churn = (times: number): void => {
      for (let count = 0; count < times; count += 1) {
        const weight = new Array<number>(128).fill(count);
        const exchange = createExchange(() => void weight.length);
        open.add(exchange);
        open.remove(exchange);
      }
    };
    churn(1_000);
    // From here on all that is there is old, and would be the first link of a chain.
    giveBackMemory();
    const before = usedOldSpace();
    churn(100_000);
    expect(usedOldSpace() - before).toBeLessThan(4 * 1024 * 1024);
  });
});

function createExchange(end: () => void): OpenExchange {
  const key = ITS_KEY.findById("known");
  if (key === undefined) throw new Error("the key is not there");
  return { key, startedMs: 0, end, place: NOT_LISTED };
}

function usedOldSpace(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space")?.space_used_size ?? 0;
}
