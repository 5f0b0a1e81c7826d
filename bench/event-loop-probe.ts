/** Loaded into the measured program by `--import`: writes a histogram of its event loop at each SIGUSR2. */
import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

// A timer that is due every millisecond comes late by as long as the loop was held.
const RESOLUTION_MS = 1;
const NS_PER_MS = 1e6;

const file = process.env["EVENT_LOOP_FILE"];
const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delays.enable();
process.on("SIGUSR2", () => {
  if (file === undefined) return;
  const toHeld = (ns: number) => Math.max(0, ns / NS_PER_MS - RESOLUTION_MS);
  const [p50 = 0, p99 = 0, p999 = 0] = [50, 99, 99.9].map((share) => toHeld(delays.percentile(share)));
  writeFileSync(file, JSON.stringify({ p50, p99, p999, max: toHeld(delays.max), samples: delays.count }));
  delays.reset();
});
