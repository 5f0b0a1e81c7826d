import { fileURLToPath } from "node:url";
import { runPinned } from "../machine/process.ts";
import { PROBE_PATH } from "../machine/ready.ts";
import type { Paced } from "../report.ts";

const CLIENT = fileURLToPath(new URL("open-loop-client.ts", import.meta.url));
const CONNECTIONS = 64;

/** Percentiles of an open loop at a fixed rate; see `open-loop.ts`. */
export async function runPaced(port: number, credential: string, perSecond: number, seconds: number): Promise<Paced> {
  const args = [port, perSecond, seconds, CONNECTIONS, PROBE_PATH, credential].map(String);
  // The client turns while it waits; as the less important it gives way at once to the upstream on the same core.
  const output = await runPinned(["nice", "-n", "10", process.execPath, CLIENT, ...args]);
  const { p50Ms, p99Ms, p999Ms, clientMs } = JSON.parse(output);
  return { perSecond, p50Ms, p99Ms, p999Ms, clientMs };
}
