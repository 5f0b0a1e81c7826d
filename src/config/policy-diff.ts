import type { Policy } from "../policy/policy.ts";
import type { Route } from "../policy/route.ts";
import { type Change, compareKeys, compareRoutes, compareRules } from "./policy-changes.ts";

/** What a reload changes, in the terms people think in. Holds names and numbers, never a digest or metadata's values. */
export interface PolicyDiff {
  readonly keysAdded: readonly string[];
  readonly keysRemoved: readonly string[];
  readonly keysChanged: readonly Changed[];
  /** Routes by what they match, as written. */
  readonly routesAdded: readonly string[];
  readonly routesRemoved: readonly string[];
  readonly routesChanged: readonly Changed[];
  /** Whether routes that both policies have stand in another order: the first match wins. */
  readonly routesReordered: boolean;
  readonly rulesChanged: readonly Change[];
}

export interface Changed {
  readonly id: string;
  readonly changes: readonly Change[];
}

/** Compares two policies by key id and by what routes match; where things stand in the files does not matter. */
export function diffPolicies(old: Policy, next: Policy): PolicyDiff {
  const steps = diffStepwise(old, next);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same for a process that serves requests meanwhile: `pause` lets them have their turn every few milliseconds. */
export async function diffPoliciesInSlices(
  old: Policy,
  next: Policy,
  pause: () => Promise<unknown>,
): Promise<PolicyDiff> {
  const steps = diffStepwise(old, next);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await pause();
  }
}

function* diffStepwise(old: Policy, next: Policy): Generator<undefined, PolicyDiff> {
  const oldRoutes = numberRoutes(old.routes.routes);
  const nextRoutes = numberRoutes(next.routes.routes);
  const oldOrder = [...oldRoutes.keys()].filter((match) => nextRoutes.has(match));
  const nextOrder = [...nextRoutes.keys()].filter((match) => oldRoutes.has(match));
  return {
    keysAdded: yield* missingFrom(old.keys.byId, next.keys.byId),
    keysRemoved: yield* missingFrom(next.keys.byId, old.keys.byId),
    keysChanged: yield* compareCommon(old.keys.byId, next.keys.byId, compareKeys),
    routesAdded: yield* missingFrom(oldRoutes, nextRoutes),
    routesRemoved: yield* missingFrom(nextRoutes, oldRoutes),
    routesChanged: yield* compareCommon(oldRoutes, nextRoutes, compareRoutes),
    routesReordered: oldOrder.join("\n") !== nextOrder.join("\n"),
    rulesChanged: compareRules(old, next),
  };
}

// A reload that changes more than this in different ways is not read line by line in a log.
const MAX_LINES = 50;
// More names than this on one line hide the number that matters.
const MAX_NAMES = 5;

/** One sentence for each change, removals first; the same change to several keys is one sentence. */
export function describeDiff(diff: PolicyDiff): readonly string[] {
  const lines = [
    ...describeSet(diff.keysRemoved, "key", "removed"),
    ...describeSet(diff.keysAdded, "key", "added"),
    ...describeSet(diff.routesRemoved, "route", "removed"),
    ...describeSet(diff.routesAdded, "route", "added"),
    ...(diff.routesReordered ? ["routes reordered"] : []),
    ...diff.rulesChanged.map((change) => describeChange(change)),
    ...describeChanged(diff.routesChanged, "routes"),
    ...describeChanged(diff.keysChanged, "keys"),
  ];
  if (lines.length <= MAX_LINES) return lines;
  return [...lines.slice(0, MAX_LINES), `and ${lines.length - MAX_LINES} more changes`];
}

// About two milliseconds of comparing unchanged keys.
const SLICE = 2_000;

/** The names in `other` that `base` lacks, yielding now and then so that a caller can let others have their turn. */
export function* missingFrom(
  base: ReadonlyMap<string, unknown>,
  other: ReadonlyMap<string, unknown>,
): Generator<undefined, readonly string[]> {
  const missing: string[] = [];
  let looked = 0;
  for (const id of other.keys()) {
    if (++looked % SLICE === 0) yield;
    if (!base.has(id)) missing.push(id);
  }
  return missing;
}

function* compareCommon<T>(
  old: ReadonlyMap<string, T>,
  next: ReadonlyMap<string, T>,
  compare: (old: T, next: T) => readonly Change[],
): Generator<undefined, readonly Changed[]> {
  const changed: Changed[] = [];
  let looked = 0;
  for (const [id, value] of old) {
    if (++looked % SLICE === 0) yield;
    const other = next.get(id);
    const changes = other === undefined ? [] : compare(value, other);
    if (changes.length > 0) changed.push({ id, changes });
  }
  return changed;
}

/** Routes by what they match; a second one with the same text is told apart by its number. */
export function numberRoutes(routes: readonly Route[]): ReadonlyMap<string, Route> {
  const numbered = new Map<string, Route>();
  for (const route of routes) {
    let name = route.match;
    for (let number = 2; numbered.has(name); number += 1) name = `${route.match} (${number})`;
    numbered.set(name, route);
  }
  return numbered;
}

function describeSet(ids: readonly string[], noun: string, verb: string): readonly string[] {
  if (ids.length === 0) return [];
  const names = ids.length > MAX_NAMES ? "" : `: ${quote(ids)}`;
  return [`${ids.length} ${noun}${ids.length === 1 ? "" : "s"} ${verb}${names}`];
}

function describeChanged(changed: readonly Changed[], noun: string): readonly string[] {
  const byText = new Map<string, string[]>();
  for (const { id, changes } of changed) {
    for (const change of changes) {
      const text = describeChange(change);
      const ids = byText.get(text);
      if (ids === undefined) byText.set(text, [id]);
      else ids.push(id);
    }
  }
  return [...byText].map(([text, ids]) => `${ids.length > MAX_NAMES ? `${ids.length} ${noun}` : quote(ids)} ${text}`);
}

function describeChange(change: Change): string {
  switch (change.kind) {
    case "lost":
    case "gained":
      return `${change.kind} ${quote(change.scopes)}`;
    case "field":
      if (change.from === undefined) return `${change.field} set to ${change.to}`;
      if (change.to === undefined) return `${change.field} removed, was ${change.from}`;
      return `${change.field} changed from ${change.from} to ${change.to}`;
    case "replaced":
      return `${change.field} replaced`;
    default:
      return change satisfies never;
  }
}

function quote(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(", ");
}
