import { getHeapStatistics } from "node:v8";
import { median } from "../measure/open-loop.ts";
import type { MicroFigures } from "../report.ts";
import { KEYS } from "./fixture.ts";

/** How long one figure is measured. Many short rounds: the least of them had the processor to itself. */
export interface Effort {
  readonly warmUpMs: number;
  readonly roundMs: number;
  readonly rounds: number;
}

export const THOROUGH: Effort = { warmUpMs: 400, roundMs: 30, rounds: 41 };
export const ROUGH: Effort = { warmUpMs: 50, roundMs: 10, rounds: 5 };

/** Something to be timed. It is called with each index below 1,000 in turn, so that no cache of one key flatters it. */
export interface Subject {
  readonly group: string;
  readonly name: string;
  readonly run: (index: number) => unknown;
}

// Memory is handed out in pages: enough calls that a page more or less is no byte of one call.
const COUNTED_CALLS = 100 * KEYS;

/** Nanoseconds of processor time, and bytes newly allocated, that one call takes. */
export function measure({ group, name, run }: Subject, { warmUpMs, roundMs, rounds }: Effort): MicroFigures {
  let sink = 0;
  const timed = (forMs: number): number => {
    let calls = 0;
    const start = cpuMs();
    let elapsed = 0;
    for (; elapsed < forMs; elapsed = cpuMs() - start) {
      for (let index = 0; index < KEYS; index += 1) if (run(index) !== undefined) sink += 1;
      calls += KEYS;
    }
    return (elapsed * 1e6) / calls;
  };
  timed(warmUpMs);
  const times = Array.from({ length: rounds }, () => timed(roundMs));
  const before = allocatedBytes();
  for (let call = 0; call < COUNTED_CALLS; call += 1) if (run(call % KEYS) !== undefined) sink += 1;
  const bytes = (allocatedBytes() - before) / COUNTED_CALLS;
  // Also keeps the calls from being optimised away.
  if (sink === 0) throw new Error(`${name}: nothing was run`);
  return { group, name, medianNs: median(times), leastNs: Math.min(...times), bytes };
}

/** Processor time this thread has had: on a busy machine the wall clock measures the neighbours. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Bytes ever allocated on the heap; unlike its size, no collection takes from it. */
function allocatedBytes(): number {
  return Number(Object.entries(getHeapStatistics()).find(([name]) => name === "total_allocated_bytes")?.[1]);
}
