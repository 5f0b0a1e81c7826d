import { describe, expect, test } from "vitest";
import { parseCpuTicks, parseRssKb } from "../../bench/machine/proc.ts";
import { createOpenLoop, median, percentile } from "../../bench/measure/open-loop.ts";
import { summarise } from "../../bench/measure/saturation.ts";
import { parseWrk } from "../../bench/measure/wrk.ts";

describe("createOpenLoop()", () => {
  test("charges a stall to every request that fell due during it", () => {
    // 100 a second: due at 0, 10, 20, 30, 40. The first is answered at once, then nothing until 35.
    const loop = createOpenLoop(0, 100, 5);
    const [first] = loop.takeDue(0, 1);
    if (first === undefined) throw new Error("nothing due at the start");
    loop.answered(first, 1);
    const [second] = loop.takeDue(10, 1);
    if (second === undefined) throw new Error("nothing due at 10");
    // The one connection is taken: what falls due at 20 and 30 has to wait, and its time runs.
    expect(loop.takeDue(30, 0)).toEqual([]);
    loop.answered(second, 35);
    for (const sent of loop.takeDue(35, 2)) loop.answered(sent, 36);
    for (const sent of loop.takeDue(40, 1)) loop.answered(sent, 41);
    // Timed from when each was sent, three of them would have read 1.
    expect(loop.latenciesMs()).toEqual([1, 25, 16, 6, 1]);
    expect(loop.isComplete()).toBe(true);
  });

  test("sends nothing before it is due, and says how long until then", () => {
    const loop = createOpenLoop(1000, 4, 2);
    expect(loop.takeDue(999, 8)).toEqual([]);
    expect(loop.untilNextMs(999)).toBe(1);
    expect(loop.takeDue(1249, 8)).toEqual([{ dueMs: 1000 }]);
    expect(loop.untilNextMs(1249)).toBe(1);
    expect(loop.takeDue(1250, 8)).toEqual([{ dueMs: 1250 }]);
    expect(loop.untilNextMs(1250)).toBeUndefined();
    expect(loop.isComplete()).toBe(false);
  });

  test("charges what is never answered with the time it waited, sent or not", () => {
    const loop = createOpenLoop(0, 100, 3);
    const [late] = loop.takeDue(5, 1);
    loop.giveUp(105);
    expect(loop.latenciesMs()).toEqual([105, 95, 85]);
    expect(loop.isComplete()).toBe(true);
    // An answer after the end changes nothing.
    if (late !== undefined) loop.answered(late, 200);
    expect(loop.latenciesMs()).toEqual([105, 95, 85]);
  });
});

describe("figures", () => {
  test("percentile() is the nearest rank, in whatever order the values come", () => {
    const values = Array.from({ length: 1000 }, (_, index) => 1000 - index);
    expect([50, 99, 99.9, 100].map((share) => percentile(values, share))).toEqual([500, 990, 999, 1000]);
    expect(percentile([7], 99.9)).toBe(7);
    expect(percentile([], 50)).toBeNaN();
  });

  test("median() of an even number is the mean of the middle two", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 7])).toBe(6);
  });

  test("summarise() takes the median of each figure by itself", () => {
    const round = (perSecond: number, cpuUs: number) => ({ perSecond, cpuUs, p50Ms: 1, p99Ms: 2, p999Ms: 3 });
    expect(summarise([round(100, 30), round(300, 10), round(200, 20)])).toEqual(round(200, 20));
    expect(summarise([round(100, 10), round(300, 30), round(200, 90)])).toEqual(round(200, 30));
  });

  test("parseCpuTicks() adds user and system time, behind a name with brackets and spaces", () => {
    const stat = "4711 (a) b (c) S 1 4711 4711 0 -1 4194304 25 0 0 0 321 45 6 7 20 0 11 0 100 1000 200";
    expect(parseCpuTicks(stat)).toBe(366);
  });

  test("parseRssKb() reads VmRSS and takes a process that has ended for none", () => {
    expect(parseRssKb("VmHWM:\t  90000 kB\nVmRSS:\t   61440 kB\nRssAnon:\t 3 kB\n")).toBe(61_440);
    expect(parseRssKb("Name:\tnode\nState:\tZ (zombie)\n")).toBe(0);
  });
});

describe("parseWrk()", () => {
  const toOutput = (failed: number) =>
    `Running 2s test\n\nresult {"requests":50000,"durationUs":2000000,"bytes":1000,"failed":${failed},"p50":900.5,"p99":2000,"p999":4000}\n`;

  test("reads what the script printed, in milliseconds and per second", () => {
    expect(parseWrk(toOutput(0))).toEqual({
      requests: 50_000,
      perSecond: 25_000,
      receivedBytes: 1000,
      p50Ms: 0.9005,
      p99Ms: 2,
      p999Ms: 4,
    });
  });

  test("takes no figure from a run in which a request failed", () => {
    expect(() => parseWrk(toOutput(3))).toThrow("3 of 50000 requests failed");
    expect(() => parseWrk("unable to connect")).toThrow("no result");
  });
});
