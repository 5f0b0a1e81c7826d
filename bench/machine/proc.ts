import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

let ticksPerSecond: number | undefined;

/** Processor time of a process and its descendants, all threads, user and system, in microseconds. */
export function readCpuUs(pid: number): number {
  ticksPerSecond ??= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  const perTick = 1_000_000 / ticksPerSecond;
  return familyOf(pid).reduce((sum, each) => sum + parseCpuTicks(readProc(each, "stat")) * perTick, 0);
}

/** Resident memory of a process and its descendants, in MB. */
export function readRssMb(pid: number): number {
  return familyOf(pid).reduce((sum, each) => sum + parseRssKb(readProc(each, "status")) / 1024, 0);
}

/** utime + stime of /proc/PID/stat, proc(5): fields 14 and 15, counted after a name that may hold spaces and brackets. */
export function parseCpuTicks(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

export function parseRssKb(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
}

function familyOf(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid).flatMap(familyOf)];
}

/** A child is listed under the thread that made it. */
function childrenOf(pid: number): readonly number[] {
  const threads = readdirSync(`/proc/${pid}/task`);
  const lists = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8"));
  return lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
}

const readProc = (pid: number, name: string): string => readFileSync(`/proc/${pid}/${name}`, "utf8");
