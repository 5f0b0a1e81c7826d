import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import type { Shelves, Wanted } from "../../src/limits/shared-take.ts";
import { settle, spentAfter, type Taken, timeToWait, toQuota, toRetrySeconds } from "../../src/policy/bucket.ts";

/** One access to shared memory that a thread is about to make. */
export interface Step {
  readonly kind: "access" | "wait";
  readonly view: Int32Array | Float64Array;
  readonly at: number;
  /** Of a wait: the value it waits for the end of. */
  readonly value: number;
}

/** A thread in the middle of a take: `next` makes the access it stopped before, and goes on to the one after that. */
export type Stepping = Generator<Step, Taken, undefined>;

export type SteppedTake = (
  shelves: Shelves,
  shelf: number,
  wanted: readonly Wanted[],
  cost: number,
  nowMs: number,
) => Stepping;

/** `src/limits/cells.ts`, every access announced before it is made. */
const CELLS = `
  function* readWord(view, at) { yield { kind: "access", view, at, value: 0 }; return view[at]; }
  function* writeWord(view, at, value) { yield { kind: "access", view, at, value: 0 }; view[at] = value; }
  function* readNumber(view, at) { yield { kind: "access", view, at, value: 0 }; return view[at]; }
  function* writeNumber(view, at, value) { yield { kind: "access", view, at, value: 0 }; view[at] = value; }
  function* swapWord(view, at, expected, next) {
    yield { kind: "access", view, at, value: 0 };
    const was = view[at];
    if (was === expected) view[at] = next;
    return was;
  }
  function* publishWord(view, at, value) { yield { kind: "access", view, at, value: 0 }; view[at] = value; }
  function* waitWhile(view, at, value) { yield { kind: "wait", view, at, value }; }
`;

/**
 * The shipped `takeShared`, with every function made a generator and every call to one a `yield*`, so that it stops
 * before each access to shared memory. `change` makes a broken one of it, to see that the search finds what is wrong.
 */
export function loadSteppedTake(change: (source: string) => string = (source) => source): SteppedTake {
  const file = new URL("../../src/limits/shared-take.ts", import.meta.url);
  const source = stripTypeScriptTypes(change(readFileSync(file, "utf8")));
  const body = source.replace(/^import[^;]*;$/gm, "").replace(/^export /gm, "");
  const cells = [...CELLS.matchAll(/function\* (\w+)/g)].map(([, name]) => name ?? "");
  const own = [...body.matchAll(/^function (\w+)/gm)].map(([, name]) => name ?? "");
  const generators = body.replace(/^function (\w+)/gm, "function* $1");
  const stepped = `${CELLS}\n${yieldCalls(generators, [...cells, ...own])}\nreturn takeShared;`;
  const pure = { settle, spentAfter, timeToWait, toQuota, toRetrySeconds };
  return new Function(...Object.keys(pure), stepped)(...Object.values(pure));
}

/** Wraps each call to one of `names` in a `yield*` of its own. */
function yieldCalls(code: string, names: readonly string[]): string {
  const call = new RegExp(`(?<!function\\* |\\.)\\b(?:${names.join("|")})\\(`);
  const found = call.exec(code);
  if (found === null) return code;
  const open = found.index + found[0].length;
  let depth = 1;
  let end = open;
  while (depth > 0) {
    const char = code[end];
    if (char === undefined) throw new Error("a call without an end");
    depth += char === "(" ? 1 : char === ")" ? -1 : 0;
    end += 1;
  }
  const inside = yieldCalls(code.slice(open, end - 1), names);
  return `${code.slice(0, found.index)}(yield* ${found[0]}${inside}))${yieldCalls(code.slice(end), names)}`;
}
