import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createCredentials, PROGRAM, writeLatchkeyConfig } from "./contenders/latchkey.ts";
import { readCpuUs, readRssMb } from "./machine/proc.ts";
import { startPinned } from "./machine/process.ts";
import { progress } from "./machine/progress.ts";
import { findFreePort, PROBE_PATH, waitUntilAnswering } from "./machine/ready.ts";
import { BODY_SIZES, startUpstream, type Upstream } from "./machine/upstream.ts";
import { type Load, runEnough } from "./measure/wrk.ts";
import type { Growth } from "./report.ts";

interface Point {
  readonly at: number;
  /** Of one among many of what grows, so that no cache of the last one flatters the figure. */
  readonly requests: Load["requests"];
  readonly credentials: readonly string[];
  readonly routes?: readonly object[];
  readonly connections: number;
}

export interface Pace {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Leaves out the largest sizes, which take the longest to load. */
  readonly quick: boolean;
}

const CONNECTIONS = 32;
const KEYS = 1000;
// As many different ones as wrk asks for in turn, spread over all there are.
const SPREAD = 1000;

/** Latchkey's own cost as keys, routes, connections and bodies grow, each from small to large, all else as usual. */
export async function measureGrowth(pace: Pace, folder: string): Promise<readonly Growth[]> {
  await using started = new AsyncDisposableStack();
  const upstream = await startUpstream(folder);
  started.defer(upstream.stop);
  const growths: Growth[] = [];
  for (const [of, points] of Object.entries(planPoints(pace.quick)) as [Growth["of"], readonly Point[]][]) {
    const measured = [];
    for (const point of points) measured.push(await measurePoint(of, point, upstream, pace, folder));
    growths.push({ of, points: measured });
  }
  return growths;
}

function planPoints(quick: boolean): Record<Growth["of"], readonly Point[]> {
  const upTo = (most: number, sizes: readonly number[]) => sizes.filter((size) => !quick || size <= most);
  const credentials = createCredentials(KEYS);
  const usual = { credentials, connections: CONNECTIONS };
  const one = [{ path: PROBE_PATH, credential: credentials[KEYS >> 1] ?? "" }];
  return {
    keys: upTo(10_000, [10, 100, 1_000, 10_000, 100_000, 1_000_000]).map((at) => {
      const many = createCredentials(at);
      const requests = spread(many).map((credential) => ({ path: PROBE_PATH, credential }));
      return { ...usual, at, credentials: many, requests };
    }),
    routes: upTo(1_000, [10, 50, 100, 500, 1_000, 5_000]).map((at) => {
      const names = Array.from({ length: at }, (_, index) => `resource-${index}`);
      const routes = names.map((name) => ({ match: `GET /api/v1/${name}/**`, scopes: ["orders:read"] }));
      const requests = spread(names).map((name, index) => ({
        path: `/api/v1/${name}/4711`,
        credential: credentials[index % KEYS] ?? "",
      }));
      return { ...usual, at, routes, requests };
    }),
    connections: upTo(1_000, [1, 10, 100, 1_000, 10_000]).map((at) => ({
      ...usual,
      at,
      connections: at,
      requests: one,
    })),
    body: upTo(1_000_000, BODY_SIZES).map((at) => ({
      ...usual,
      at,
      requests: one.map(({ credential }) => ({ path: `/bodies/${at}`, credential })),
    })),
  };
}

/** Evenly from first to last, in an order that is not theirs. */
function spread<T>(all: readonly T[]): readonly T[] {
  const count = Math.min(SPREAD, all.length);
  // A step without a common divisor with 1,000 visits every place once.
  const picked = Array.from({ length: count }, (_, index) => all[Math.floor((index * all.length) / count)]);
  return Array.from({ length: count }, (_, index) => picked[(index * 619) % count]).filter((one) => one !== undefined);
}

async function measurePoint(of: Growth["of"], point: Point, upstream: Upstream, pace: Pace, folder: string) {
  const { at, credentials, routes, requests, connections } = point;
  const home = join(folder, `${of}-${at}`);
  await mkdir(home);
  const port = await findFreePort();
  const config = await writeLatchkeyConfig(home, { port, upstreamPort: upstream.port, credentials }, routes);
  const errorFile = join(home, "stderr.txt");
  const running = startPinned([process.execPath, PROGRAM, "serve", "--config", config], { core: "proxy", errorFile });
  try {
    await waitUntilAnswering(running, port, { "X-API-Key": credentials[0] ?? "" }, requests[0]?.path);
    const load = { port, connections, requests };
    await runEnough({ ...load, seconds: pace.warmUpSeconds }, home);
    const beforeUs = readCpuUs(running.pid);
    const served = await runEnough({ ...load, seconds: pace.seconds }, home);
    const cpuUs = (readCpuUs(running.pid) - beforeUs) / served;
    progress(`${of} ${at}: ${cpuUs.toFixed(1)} µs`);
    return { at, cpuUs, rssMb: readRssMb(running.pid) };
  } finally {
    await running.stop();
  }
}
