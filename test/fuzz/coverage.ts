import { type Profiler, Session } from "node:inspector";

/** Which characters of the sources have run, as V8's block coverage tells. */
export interface Coverage {
  /** Looks at what ran since the last call: whether any of it is news. Only `absorb` makes it known. */
  readonly hasNews: (then: "forget" | "absorb") => boolean;
  /** Characters run and characters there, by file name. */
  readonly summary: () => ReadonlyMap<string, { readonly covered: number; readonly total: number }>;
  readonly stop: () => void;
}

/** Measures the scripts whose URL ends in one of these names. They must be loaded by then. */
export function startCoverage(files: readonly string[]): Coverage {
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  const known = new Map<string, Uint8Array>();
  return {
    hasNews: (then) => {
      let hasNews = false;
      for (const script of take(session)) {
        const file = files.find((name) => script.url.endsWith(name));
        if (file === undefined) continue;
        const previous = known.get(file);
        const painted = paint(script, previous);
        const isNews = isBeyond(painted, previous);
        if (then === "absorb" && (isNews || previous === undefined)) known.set(file, painted);
        hasNews ||= isNews;
      }
      return hasNews;
    },
    summary: () =>
      new Map(
        [...known].map(([file, painted]) => {
          const covered = painted.reduce((count, mark) => count + (mark === RUN ? 1 : 0), 0);
          return [file, { covered, total: painted.reduce((count, mark) => count + (mark === OUTSIDE ? 0 : 1), 0) }];
        }),
      ),
    stop: () => session.disconnect(),
  };
}

/** The inspector of one's own thread answers before `post` returns. */
function take(session: Session): readonly Profiler.ScriptCoverage[] {
  let taken: readonly Profiler.ScriptCoverage[] = [];
  session.post("Profiler.takePreciseCoverage", (error, { result }) => {
    if (error !== null) throw error;
    taken = result;
  });
  return taken;
}

const OUTSIDE = 0;
const NOT_RUN = 1;
const RUN = 2;

/** Paints each function's ranges over those of the one around it, on top of what had run before. */
function paint({ functions }: Profiler.ScriptCoverage, previous: Uint8Array | undefined): Uint8Array {
  const size = Math.max(0, ...functions.flatMap(({ ranges }) => ranges.map(({ endOffset }) => endOffset)));
  const painted = new Uint8Array(Math.max(size, previous?.length ?? 0));
  for (const { ranges } of functions) {
    for (const { startOffset, endOffset, count } of ranges)
      painted.fill(count > 0 ? RUN : NOT_RUN, startOffset, endOffset);
  }
  if (previous === undefined) return painted;
  for (let index = 0; index < previous.length; index += 1) {
    painted[index] = Math.max(painted[index] ?? OUTSIDE, previous[index] ?? OUTSIDE);
  }
  return painted;
}

function isBeyond(painted: Uint8Array, previous: Uint8Array | undefined): boolean {
  for (let index = 0; index < painted.length; index += 1) {
    if (painted[index] === RUN && previous?.[index] !== RUN) return true;
  }
  return false;
}
