import { readCpuUs } from "../machine/proc.ts";
import { UPLOAD_PATH } from "../machine/upstream.ts";
import { runWrk } from "./wrk.ts";

interface Through {
  readonly pid: number;
  readonly port: number;
  readonly credential: string;
  readonly seconds: number;
  readonly folder: string;
}

const CONNECTIONS = 4;
const BYTES = 1_000_000;
const PER_BYTES = 100_000_000;

/** Milliseconds of processor time for 100 MB of response bodies, in answers of 1 MB. */
export async function downloadCpuMs({ pid, port, credential, seconds, folder }: Through): Promise<number> {
  const before = readCpuUs(pid);
  const requests = [{ path: `/bodies/${BYTES}`, credential }];
  const { receivedBytes } = await runWrk({ port, connections: CONNECTIONS, seconds, requests }, folder);
  return toMsPer100Mb(readCpuUs(pid) - before, receivedBytes);
}

/** The same for request bodies. */
export async function uploadCpuMs({ pid, port, credential, seconds, folder }: Through): Promise<number> {
  const before = readCpuUs(pid);
  const load = { port, connections: CONNECTIONS, seconds, bodyBytes: BYTES };
  const served = await runWrk({ ...load, requests: [{ path: UPLOAD_PATH, credential }] }, folder);
  return toMsPer100Mb(readCpuUs(pid) - before, served.requests * BYTES);
}

const toMsPer100Mb = (cpuUs: number, bytes: number): number => (cpuUs / 1000) * (PER_BYTES / bytes);
