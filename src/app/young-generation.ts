import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics } from "node:v8";
import { boundGrowth } from "./engine.ts";

// Of each of its two halves. With a thousand requests under way V8 would let each grow to 32 MB, for 3 MB that survive a collection.
const MAX_HALF_MB = 12;
const MAX_HALF_BYTES = MAX_HALF_MB * 1024 * 1024;
/** The same as Node takes it for a thread: two halves, and as much for large objects. */
export const MAX_YOUNG_MB = 3 * MAX_HALF_MB;

/**
 * Bounds the memory of this thread's garbage from now on. It can only be bounded while V8 runs: of the main thread Node takes
 * a bound on its command line alone, and under flags that are given there V8 refuses what Node keeps compiled of itself.
 *
 * V8 asks for the factor when it grows, and may grow twice before this is called. So the next growth leads to the bound in
 * one step, and the one after that nowhere.
 */
export function boundGarbage(): void {
  const look = (): void => boundGrowth(Math.max(1, Math.floor(MAX_HALF_BYTES / halfBytes())));
  new PerformanceObserver(look).observe({ entryTypes: ["gc"] });
  look();
}

function halfBytes(): number {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  return young === undefined ? MAX_HALF_BYTES : young.space_used_size + young.space_available_size;
}
