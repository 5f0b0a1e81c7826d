import { setFlagsFromString } from "node:v8";

// What V8 has by itself of the flags that are turned here.
const DEFAULTS = {
  turbofan: true,
  maglev: true,
  "allocation-site-pretenuring": true,
  // Percent by which the old generation may grow until it is collected; 0 leaves that to V8, which takes several times as much.
  "heap-growing-percent": 0,
  "semi-space-growth-factor": 2,
};
export type Flags = Readonly<Partial<typeof DEFAULTS>>;

/** What a process that serves is under, and what is kept compiled of its threads. */
export const SERVING: Flags = { "allocation-site-pretenuring": false };
const SMALL_STEPS_PERCENT = 20;

let state: Flags = {};
let growth: Flags = {};
let mayBoundGrowth = true;
let loadings = 0;
let inForce: Flags = {};

/**
 * Turns V8's optimising compilers off until `beginServing`. A start calls nothing often enough for them to pay, and the
 * least they do makes 6 MB of the Node binary and 4 MB of their own memory resident. `options` are what Node was started
 * with: where they say something of these compilers, that stands. To turn them on in spite of `--jitless` would end the process.
 */
export function beginStart(options: readonly string[]): void {
  if (!options.some((option) => OF_COMPILERS.test(option))) enter({ turbofan: false, maglev: false });
  mayBoundGrowth = !options.some((option) => OF_GROWTH.test(option));
}

const OF_COMPILERS = /(?:^|\s)--[\w-]*(?:jit|lite|maglev|turbo|opt|efficiency)/;
const OF_GROWTH = /(?:^|\s)--[\w-]*(?:semi[-_]space|heap[-_]growing)/;

/** Optimises like any program, from now on. */
export function endStart(): void {
  enter({});
}

/**
 * Optimises from now on, and keeps V8 from making in old memory what has lived long so far: with a thousand requests under
 * way all of them live long, and their garbage would wait for a full collection. To be called before a thread is started:
 * flags are those of the process, and what was compiled for threads was compiled with these.
 */
export function beginServing(): void {
  enter(SERVING);
}

/**
 * Lets the heap grow in small steps from now on, and its young generation, when it grows next, by this factor; unless Node was
 * started with options about that.
 */
export function boundGrowth(youngFactor: number): void {
  if (!mayBoundGrowth) return;
  growth = { "heap-growing-percent": SMALL_STEPS_PERCENT, "semi-space-growth-factor": youngFactor };
  settle();
}

/** Lets heaps grow as V8 would while a thread loads much: its heap begins small, and flags are those of the process. */
export async function growingFreely<T>(load: () => Promise<T>): Promise<T> {
  loadings += 1;
  settle();
  try {
    return await load();
  } finally {
    loadings -= 1;
    settle();
  }
}

/** Loads code under the flags it was kept with, that of Node's own modules too: V8 refuses it under others. */
export function withDefaultFlags<T>(load: () => T): T {
  turnTo({});
  try {
    return load();
  } finally {
    settle();
  }
}

function enter(next: Flags): void {
  state = next;
  settle();
}

function settle(): void {
  turnTo(loadings > 0 ? state : { ...state, ...growth });
}

function turnTo(next: Flags): void {
  const before = toOptions(inForce);
  for (const [index, option] of toOptions(next).entries()) if (option !== before[index]) setFlagsFromString(option);
  inForce = next;
}

/** All flags that are turned here, as options that put them so; those that are not given, as V8 has them. */
export function toOptions(flags: Flags): readonly string[] {
  return Object.entries({ ...DEFAULTS, ...flags }).map(([flag, value]) => {
    if (typeof value === "number") return `--${flag}=${value}`;
    return value ? `--${flag}` : `--no-${flag}`;
  });
}
