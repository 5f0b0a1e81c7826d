import type { Key } from "../policy/key.ts";
import { createReport, type Findings } from "./report.ts";
import { quote } from "./values.ts";

// Each request with a credential of that prefix may cost one slow hash for every record that has it.
const MAX_SLOW_PER_PREFIX = 8;

/** The prefixes of slow-hashed records, as they are met. */
export interface SlowPrefixes {
  readonly add: (key: Key, index: number) => void;
  /** Says of prefixes that too many records begin with. */
  readonly check: (found: Findings) => void;
}

interface Sharing {
  readonly file: string;
  readonly index: number;
  count: number;
}

export function createSlowPrefixes(): SlowPrefixes {
  const prefixes = new Map<string, Sharing>();
  const lengths = new Set<number>();
  return {
    add: ({ digest, prefix, source }, index) => {
      if (digest.kind !== "bcrypt" || prefix === undefined) return;
      lengths.add(prefix.length);
      const sharing = prefixes.get(prefix);
      if (sharing === undefined) prefixes.set(prefix, { file: source.file, index, count: 1 });
      else sharing.count += 1;
    },
    check: (found) => {
      for (const [prefix, { file, index }] of prefixes) {
        let count = 0;
        for (const length of lengths) {
          if (length <= prefix.length) count += prefixes.get(prefix.slice(0, length))?.count ?? 0;
        }
        if (count <= MAX_SLOW_PER_PREFIX) continue;
        createReport(file, found).error(
          ["keys", index, "prefix"],
          `${count} bcrypt records fit the prefix ${quote(prefix)}; expected at most ${MAX_SLOW_PER_PREFIX}, as each costs a slow hash`,
          "Give each record a longer prefix of its key",
        );
      }
    },
  };
}
