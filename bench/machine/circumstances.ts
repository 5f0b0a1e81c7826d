import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";
import type { Circumstances, Settings } from "../report.ts";

// Above this somebody else is at work: the figures of a machine of two cores are then theirs as well.
const QUIET_LOAD = 0.5;

/** To be asked before anything is measured, so that the load is that of others. */
export function describeCircumstances(settings: Settings, quick: boolean): Circumstances {
  const loadAverage = Math.round((loadavg()[0] ?? 0) * 100) / 100;
  return {
    takenAt: new Date().toISOString(),
    revision: readRevision(),
    node: process.version,
    kernel: release(),
    processor: cpus()[0]?.model.trim() ?? "?",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    loadAverage,
    preliminary: findDoubt(loadAverage, quick),
    settings,
  };
}

function findDoubt(loadAverage: number, quick: boolean): string | undefined {
  if (loadAverage > QUIET_LOAD) return `the machine was busy with other work (load average ${loadAverage})`;
  return quick ? "the run was a quick one" : undefined;
}

function readRevision(): string {
  try {
    const git = (...args: string[]) => execFileSync("git", args, { encoding: "utf8", stdio: "pipe" }).trim();
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "src") === "" ? "" : " with changes");
  } catch {
    return "unknown";
  }
}
