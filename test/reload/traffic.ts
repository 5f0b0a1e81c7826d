import { setTimeout as pause } from "node:timers/promises";
import { ADMIN_TOKEN, credentialOf, STEADY } from "./deployment.ts";

/** Where requests go: a program, whoever started it. */
export interface Target {
  readonly url: string;
}

export interface Answer {
  readonly status: number;
  /** Generation of the main file and of the key's record, as the upstream was told; NaN when it was told nothing. */
  readonly main: number;
  readonly keys: number;
}

/** What became of the requests that were sent all the while. */
export interface Tally {
  readonly answered: number;
  readonly failures: readonly string[];
  /** Every pair of generations that was seen, as `main/keys`. */
  readonly pairs: ReadonlySet<string>;
}

export interface Traffic {
  readonly stop: () => Promise<Tally>;
}

// One request at a time on each of a few connections, about as often as a busy shop's till asks.
const CLIENTS = 3;
const PACE_MS = 3;

export async function ask(target: Target, id: string, init: RequestInit = {}): Promise<Answer> {
  const headers = { "x-api-key": credentialOf(id) };
  const response = await fetch(`${target.url}/x`, { ...init, headers });
  const body: unknown = await response.json();
  return { status: response.status, main: numberIn(body, "main"), keys: numberIn(body, "keys") };
}

function numberIn(body: unknown, name: string): number {
  if (typeof body !== "object" || body === null) return Number.NaN;
  return Number(Object.entries(body).find(([field]) => field === name)?.[1]);
}

/** Sends requests with keys that no change touches, until it is stopped; each of them must be allowed. */
export function startTraffic(target: Target): Traffic {
  const failures: string[] = [];
  const pairs = new Set<string>();
  let answered = 0;
  let stopped = false;
  const client = async (number: number): Promise<void> => {
    // Once more after it was told to stop, so that what is in force at the end is always seen.
    for (let [turn, isLast] = [number, false]; !isLast; turn += 1) {
      isLast = stopped;
      const init = turn % 4 === 0 ? { method: "POST", body: "some bytes" } : {};
      try {
        const answer = await ask(target, STEADY[turn % STEADY.length] ?? "", init);
        if (answer.status === 200) pairs.add(`${answer.main}/${answer.keys}`);
        else failures.push(`answered ${answer.status}`);
        answered += 1;
      } catch (error) {
        failures.push(String(error));
      }
      await pause(PACE_MS);
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
  return {
    stop: async () => {
      stopped = true;
      await Promise.all(clients);
      return { answered, failures, pairs };
    },
  };
}

/** Asks for a reload and says what came of it. */
export async function reload(program: { readonly adminUrl: string }): Promise<unknown> {
  const init = { method: "POST", headers: { authorization: `Bearer ${ADMIN_TOKEN}` } };
  const outcome: unknown = await (await fetch(`${program.adminUrl}/-/reload`, init)).json();
  return typeof outcome === "object" && outcome !== null && "kind" in outcome ? outcome.kind : outcome;
}

/** Asks with one key until it is answered so, and says when that was by the wall clock. */
export async function firstAnswer(
  target: Target,
  id: string,
  fits: (answer: Answer) => boolean,
  deadlineMs = 10_000,
): Promise<number> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const answer = await ask(target, id);
    const now = Date.now();
    if (fits(answer)) return now;
    if (now > deadline) throw new Error(`${id} is still answered ${JSON.stringify(answer)} after ${deadlineMs} ms`);
    await pause(2);
  }
}

// Of a machine with much else to do this many chances are enough to see how fast the program is.
const MAX_TRIES = 10;

/** Measures at least so many times, and goes on, up to a point, until one of them keeps the bound. */
export async function measure(
  times: number,
  boundMs: number,
  once: (turn: number) => Promise<number>,
): Promise<readonly number[]> {
  const latencies: number[] = [];
  while (latencies.length < times || (latencies.length < MAX_TRIES && Math.min(...latencies) >= boundMs)) {
    latencies.push(await once(latencies.length));
  }
  return latencies;
}

export const isRefused = (answer: Answer): boolean => answer.status === 401;
export const isAllowed = (answer: Answer): boolean => answer.status === 200;
