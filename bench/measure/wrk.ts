import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runPinned } from "../machine/process.ts";

/** What wrk sends: its requests in turn, each by its own key. */
export interface Load {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  readonly requests: readonly { readonly path: string; readonly credential: string }[];
  /** Sent as a POST where there are any. */
  readonly bodyBytes?: number;
}

/** What wrk counted. Latencies are of a closed loop: each connection waits for an answer before it asks again. */
export interface Served {
  readonly requests: number;
  readonly perSecond: number;
  readonly receivedBytes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

// Where a second is too short for a first answer, on a machine that is busy with other work, this is not.
const LONGER = 5;

/** Drives a proxy as fast as it answers; fails if anything but a 2xx came back. */
export async function runWrk(load: Load, folder: string): Promise<Served> {
  const served = await runOnce(load, folder);
  if (served.requests > 0) return served;
  const longer = await runOnce({ ...load, seconds: load.seconds * LONGER }, folder);
  if (longer.requests === 0) throw new Error(`port ${load.port} answered nothing in ${load.seconds * LONGER} s`);
  return longer;
}

// With fewer, compiling and collecting what a start left over would be a large part of each request's cost.
const ENOUGH_REQUESTS = 5000;
const MOST_TURNS = 3;

/** Drives a proxy until it has served enough for its cost to be told, within reason; how many it served. */
export async function runEnough(load: Load, folder: string): Promise<number> {
  let requests = 0;
  for (let turn = 0; turn < MOST_TURNS && requests < ENOUGH_REQUESTS; turn += 1) {
    requests += (await runWrk(load, folder)).requests;
  }
  return requests;
}

async function runOnce(load: Load, folder: string): Promise<Served> {
  const script = join(folder, `load-${load.port}.lua`);
  await writeFile(script, toScript(load));
  const output = await runPinned([
    "wrk",
    ...["-t", "1", "-c", String(load.connections), "-d", `${load.seconds}s`, "--timeout", "10s", "-s", script],
    `http://127.0.0.1:${load.port}${load.requests[0]?.path ?? "/"}`,
  ]);
  return parseWrk(output);
}

/** wrk prints no 99.9th percentile, so its script does. With one request wrk repeats the bytes without asking Lua. */
function toScript({ requests, bodyBytes }: Load): string {
  const [first] = requests;
  const rest = requests.length > 1 ? toTurns(requests) : "";
  return `${bodyBytes === undefined ? "" : `wrk.method = "POST"\nwrk.body = string.rep("x", ${bodyBytes})\n`}
wrk.headers["X-API-Key"] = "${first?.credential ?? ""}"
${rest}
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format('\\n${RESULT}{"requests":%d,"durationUs":%d,"bytes":%d,"failed":%d,"p50":%f,"p99":%f,"p999":%f}\\n',
    summary.requests, summary.duration, summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
`;
}

function toTurns(requests: Load["requests"]): string {
  const paths = requests.map(({ path }) => `"${path}"`).join(",");
  const credentials = requests.map(({ credential }) => `"${credential}"`).join(",");
  return `local paths, keys = {${paths}}, {${credentials}}
local ready, turn = {}, 0
init = function()
  for at = 1, #paths do ready[at] = wrk.format(nil, paths[at], { ["X-API-Key"] = keys[at], Host = "127.0.0.1" }) end
end
request = function()
  turn = turn % #ready + 1
  return ready[turn]
end
`;
}

const RESULT = "result ";

export function parseWrk(output: string): Served {
  const line = output.split("\n").find((candidate) => candidate.startsWith(RESULT));
  if (line === undefined) throw new Error(`wrk printed no result: ${output}`);
  const { requests, durationUs, bytes, failed, p50, p99, p999 } = JSON.parse(line.slice(RESULT.length));
  if (failed > 0) throw new Error(`${failed} of ${requests} requests failed: ${output}`);
  return {
    requests,
    perSecond: (requests * 1e6) / durationUs,
    receivedBytes: bytes,
    p50Ms: p50 / 1000,
    p99Ms: p99 / 1000,
    p999Ms: p999 / 1000,
  };
}
