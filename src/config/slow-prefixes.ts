import type { KeyCompiler } from "./compile-keys.ts";
import { createReport, type Findings } from "./report.ts";
import type { Stepwise } from "./stepwise.ts";
import { quote } from "./values.ts";

// Each request with a credential of that prefix may cost one slow hash for every record that has it.
const MAX_SLOW_PER_PREFIX = 8;
// About a millisecond of looking prefixes up.
const SLICE = 1_000;

/** Says of prefixes that too many slow-hashed records begin with. */
export function* checkSlowPrefixes({ keys, positions }: KeyCompiler, found: Findings): Stepwise<void> {
  const { slowByPrefix, slowPrefixLengths } = keys;
  const crowded = new Map<string, number>();
  let looked = 0;
  for (const prefix of slowByPrefix.keys()) {
    if (++looked % SLICE === 0) yield;
    let count = 0;
    for (const length of slowPrefixLengths) {
      if (length <= prefix.length) count += slowByPrefix.get(prefix.slice(0, length))?.length ?? 0;
    }
    if (count > MAX_SLOW_PER_PREFIX) crowded.set(prefix, count);
  }
  if (crowded.size === 0) return;
  for (const [at, { prefix, digest, source }] of keys.all.entries()) {
    if (at % SLICE === 0) yield;
    const count = prefix === undefined || digest.kind !== "bcrypt" ? undefined : crowded.get(prefix);
    if (prefix === undefined || count === undefined) continue;
    crowded.delete(prefix);
    createReport(source.file, found).error(
      ["keys", positions[at] ?? 0, "prefix"],
      `${count} bcrypt records fit the prefix ${quote(prefix)}; expected at most ${MAX_SLOW_PER_PREFIX}, as each costs a slow hash`,
      "Give each record a longer prefix of its key",
    );
  }
}
