import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Clock, Timer } from "../proxy/clock.ts";

/**
 * Collects everything and gives the pages back to the system, by this flavour of collection at once. Any other keeps a young
 * generation as large as it ever was.
 */
export function giveBackMemory(): void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  if (typeof collect === "function") collect({ type: "major", flavor: "last-resort" });
}

// Long enough to tell a quiet process from one between two requests.
const LOOK_EVERY_MS = 1_000;
// Of the event loop's time. Scrapes and probes leave it at less.
const QUIET = 0.05;

export interface Quiet {
  readonly clock: Pick<Clock, "after">;
  /** The share of its time that the event loop was at work since it was asked last. */
  readonly utilization: () => number;
  readonly giveBack: () => void;
}

/**
 * A start leaves a third of the memory it took as garbage that nothing collects in a process with little to do. It is given
 * back once, after the first second in which next to nothing was asked of this thread, since that takes some 30 ms.
 */
export function giveBackOnceQuiet({ clock, utilization, giveBack }: Quiet): Timer {
  const wait = (): Timer => clock.after(LOOK_EVERY_MS, look);
  const look = (): void => {
    if (utilization() > QUIET) timer = wait();
    else giveBack();
  };
  let timer = wait();
  return { cancel: () => timer.cancel() };
}

/** How busy this thread's event loop is. */
export function createUtilization(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
