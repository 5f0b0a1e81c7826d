import { readRssMb } from "../machine/proc.ts";
import { type Load, runWrk } from "./wrk.ts";

const SAMPLE_MS = 100;

/** The most resident memory seen while a load goes on. */
export async function peakRssMb(pid: number, load: Load, folder: string): Promise<number> {
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, readRssMb(pid));
  }, SAMPLE_MS);
  try {
    await runWrk(load, folder);
  } finally {
    clearInterval(timer);
  }
  return peak;
}
