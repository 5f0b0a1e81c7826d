import type { Timers } from "../config/watcher.ts";

/** Timers that do not keep the process alive: watching alone is no reason to. */
export const watchTimers: Timers = {
  setTimeout: (task, delayMs) => {
    const timer = setTimeout(task, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
