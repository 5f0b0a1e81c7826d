import { readCpuUs } from "../machine/proc.ts";
import type { Round } from "../report.ts";
import { median } from "./open-loop.ts";
import { type Load, runWrk } from "./wrk.ts";

/** One round at full load: what was served, and the processor time it took the proxy to serve it. */
export async function saturate(pid: number, load: Load, folder: string): Promise<Round> {
  const beforeUs = readCpuUs(pid);
  const { requests, perSecond, p50Ms, p99Ms, p999Ms } = await runWrk(load, folder);
  return { perSecond, cpuUs: (readCpuUs(pid) - beforeUs) / requests, p50Ms, p99Ms, p999Ms };
}

/** Medians of each figure by itself. */
export function summarise(rounds: readonly Round[]): Round {
  const of = (pick: (round: Round) => number) => median(rounds.map(pick));
  return {
    perSecond: of((round) => round.perSecond),
    cpuUs: of((round) => round.cpuUs),
    p50Ms: of((round) => round.p50Ms),
    p99Ms: of((round) => round.p99Ms),
    p999Ms: of((round) => round.p999Ms),
  };
}
