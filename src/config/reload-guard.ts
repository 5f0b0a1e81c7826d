import { createHash } from "node:crypto";
import type { Diagnostic } from "./diagnostics.ts";
import type { Configuration } from "./settings.ts";
import { quote } from "./values.ts";

/** What one policy takes away from another. */
export interface Removal {
  /** Those that stay with another hash are removed from their holders as well. */
  readonly keys: Removed & { readonly replaced: number };
  readonly routes: Removed;
  /** The same for the same removal, wherever and whenever it is made: what `reload.confirm` repeats. */
  readonly name: string;
}

export interface Removed {
  readonly count: number;
  /** Out of how many. */
  readonly of: number;
  /** The first few. */
  readonly names: readonly string[];
}

/** All that a removal is found by: ids and what routes match. */
export interface Removable {
  readonly keyCount: number;
  readonly keysRemoved: readonly string[];
  readonly keysReplaced: readonly Replaced[];
  readonly oldRoutes: readonly string[];
  readonly nextRoutes: readonly string[];
}

/** A key whose credential is another one, with the new digest: the same ids may be replaced more than once. */
export interface Replaced {
  readonly id: string;
  readonly digest: string;
}

export function toRemoval({ keyCount, keysRemoved, keysReplaced, oldRoutes, nextRoutes }: Removable): Removal {
  const staying = new Set(nextRoutes);
  const routesRemoved = oldRoutes.filter((match) => !staying.has(match));
  const digest = createHash("sha256");
  for (const id of keysRemoved) digest.update(`key ${id}\n`);
  for (const replaced of keysReplaced) digest.update(`hash ${replaced.id} ${replaced.digest}\n`);
  for (const match of routesRemoved) digest.update(`route ${match}\n`);
  return {
    keys: {
      count: keysRemoved.length + keysReplaced.length,
      replaced: keysReplaced.length,
      of: keyCount,
      names: [...keysRemoved, ...keysReplaced.map(({ id }) => id)].slice(0, MAX_NAMES),
    },
    routes: { count: routesRemoved.length, of: oldRoutes.length, names: routesRemoved.slice(0, MAX_NAMES) },
    // Twelve hex digits, as a revision has; the word in front keeps YAML from reading a number.
    name: `removal-${digest.digest("hex").slice(0, 12)}`,
  };
}

/** Refuses a removal of more keys or routes than the new `reload` says is meant; empty: it may pass. */
export function judgeRemoval(
  { keys, routes, name }: Removal,
  { settings: { reload } }: Configuration,
  mainFile: string,
): readonly Diagnostic[] {
  if (reload.confirm === name) return [];
  const judged = [
    [keys, keys.replaced === 0 ? "keys" : `keys, ${keys.replaced} of them by another hash`],
    [routes, "routes"],
  ] as const;
  const excesses = judged.filter(([removed]) => isExcessive(removed, reload.maxRemovedPercent));
  return excesses.map(([removed, noun]) => ({
    severity: "error",
    file: mainFile,
    line: 0,
    column: 0,
    path: "reload.maxRemoved",
    message:
      `The reload removes ${removed.count} of ${removed.of} ${noun}, ` +
      `more than the ${reload.maxRemovedPercent}% that reload.maxRemoved allows: ${describeNames(removed)}`,
    fix: `If that is meant, write reload: { confirm: ${name} } in ${mainFile}; it allows this removal and no other`,
  }));
}

// With fewer of them, removing one is a large share already, and whoever edits the file sees all of it.
const FEW = 5;

function isExcessive({ count, of }: Removed, maxPercent: number): boolean {
  return of >= FEW && count * 100 > of * maxPercent;
}

const MAX_NAMES = 3;

function describeNames({ names, count }: Removed): string {
  const shown = names.map(quote).join(", ");
  return count > names.length ? `${shown} and ${count - names.length} more` : shown;
}
