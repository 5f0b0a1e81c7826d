import { LATCHKEY } from "./contenders/latchkey.ts";
import { type Course, type Entrant, enter, layCourse, toLoad } from "./entrant.ts";
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
  const course = layCourse(settings, folder);
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
  const entrants = { checked: await begin("latchkey"), unchecked: await begin("latchkey-unchecked") };
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const perSecond = { checked: 0, unchecked: 0 };
    // Each goes first in half of the rounds: what drifts is no difference.
    for (const which of round % 2 === 0 ? (["checked", "unchecked"] as const) : (["unchecked", "checked"] as const)) {
      const load = toLoad(entrants[which], course, ROUND_SECONDS);
      perSecond[which] = (await runWrk(load, course.folder)).perSecond;
    }
    costs.push((1 - perSecond.checked / perSecond.unchecked) * 100);
  }
  return median(costs);
}
