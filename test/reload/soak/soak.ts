import { setTimeout as pause } from "node:timers/promises";
import { inspect } from "node:util";
import { createFolder, type Program, startProgram } from "../../e2e/harness.ts";
import { swapVolume } from "../changes.ts";
import { credentialOf, STEADY } from "../deployment.ts";
import { createClients } from "./clients.ts";
import { createEditor, type Edits, rollingId, soundVolume } from "./editor.ts";
import { type Sample, takeSample } from "./gauges.ts";
import { createLedger, type Ledger, LIVES } from "./ledger.ts";
import { findLogProblems } from "./log-check.ts";
import { createTracker, type Kind, type Tracker } from "./tracker.ts";
import { startSoakUpstream } from "./upstream.ts";

export interface SoakOptions {
  readonly seconds: number;
  readonly requestsASecond: number;
  /** Told now and then how it goes. */
  readonly report?: (line: string) => void;
}

/** What was seen; `problems` is what must not have been. */
export interface SoakResult {
  readonly requests: Readonly<Record<Kind, number>>;
  readonly statuses: Readonly<Record<string, number>>;
  readonly cut: number;
  readonly excused: number;
  readonly edits: Edits;
  readonly generations: number;
  readonly restarts: number;
  readonly problems: readonly string[];
  /** Before any traffic, during it, and after the last of it. */
  readonly before: Sample;
  readonly during: readonly Sample[];
  readonly after: Sample;
}

const RELOAD_EVERY_MS = 200;
const RESTART_EVERY_MS = 10_000;
const DOWN_MS = 300;
const SAMPLE_EVERY_MS = 1_000;
const SETTLED_WITHIN_MS = 15_000;

/** Runs the built program under mixed traffic and ceaseless reloads, and accounts for every request. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const nowMs = () => performance.now();
  const upstream = await startSoakUpstream();
  const folder = await createFolder();
  await swapVolume(folder.path, soundVolume(upstream.url, 1));
  const program = await startProgram(`${folder.path}/latchkey.yaml`);
  try {
    const ledger = createLedger();
    const tracker = createTracker(ledger, nowMs);
    const editor = createEditor(folder.path, upstream.url, program, ledger, tracker.problems, nowMs);
    const clients = createClients(program.port, tracker);
    const before = await takeSample(program, nowMs());
    const over = AbortSignal.timeout(options.seconds * 1_000);
    const [edits, restarts, during] = await Promise.all([
      editor.run(RELOAD_EVERY_MS, over),
      restartNowAndThen(upstream.restart, tracker, over),
      sampleNowAndThen(program, nowMs, over, tracker.problems, options.report),
      sendSteadily(clients.send, ledger, options.requestsASecond, nowMs, over),
    ]);
    clients.close();
    const after = await settle(program, before, nowMs);
    tracker.problems.push(...(await findLogProblems(program, tracker.all)));
    return {
      ...summarise(tracker),
      ...{ edits, restarts, before, during, after, generations: ledger.newest(), excused: tracker.excused() },
    };
  } finally {
    await program.stop();
    await upstream.close();
    await folder.remove();
  }
}

/** A rate that does not depend on how fast the answers come. */
async function sendSteadily(
  send: (kind: Kind, credential: string, rolling: number | undefined) => Promise<void>,
  ledger: Ledger,
  aSecond: number,
  nowMs: () => number,
  over: AbortSignal,
): Promise<void> {
  const startedMs = nowMs();
  const underWay = new Set<Promise<void>>();
  for (let turn = 0; !over.aborted; turn += 1) {
    // Every other request holds a rolling key: of the past, in use, or of the generation to come.
    const rolling = turn % 2 === 0 ? undefined : Math.max(0, ledger.newest() + 1 - (turn % (LIVES + 6)));
    const id = rolling === undefined ? (STEADY[(turn / 2) % STEADY.length] ?? "") : rollingId(rolling);
    const sending = send(kindOf(turn), credentialOf(id), rolling);
    underWay.add(sending);
    void sending.finally(() => underWay.delete(sending));
    await pause(Math.max(0, startedMs + ((turn + 1) * 1_000) / aSecond - nowMs()));
  }
  await Promise.all(underWay);
}

/** Of 50 requests two are WebSockets, three streams and a quarter of the rest posts. */
function kindOf(turn: number): Kind {
  const place = turn % 50;
  if (place === 7 || place === 20) return "socket";
  if (place === 3 || place === 14 || place === 31) return "stream";
  return place % 4 === 1 ? "post" : "get";
}

async function restartNowAndThen(
  restart: (downMs: number) => Promise<void>,
  tracker: Tracker,
  over: AbortSignal,
): Promise<number> {
  for (let restarts = 0; ; restarts += 1) {
    await pauseUntil(RESTART_EVERY_MS, over);
    if (over.aborted) return restarts;
    tracker.outageBegins();
    await restart(DOWN_MS);
    tracker.outageEnds();
  }
}

async function sampleNowAndThen(
  program: Program,
  nowMs: () => number,
  over: AbortSignal,
  problems: string[],
  report: SoakOptions["report"],
): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  while (!over.aborted) {
    await pauseUntil(SAMPLE_EVERY_MS, over);
    const sample = await takeSample(program, nowMs()).catch((error: unknown) => {
      const { exitCode, signalCode } = program.process;
      const ended = exitCode ?? signalCode;
      const problem = `after ${(nowMs() / 60_000).toFixed(1)} min /metrics failed: ${inspect(error)}`;
      // An hour's run is not lost for one question; without the program there is nothing to go on with.
      if (ended !== null) throw new Error(`${problem}\nthe program has ended with ${ended}: ${program.stderr()}`);
      report?.(problem);
      problems.push(problem);
    });
    if (sample === undefined) continue;
    samples.push(sample);
    if (samples.length % 30 === 0) report?.(JSON.stringify(sample));
  }
  return samples;
}

/** Waits until connections that nobody needs any more are closed, and tells what is left. */
async function settle(program: Program, before: Sample, nowMs: () => number): Promise<Sample> {
  const deadlineMs = nowMs() + SETTLED_WITHIN_MS;
  for (;;) {
    const sample = await takeSample(program, nowMs());
    const settled = sample.descriptors <= before.descriptors && sample.handles <= before.handles;
    if (settled || nowMs() > deadlineMs) return sample;
    await pause(500);
  }
}

async function pauseUntil(delayMs: number, over: AbortSignal): Promise<void> {
  await pause(delayMs, undefined, { signal: over }).catch(() => {});
}

function summarise({ all, problems }: Tracker) {
  const requests: Record<Kind, number> = { get: 0, post: 0, stream: 0, socket: 0 };
  const statuses: Record<string, number> = {};
  let cut = 0;
  for (const { kind, status, ended } of all) {
    requests[kind] += 1;
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (ended === "cut") cut += 1;
  }
  return { requests, statuses, cut, problems };
}
