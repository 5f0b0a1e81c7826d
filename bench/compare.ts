import { setTimeout as pause } from "node:timers/promises";
import type { Contender } from "./contenders/contender.ts";
import { type Course, type Entrant, enter, layCourse, toLoad } from "./entrant.ts";
import { readRssMb } from "./machine/proc.ts";
import { progress } from "./machine/progress.ts";
import { startUpstream } from "./machine/upstream.ts";
import { downloadCpuMs, uploadCpuMs } from "./measure/bodies.ts";
import { peakRssMb } from "./measure/memory.ts";
import { runPaced } from "./measure/paced.ts";
import { saturate, summarise } from "./measure/saturation.ts";
import { runEnough } from "./measure/wrk.ts";
import type { ContenderFigures, Round, Settings } from "./report.ts";

const MANY_CONNECTIONS = 1000;
// Whatever is loaded late or compiled in the background after a start is so by then, and what only it needed is given back.
const SETTLE_MS = 3000;
// A second moves a gigabyte: longer only warms the room.
const BODY_SECONDS = 2;

/**
 * Starts every contender, then gives each the same load in turn, round after round, so that what disturbs
 * the machine disturbs them all. They stay running: one that is not asked costs nothing.
 */
export async function compare(
  contenders: readonly Contender[],
  settings: Settings,
  folder: string,
): Promise<readonly ContenderFigures[]> {
  await using started = new AsyncDisposableStack();
  const upstream = await startUpstream(folder);
  started.defer(upstream.stop);
  const course = layCourse(settings, folder);
  const entrants = [];
  for (const contender of contenders) {
    const entrant = await enter(contender, upstream.port, course);
    started.defer(entrant.running.stop);
    entrants.push(entrant);
  }
  await pause(SETTLE_MS);
  const idleRssMb = new Map(entrants.map((entrant) => [entrant, readRssMb(entrant.running.pid)]));
  const rounds = await takeRounds(entrants, course);
  const slowest = Math.min(...[...rounds.values()].map((taken) => summarise(taken).perSecond));
  const figures = [];
  for (const [entrant, taken] of rounds) {
    const rest = await measureRest(entrant, summarise(taken), slowest, course);
    figures.push({ ...rest, rounds: taken, idleRssMb: idleRssMb.get(entrant) ?? Number.NaN });
  }
  return figures;
}

async function takeRounds(entrants: readonly Entrant[], course: Course): Promise<ReadonlyMap<Entrant, Round[]>> {
  const { settings, folder } = course;
  for (const entrant of entrants) {
    progress(`warm up ${entrant.contender.label}`);
    await runEnough(toLoad(entrant, course, settings.warmUpSeconds), folder);
  }
  const rounds = new Map<Entrant, Round[]>(entrants.map((entrant) => [entrant, []]));
  for (let round = 1; round <= settings.rounds; round += 1) {
    for (const [entrant, taken] of rounds) {
      const figures = await saturate(entrant.running.pid, toLoad(entrant, course, settings.seconds), folder);
      taken.push(figures);
      const { perSecond, cpuUs } = figures;
      progress(`round ${round}, ${entrant.contender.label}: ${perSecond.toFixed(0)} req/s, ${cpuUs.toFixed(1)} µs`);
    }
  }
  return rounds;
}

/** All that needs no alternating: latency is of a load well below what disturbs, the others count work, not time. */
async function measureRest(entrant: Entrant, saturated: Round, slowest: number, course: Course) {
  const { contender, port, running } = entrant;
  const { credential, folder, settings } = course;
  const { pid } = running;
  progress(`latency at fixed rates, ${contender.label}`);
  const paced = (perSecond: number) => runPaced(port, credential, toLeadingDigits(perSecond), settings.seconds);
  const halfLoad = await paced(saturated.perSecond / 2);
  const commonRate = await paced(slowest / 2);
  progress(`bodies and ${MANY_CONNECTIONS} connections, ${contender.label}`);
  const seconds = Math.min(BODY_SECONDS, settings.seconds);
  const through = { pid, port, credential, seconds, folder };
  const { name, label, job } = contender;
  return {
    name,
    label,
    job,
    version: await contender.version(),
    saturated,
    halfLoad,
    commonRate,
    downCpuMs: await downloadCpuMs(through),
    upCpuMs: await uploadCpuMs(through),
    busyRssMb: await peakRssMb(pid, { ...toLoad(entrant, course, seconds), connections: MANY_CONNECTIONS }, folder),
  };
}

/** A rate to be quoted: two leading digits and noughts. */
function toLeadingDigits(perSecond: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(perSecond)) - 1);
  return Math.max(1, Math.floor(perSecond / step) * step);
}
