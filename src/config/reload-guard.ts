import { createHash } from "node:crypto";
import type { Policy } from "../policy/policy.ts";
import type { Diagnostic } from "./diagnostics.ts";
import { missingFrom, numberRoutes } from "./policy-diff.ts";
import type { Configuration } from "./settings.ts";
import { quote } from "./values.ts";

/** What one policy takes away from another. */
export interface Removal {
  readonly keys: Removed;
  readonly routes: Removed;
  /** The same for the same removal, wherever and whenever it is made: what `reload.confirm` repeats. */
  readonly name: string;
}

export interface Removed {
  readonly names: readonly string[];
  /** Out of how many. */
  readonly of: number;
}

/** Refuses a configuration that removes more keys or routes than its own `reload` says is meant; empty: it may pass. */
export async function guardReload(
  next: Configuration,
  current: Configuration,
  mainFile: string,
  pause: () => Promise<unknown>,
): Promise<readonly Diagnostic[]> {
  const steps = findRemovalStepwise(current.policy, next.policy);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return judgeRemoval(step.value, next, mainFile);
    await pause();
  }
}

/** What `next` removes, for a caller that need not share its thread. */
export function findRemoval(current: Policy, next: Policy): Removal {
  const steps = findRemovalStepwise(current, next);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The diagnostics of a removal that is beyond the bound and not confirmed. */
export function judgeRemoval(
  { keys, routes, name }: Removal,
  { settings: { reload } }: Configuration,
  mainFile: string,
): readonly Diagnostic[] {
  if (reload.confirm === name) return [];
  const judged = [
    [keys, "keys"],
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
      `The reload removes ${removed.names.length} of ${removed.of} ${noun}, ` +
      `more than the ${reload.maxRemovedPercent}% that reload.maxRemoved allows: ${describeNames(removed.names)}`,
    fix: `If that is meant, write reload: { confirm: ${name} } in ${mainFile}; it allows this removal and no other`,
  }));
}

// With fewer of them, removing one is a large share already, and whoever edits the file sees all of it.
const FEW = 5;

function isExcessive({ names, of }: Removed, maxPercent: number): boolean {
  return of >= FEW && names.length * 100 > of * maxPercent;
}

// About two milliseconds of hashing.
const SLICE = 2_000;

function* findRemovalStepwise(current: Policy, next: Policy): Generator<undefined, Removal> {
  const oldRoutes = numberRoutes(current.routes.routes);
  const keys = yield* missingFrom(next.keys.byId, current.keys.byId);
  const routes = yield* missingFrom(numberRoutes(next.routes.routes), oldRoutes);
  const digest = createHash("sha256");
  let hashed = 0;
  for (const line of [...keys.map((id) => `key ${id}`), ...routes.map((match) => `route ${match}`)]) {
    if (++hashed % SLICE === 0) yield;
    digest.update(`${line}\n`);
  }
  return {
    keys: { names: keys, of: current.keys.byId.size },
    routes: { names: routes, of: oldRoutes.size },
    // Twelve hex digits, as a revision has; the word in front keeps YAML from reading a number.
    name: `removal-${digest.digest("hex").slice(0, 12)}`,
  };
}

const MAX_NAMES = 3;

function describeNames(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES).map(quote).join(", ");
  return names.length > MAX_NAMES ? `${shown} and ${names.length - MAX_NAMES} more` : shown;
}
