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
/** The last can be set and not set back: what V8 has by itself depends on its version and its compilers, and it does not tell. */
export type Flags = Readonly<Partial<typeof DEFAULTS & { "invocation-count-for-turbofan": number }>>;

// With a thousand requests under way all of them live long; what V8 makes in old memory for that would wait for a full collection.
const MADE_YOUNG: Flags = { "allocation-site-pretenuring": false };
// What two compilers leave behind takes 9 MB more than what one does, which is as soon at the same speed when asked after fewer calls.
const ONE_COMPILER: Flags = { maglev: false, "invocation-count-for-turbofan": 1000 };
/** What a process that serves is under, and what is kept compiled of its threads. */
export const SERVING: Flags = { ...MADE_YOUNG, ...ONE_COMPILER };
const SMALL_STEPS_PERCENT = 20;

let state: Flags = {};
let growth: Flags = {};
let mayChooseCompilers = true;
let mayBoundGrowth = true;
let loadings = 0;
let inForce: Flags = {};

/**
 * Turns V8's optimising compilers off until `beginServing`. A start calls nothing often enough for them to pay, and the
 * least they do makes 6 MB of the Node binary and 4 MB of their own memory resident. `options` are what Node was started
 * with: where they say something of these compilers, that stands from now on. To turn them on in spite of `--jitless` would
 * end the process.
 */
export function beginStart(options: readonly string[]): void {
  mayChooseCompilers = !options.some((option) => OF_COMPILERS.test(option));
  mayBoundGrowth = !options.some((option) => OF_GROWTH.test(option));
  if (mayChooseCompilers) enter({ turbofan: false, maglev: false });
}

const OF_COMPILERS = /(?:^|\s)--[\w-]*(?:jit|lite|maglev|turbo|opt|efficiency|invocation|budget)/;
const OF_GROWTH = /(?:^|\s)--[\w-]*(?:semi[-_]space|heap[-_]growing)/;

/** Optimises like any program, from now on. */
export function endStart(): void {
  enter({});
}

/**
 * Optimises from now on as serves a process that answers thousands of requests a second. To be called before a thread is
 * started: flags are those of the process, and what was compiled for threads was compiled with these.
 */
export function beginServing(): void {
  enter(mayChooseCompilers ? SERVING : MADE_YOUNG);
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
  const before = new Set(toOptions(inForce));
  for (const option of toOptions(next)) if (!before.has(option)) setFlagsFromString(option);
  inForce = next;
}

/** All flags that are turned here, as options that put them so; those that are not given, as V8 has them. */
export function toOptions(flags: Flags): readonly string[] {
  return Object.entries({ ...DEFAULTS, ...flags }).map(([flag, value]) => {
    if (typeof value === "number") return `--${flag}=${value}`;
    return value ? `--${flag}` : `--no-${flag}`;
  });
}
