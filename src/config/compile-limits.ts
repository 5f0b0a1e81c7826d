import type { Limit } from "../policy/bucket.ts";
import type { Path } from "./diagnostics.ts";
import type { Report } from "./report.ts";
import type { WrittenLimits } from "./schema-parts.ts";
import { parseRate, type Rate, toLimit } from "./values.ts";

/** Whose spending the default limits and a key's own count: one id, so that a key that gets its own keeps what it spent. */
export const KEY_LIMIT_SCOPE = "key";

/** Compiles an owner's limits; two over one window would be one bucket, so that is an error. */
export function compileLimits(written: WrittenLimits, scope: string, report: Report, path: Path): readonly Limit[] {
  const isList = Array.isArray(written);
  const compiled: Limit[] = [];
  for (const [index, entry] of (isList ? written : [written]).entries()) {
    const at = isList ? [...path, index] : path;
    const [text, textAt] = typeof entry === "string" ? [entry, at] : [entry.rate, [...at, "rate"]];
    const rate = parseRate(text);
    if (rate.kind === "problem") {
      report.error(textAt, `Expected ${rate.problem}`);
      continue;
    }
    const limit = toLimit(rate.value, scope, typeof entry === "string" ? undefined : entry.burst);
    if (compiled.some((other) => other.windowMs === limit.windowMs)) {
      report.error(at, "Two limits over the same window; expected one per window");
    } else compiled.push(limit);
  }
  return compiled;
}

/** Compiles a lone rate, such as `limits.max`. */
export function compileRate(text: string, report: Report, path: Path): Rate | undefined {
  const rate = parseRate(text);
  if (rate.kind === "value") return rate.value;
  report.error(path, `Expected ${rate.problem}`);
  return undefined;
}

/**
 * Whether limits admit more than `max`, in the long run or at once: `60000/hour` is 1000 a minute, and may all
 * come in one. A single limit within `max` is enough, since every limit must admit; none at all is unbounded.
 */
export function exceedsRate(limits: readonly Limit[], max: Rate): boolean {
  return !limits.some((limit) => isWithinRate(limit, max) && limit.capacity <= max.count);
}

/** What to write where only the burst is above `max`; undefined where the rate is too. */
export function describeBurstFix(limits: readonly Limit[], max: Rate): string | undefined {
  return limits.some((limit) => isWithinRate(limit, max))
    ? `More than ${max.count} may come at once; write ${max.text} beside it, or a smaller burst`
    : undefined;
}

function isWithinRate({ count, windowMs }: Limit, max: Rate): boolean {
  return count / windowMs <= max.count / max.windowMs;
}

/** The fewest requests that any of the limits admits at once. */
export function smallestCapacity(limits: readonly Limit[]): number {
  return limits.reduce((least, { capacity }) => Math.min(least, capacity), Number.POSITIVE_INFINITY);
}
