/**
 * Loaded into the measured program by `--import`: writes a histogram of its event loop at each SIGUSR2. `cpuMax` is the
 * most processor time its thread had between two turns: on a busy machine the wall clock measures the neighbours.
 */
import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

// A timer that is due every millisecond comes late by as long as the loop was held.
const RESOLUTION_MS = 1;
const NS_PER_MS = 1e6;
const US_PER_MS = 1e3;

const file = process.env["EVENT_LOOP_FILE"];
const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delays.enable();
let cpuMax = 0;
let before = process.threadCpuUsage();
setInterval(() => {
  const now = process.threadCpuUsage();
  cpuMax = Math.max(cpuMax, (now.user + now.system - before.user - before.system) / US_PER_MS);
  before = now;
}, RESOLUTION_MS).unref();
process.on("SIGUSR2", () => {
  if (file === undefined) return;
  const toHeld = (ns: number) => Math.max(0, ns / NS_PER_MS - RESOLUTION_MS);
  const [p50 = 0, p99 = 0, p999 = 0] = [50, 99, 99.9].map((share) => toHeld(delays.percentile(share)));
  writeFileSync(file, JSON.stringify({ p50, p99, p999, max: toHeld(delays.max), cpuMax, samples: delays.count }));
  delays.reset();
  cpuMax = 0;
});
