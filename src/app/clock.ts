import type { Clock } from "../proxy/clock.ts";

let writtenSecond = 0;
let written = "";

/** The real clock: the only place that asks the system what time it is. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  httpDate: () => {
    const now = Date.now();
    const second = Math.floor(now / 1000);
    if (second !== writtenSecond) {
      writtenSecond = second;
      written = new Date(now).toUTCString();
    }
    return written;
  },
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  afterPass: (task) => void setImmediate(task),
};
