import { LOCK_WORDS, NAME_WORDS, type Place, type Shelves, SPENT_NUMBERS } from "../../src/limits/shared-take.ts";
import type { Limit, Taken } from "../../src/policy/bucket.ts";
import type { Step, SteppedTake, Stepping } from "./stepped.ts";

/** One request of one thread. */
export interface Take {
  readonly owner: number;
  readonly limits: readonly Limit[];
  readonly nowMs: number;
  /** 1 where it is left out. */
  readonly cost?: number;
}

export interface Scene {
  readonly take: SteppedTake;
  /** What each thread takes, one request after the other. */
  readonly threads: readonly (readonly Take[])[];
  readonly slots: number;
  /** How often a thread tries for the lock again after a pause. */
  readonly pauses: number;
  /** Whether a pause may end before the lock is free. */
  readonly impatient: boolean;
  /** A thread that may die before any of its steps; its locks are freed some time later. */
  readonly mortal?: number;
  /** Puts something on the shelf beforehand. */
  readonly prepare?: (shelf: Shelf) => void;
}

/** The shelf as a test looks at it. */
export interface Shelf {
  readonly shelves: Shelves;
  readonly set: (slot: number, owner: number, limit: Limit, spentMs: number, atMs: number) => void;
  /** What was spent of a bucket, in requests; undefined where it has no slot. */
  readonly spentOf: (owner: number, limit: Limit) => number | undefined;
}

/** How one interleaving ended. */
export interface Ending {
  readonly shelf: Shelf;
  /** The results by thread; fewer than requests where the thread died. */
  readonly results: readonly (readonly Taken[])[];
  readonly died: boolean;
  /** Who ran at each step, to be read where an expectation fails. */
  readonly schedule: readonly string[];
}

export interface Explored {
  readonly endings: number;
  readonly states: number;
}

/** Runs every interleaving of the threads, step by step, and shows `judge` each different end. */
export function explore(scene: Scene, judge: (ending: Ending) => void): Explored {
  const seen = new Set<string>();
  let endings = 0;
  const visit = (schedule: readonly string[]): void => {
    const run = replay(scene, schedule);
    const state = run.state();
    if (seen.has(state)) return;
    seen.add(state);
    const choices = run.choices();
    if (choices.length === 0) {
      if (run.isStuck()) throw new Error(`deadlock after ${schedule.join(" ")}`);
      endings += 1;
      judge({ shelf: run.shelf, results: run.results, died: run.died(), schedule });
    }
    for (const choice of choices) visit([...schedule, choice]);
  };
  visit([]);
  return { endings, states: seen.size };
}

interface Thread {
  readonly takes: readonly Take[];
  readonly number: number;
  readonly results: Taken[];
  current: Stepping | undefined;
  pending: Step | undefined;
  /** All it has read: what it does next depends on nothing else. */
  history: string;
  dead: boolean;
}

function replay(scene: Scene, schedule: readonly string[]) {
  const shelf = createShelf(scene);
  scene.prepare?.(shelf);
  const threads = scene.threads.map((takes, index): Thread => {
    const numbered = { takes, number: index + 1, results: [], current: undefined, pending: undefined };
    return { ...numbered, history: "", dead: false };
  });
  const freed = new Set<number>();
  const begin = (thread: Thread): void => {
    const next = thread.takes[thread.results.length];
    if (next === undefined) return;
    const shelves = { ...shelf.shelves, thread: thread.number };
    const wanted = next.limits.map((limit) => ({ limit, place: placeOf(next.owner, limit) }));
    thread.current = scene.take(shelves, 0, wanted, next.cost ?? 1, next.nowMs);
    advance(thread);
  };
  const advance = (thread: Thread): void => {
    const moved = thread.current?.next();
    if (moved?.done === true) {
      thread.results.push(moved.value);
      thread.current = undefined;
      thread.pending = undefined;
      begin(thread);
    } else thread.pending = moved?.value;
  };
  for (const thread of threads) begin(thread);

  const isReady = ({ dead, pending }: Thread): boolean => {
    if (dead || pending === undefined) return false;
    return pending.kind === "access" || scene.impatient || pending.view[pending.at] !== pending.value;
  };
  const apply = (choice: string): void => {
    const [action = "", name = ""] = choice.split(":");
    const thread = threads[Number(name)];
    if (thread === undefined) throw new Error(`no thread ${name}`);
    if (action === "die") thread.dead = true;
    else if (action === "free") {
      // What `freeLocks` does, once the thread is known to run no more.
      if (shelf.shelves.locks[0] === thread.number) shelf.shelves.locks[0] = 0;
      freed.add(thread.number);
    } else {
      const { pending } = thread;
      if (pending?.kind === "access") thread.history += `${pending.at}=${pending.view[pending.at]} `;
      else thread.history += "w ";
      advance(thread);
    }
  };
  for (const choice of schedule) apply(choice);
  const mayDie = (thread: Thread, index: number) =>
    index === scene.mortal && !thread.dead && thread.pending !== undefined && thread.history !== "";
  return {
    shelf,
    results: threads.map(({ results }) => results),
    died: () => threads.some(({ dead }) => dead),
    isStuck: () => threads.some(({ dead, pending }) => !dead && pending !== undefined),
    choices: () => [
      ...threads.flatMap((thread, index) => (isReady(thread) ? [`run:${index}`] : [])),
      ...threads.flatMap((thread, index) => (mayDie(thread, index) ? [`die:${index}`] : [])),
      ...threads.flatMap((thread, index) => (thread.dead && !freed.has(thread.number) ? [`free:${index}`] : [])),
    ],
    state: () => {
      const { locks, names, spent } = shelf.shelves;
      const lives = threads.map(
        ({ dead, history, number }) => `${dead ? (freed.has(number) ? "f" : "d") : ""}${history}`,
      );
      return [locks[0], names.join(), spent.join(), ...lives].join("|");
    },
  };
}

function createShelf({ slots, pauses }: Scene): Shelf {
  const shelves: Shelves = {
    locks: new Int32Array(LOCK_WORDS),
    names: new Int32Array(slots * NAME_WORDS),
    spent: new Float64Array(slots * SPENT_NUMBERS),
    slotsPerShelf: slots,
    reach: slots,
    spins: 0,
    pauses,
    thread: 0,
    now: () => LATEST_MS,
  };
  const slotOf = (owner: number, limit: Limit): number => {
    const { name } = placeOf(owner, limit);
    for (let slot = 0; slot < slots; slot += 1) {
      const at = slot * NAME_WORDS;
      if (shelves.names.subarray(at, at + NAME_WORDS).every((word, index) => word === name[index])) return slot;
    }
    return -1;
  };
  return {
    shelves,
    set: (slot, owner, limit, spentMs, atMs) => {
      shelves.names.set(placeOf(owner, limit).name, slot * NAME_WORDS);
      shelves.spent.set([spentMs, atMs, limit.intervalMs], slot * SPENT_NUMBERS);
    },
    spentOf: (owner, limit) => {
      const slot = slotOf(owner, limit);
      return slot < 0 ? undefined : (shelves.spent[slot * SPENT_NUMBERS] ?? 0) / limit.intervalMs;
    },
  };
}

/** What the clock says when it is asked again: no request was told a later instant. */
const LATEST_MS = 1_790_000_000_200;

/** Every bucket would like the first slot, so that they all get in each other's way. */
function placeOf(owner: number, limit: Limit): Place {
  return { home: 0, name: Int32Array.of(owner, limit.windowMs, 7, owner + limit.windowMs) };
}
