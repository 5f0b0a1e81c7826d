import { readFile } from "node:fs/promises";

/** What a process uses of what it is given, read from its control group of either version. */
export interface Usage {
  readonly memoryBytes: number;
  /** How long it was kept from running by its own quota. */
  readonly throttledMs: number;
  /** How long its main thread waited for a core. */
  readonly waitedMs: number;
}

export async function usageOf(pid: number): Promise<Usage> {
  const groups = await readFile(`/proc/${pid}/cgroup`, "utf8");
  const [, waitedNs] = (await readFile(`/proc/${pid}/schedstat`, "utf8")).split(" ");
  const memory = await readGroup(groups, "memory", "memory.usage_in_bytes", "memory.current");
  const cpu = await readGroup(groups, "cpu", "cpu.stat", "cpu.stat");
  const fieldOf = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(cpu)?.[1] ?? 0);
  return {
    memoryBytes: Number(memory),
    throttledMs: fieldOf("throttled_time") / 1e6 + fieldOf("throttled_usec") / 1e3,
    waitedMs: Number(waitedNs) / 1e6,
  };
}

function readGroup(groups: string, controller: string, first: string, second: string): Promise<string> {
  const own = new RegExp(`^\\d+:(?:.*,)?${controller}(?:,.*)?:(.+)$`, "m").exec(groups)?.[1];
  if (own !== undefined) return readFile(`/sys/fs/cgroup/${controller}${own}/${first}`, "utf8");
  return readFile(`/sys/fs/cgroup${/^0::(.+)$/m.exec(groups)?.[1]}/${second}`, "utf8");
}
