import { startCoverage } from "./coverage.ts";
import { createRandom, type Material, mutate, pick } from "./mutate.ts";

/** One thing to fuzz. `run` throws where an invariant does not hold. */
export interface Subject {
  readonly name: string;
  /** Ends of the URLs of the sources whose coverage guides the search. */
  readonly sources: readonly string[];
  readonly dictionary: readonly string[];
  readonly maxLength: number;
  /** No input may take more time of the processor, collecting garbage included. */
  readonly limitMs: number;
  readonly run: (input: string) => void;
}

export interface Finding {
  readonly input: string;
  readonly error: unknown;
}

export interface FuzzReport {
  readonly executions: number;
  readonly corpus: readonly string[];
  readonly coverage: ReadonlyMap<string, { readonly covered: number; readonly total: number }>;
  readonly findings: readonly Finding[];
}

export interface FuzzOptions {
  readonly seeds: readonly string[];
  readonly milliseconds: number;
  readonly seed: number;
}

// Taking coverage costs as much as hundreds of runs of a small function, so runs go in batches: small ones
// while there is much to find, larger ones the longer nothing was.
const MIN_BATCH = 32;
const MAX_BATCH = 4096;
// One fault shows in many inputs; these are enough to see which.
const MAX_FINDINGS = 3;

/** Runs a subject on its seeds and on mutations of whatever reached new code, until time is up. */
export function fuzz(subject: Subject, { seeds, milliseconds, seed }: FuzzOptions): FuzzReport {
  const end = performance.now() + milliseconds;
  const corpus: string[] = ["", ...seeds];
  const findings: Finding[] = [];
  const { dictionary, maxLength } = subject;
  const material: Material = { random: createRandom(seed), corpus, dictionary, maxLength };
  let executions = 0;
  const run = (input: string): void => {
    executions += 1;
    const fault = findFault(subject, input);
    if (fault !== undefined && findings.length < MAX_FINDINGS) findings.push(shrink(subject, { input, ...fault }));
  };
  const coverage = startCoverage(subject.sources);
  /** Runs a batch; one with news is halved until the inputs that bring it are found. */
  const explore = (batch: readonly string[]): boolean => {
    for (const input of batch) if (performance.now() < end) run(input);
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) {
      const hasNews = coverage.hasNews("absorb");
      if (hasNews) corpus.push(only);
      return hasNews;
    }
    if (!coverage.hasNews("forget")) return false;
    const middle = batch.length >> 1;
    const [first, second] = [explore(batch.slice(0, middle)), explore(batch.slice(middle))];
    return first || second;
  };
  try {
    for (const input of corpus) run(input);
    coverage.hasNews("absorb");
    for (let size = MIN_BATCH; performance.now() < end && findings.length < MAX_FINDINGS; ) {
      const hasNews = explore(Array.from({ length: size }, () => mutate(pick(corpus, material.random), material)));
      size = hasNews ? MIN_BATCH : Math.min(size * 2, MAX_BATCH);
    }
    return { executions, corpus, coverage: coverage.summary(), findings };
  } finally {
    coverage.stop();
  }
}

type Fault = Pick<Finding, "error">;

function findFault({ run, limitMs }: Subject, input: string): Fault | undefined {
  const before = process.cpuUsage();
  try {
    run(input);
  } catch (error) {
    return { error };
  }
  // Of the processor, not of the wall: what else the machine does is not the input's fault.
  const { user, system } = process.cpuUsage(before);
  const tookMs = (user + system) / 1000;
  return tookMs > limitMs ? { error: new Error(`took ${Math.round(tookMs)} ms, over ${limitMs}`) } : undefined;
}

// Enough to make a page of input a line, and bounded where each attempt is slow.
const MAX_ATTEMPTS = 2000;

/** Takes out pieces, the larger first, as long as something is still wrong. */
function shrink(subject: Subject, found: Finding): Finding {
  let smallest = found;
  let attempts = 0;
  for (let size = Math.ceil(found.input.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < smallest.input.length && attempts < MAX_ATTEMPTS; attempts += 1) {
      const input = smallest.input.slice(0, at) + smallest.input.slice(at + size);
      const fault = findFault(subject, input);
      if (fault === undefined) at += size;
      else smallest = { input, ...fault };
    }
  }
  return smallest;
}
