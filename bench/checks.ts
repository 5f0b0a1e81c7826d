import { createCredentials, LATCHKEY } from "./contenders/latchkey.ts";
import { type Course, type Entrant, enter, toLoad } from "./entrant.ts";
import { progress } from "./machine/progress.ts";
import { startUpstream } from "./machine/upstream.ts";
import { median } from "./measure/open-loop.ts";
import { runEnough, runWrk } from "./measure/wrk.ts";
import type { ChecksFigures, Settings } from "./report.ts";

const WARM_UP_SECONDS = 3;
const ROUNDS = 6;
// Short and by turns, so that whatever disturbs the machine disturbs both.
const ROUND_SECONDS = 1;

/** What checks cost of throughput: each start of the program with them is paired with one whose routes are public. */
export async function measureChecks(times: number, settings: Settings, folder: string): Promise<ChecksFigures> {
  await using started = new AsyncDisposableStack();
  const upstream = await startUpstream(folder);
  started.defer(upstream.stop);
  const credentials = createCredentials(settings.keys);
  const course = { settings, credentials, credential: credentials[settings.keys >> 1] ?? "", folder };
  const starts: number[] = [];
  for (let turn = 1; turn <= times; turn += 1) {
    starts.push(await measureOnce(upstream.port, course));
    progress(`what checks cost, start ${turn} of ${times}: ${starts.at(-1)?.toFixed(1)}%`);
  }
  const meanPercent = starts.reduce((sum, cost) => sum + cost, 0) / times;
  const squares = starts.reduce((sum, cost) => sum + (cost - meanPercent) ** 2, 0);
  return { starts, meanPercent, errorPercent: Math.sqrt(squares / (times - 1) / times) };
}

async function measureOnce(upstreamPort: number, course: Course): Promise<number> {
  await using started = new AsyncDisposableStack();
  const begin = async (name: string): Promise<Entrant> => {
    const contender = LATCHKEY.find((each) => each.name === name);
    if (contender === undefined) throw new Error(`there is no ${name}`);
    const entrant = await enter(contender, upstreamPort, course);
    started.defer(entrant.running.stop);
    await runEnough(toLoad(entrant, course, WARM_UP_SECONDS), course.folder);
    return entrant;
  };
  const checked = await begin("latchkey");
  const unchecked = await begin("latchkey-unchecked");
  const serve = async (entrant: Entrant): Promise<number> =>
    (await runWrk(toLoad(entrant, course, ROUND_SECONDS), course.folder)).perSecond;
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const perSecond = await serve(checked);
    costs.push((1 - perSecond / (await serve(unchecked))) * 100);
  }
  return median(costs);
}
