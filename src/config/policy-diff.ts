import type { KeyTable } from "../policy/key.ts";
import { compareTables } from "../policy/key-table-diff.ts";
import type { Policy } from "../policy/policy.ts";
import type { Route } from "../policy/route.ts";
import { type Change, compareKeys, compareRoutes, compareRules } from "./policy-changes.ts";

/** What a reload changes, in the terms people think in. Holds names and numbers, never a digest or metadata's values. */
export interface PolicyDiff extends KeysDiff, RulesDiff {}

export interface KeysDiff {
  readonly keysAdded: readonly string[];
  readonly keysRemoved: readonly string[];
  readonly keysChanged: readonly Changed[];
}

/** All but the keys: there are never so many of these that it would take long to compare them. */
export interface RulesDiff {
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
  return { ...diffKeys(old.keys.table, next.keys.table), ...diffRules(old, next) };
}

export function diffKeys(old: KeyTable, next: KeyTable): KeysDiff {
  const keysAdded: string[] = [];
  const keysRemoved: string[] = [];
  const keysChanged: Changed[] = [];
  for (const difference of compareTables(old, next)) {
    switch (difference.kind) {
      case "added":
        keysAdded.push(difference.id);
        break;
      case "removed":
        keysRemoved.push(difference.id);
        break;
      case "rewritten": {
        const changes = compareKeys(difference.old, difference.next);
        if (changes.length > 0) keysChanged.push({ id: difference.old.id, changes });
        break;
      }
      default:
        difference satisfies never;
    }
  }
  return { keysAdded, keysRemoved, keysChanged };
}

export function diffRules(old: Policy, next: Policy): RulesDiff {
  const oldRoutes = numberRoutes(old.routes.routes);
  const nextRoutes = numberRoutes(next.routes.routes);
  const oldOrder = [...oldRoutes.keys()].filter((match) => nextRoutes.has(match));
  const nextOrder = [...nextRoutes.keys()].filter((match) => oldRoutes.has(match));
  return {
    routesAdded: [...nextRoutes.keys()].filter((match) => !oldRoutes.has(match)),
    routesRemoved: [...oldRoutes.keys()].filter((match) => !nextRoutes.has(match)),
    routesChanged: compareCommon(oldRoutes, nextRoutes, compareRoutes),
    routesReordered: oldOrder.join("\n") !== nextOrder.join("\n"),
    rulesChanged: compareRules(old, next),
  };
}

// A reload that changes more than this in different ways is not read line by line in a log.
const MAX_LINES = 50;
// More names than this on one line hide the number that matters.
const MAX_NAMES = 5;

/** What is said of keys, in sentences: so little that it can be told to another thread. */
export interface KeysDescription {
  readonly cameAndWent: readonly string[];
  readonly changed: readonly string[];
  /** How many sentences about changed keys were left out. */
  readonly more: number;
}

export function describeKeys({ keysAdded, keysRemoved, keysChanged }: KeysDiff): KeysDescription {
  const changed = describeChanged(keysChanged, "keys");
  return {
    cameAndWent: [...describeSet(keysRemoved, "key", "removed"), ...describeSet(keysAdded, "key", "added")],
    changed: changed.slice(0, MAX_LINES),
    more: Math.max(0, changed.length - MAX_LINES),
  };
}

/** One sentence for each change, removals first; the same change to several keys is one sentence. */
export function describeDiff(diff: PolicyDiff): readonly string[] {
  return joinDescriptions(describeKeys(diff), diff);
}

/** The same where the keys were compared elsewhere. */
export function joinDescriptions(keys: KeysDescription, diff: RulesDiff): readonly string[] {
  const lines = [
    ...keys.cameAndWent,
    ...describeSet(diff.routesRemoved, "route", "removed"),
    ...describeSet(diff.routesAdded, "route", "added"),
    ...(diff.routesReordered ? ["routes reordered"] : []),
    ...describeChanges(diff.rulesChanged),
    ...describeChanged(diff.routesChanged, "routes"),
    ...keys.changed,
  ];
  if (lines.length + keys.more <= MAX_LINES) return lines;
  return [...lines.slice(0, MAX_LINES), `and ${lines.length + keys.more - MAX_LINES} more changes`];
}

function compareCommon<T>(
  old: ReadonlyMap<string, T>,
  next: ReadonlyMap<string, T>,
  compare: (old: T, next: T) => readonly Change[],
): readonly Changed[] {
  const changed: Changed[] = [];
  for (const [id, value] of old) {
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

/** One sentence for each change of something there is one of. */
export function describeChanges(changes: readonly Change[]): readonly string[] {
  return changes.map(describeChange);
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
