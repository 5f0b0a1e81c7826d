import { setFlagsFromString } from "node:v8";

// Each is on by default.
type Flag = "turbofan" | "maglev" | "allocation-site-pretenuring";

let turnedOff: readonly Flag[] = [];

/**
 * Turns V8's optimising compilers off until `beginServing`. A start calls nothing often enough for them to pay, and the
 * least they do makes 6 MB of the Node binary and 4 MB of their own memory resident. `options` are what Node was started
 * with: where they say something of these compilers, that stands. To turn them on in spite of `--jitless` would end the process.
 */
export function beginStart(options: readonly string[]): void {
  if (!options.some((option) => OF_COMPILERS.test(option))) turnOff(["turbofan", "maglev"]);
}

const OF_COMPILERS = /(?:^|\s)--[\w-]*(?:jit|lite|maglev|turbo|opt|efficiency)/;

/** Optimises like any program, from now on. */
export function endStart(): void {
  turnOff([]);
}

/**
 * Optimises from now on, and keeps V8 from making in old memory what has lived long so far: with a thousand requests under
 * way all of them live long, and their garbage would wait for a full collection. To be called before a thread is started:
 * flags are those of the process, and what was compiled for threads was compiled with these.
 */
export function beginServing(): void {
  turnOff(["allocation-site-pretenuring"]);
}

/** Loads code under the flags it was kept with, that of Node's own modules too: V8 refuses it under others. */
export function withDefaultFlags<T>(load: () => T): T {
  const kept = turnedOff;
  turnOff([]);
  try {
    return load();
  } finally {
    turnOff(kept);
  }
}

function turnOff(flags: readonly Flag[]): void {
  for (const flag of turnedOff) if (!flags.includes(flag)) setFlagsFromString(`--${flag}`);
  for (const flag of flags) if (!turnedOff.includes(flag)) setFlagsFromString(`--no-${flag}`);
  turnedOff = flags;
}
