import type { Limit } from "../policy/bucket.ts";
import type { Key } from "../policy/key.ts";
import type { Policy } from "../policy/policy.ts";
import type { Route } from "../policy/route.ts";

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

export type Change =
  | { readonly kind: "lost" | "gained"; readonly scopes: readonly string[] }
  | {
      readonly kind: "field";
      readonly field: string;
      readonly from: string | undefined;
      readonly to: string | undefined;
    }
  /** A value that is not shown: a digest, a pepper, metadata. */
  | { readonly kind: "replaced"; readonly field: string };

type Facets<T> = readonly (readonly [field: string, toText: (value: T) => string | undefined])[];

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
    routesChanged: yield* compareCommon(oldRoutes, nextRoutes, (a, b) => compareFacets(a, b, ROUTE_FACETS)),
    routesReordered: oldOrder.join("\n") !== nextOrder.join("\n"),
    rulesChanged: [...compareFacets(old, next, RULE_FACETS), ...comparePeppers(old, next)],
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

function* missingFrom(
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
    const changes = other === undefined ? NO_CHANGES : compare(value, other);
    if (changes.length > 0) changed.push({ id, changes });
  }
  return changed;
}

/** Routes by what they match; a second one with the same text is told apart by its number. */
function numberRoutes(routes: readonly Route[]): ReadonlyMap<string, Route> {
  const numbered = new Map<string, Route>();
  for (const route of routes) {
    let name = route.match;
    for (let number = 2; numbered.has(name); number += 1) name = `${route.match} (${number})`;
    numbered.set(name, route);
  }
  return numbered;
}

const KEY_FACETS: Facets<Key> = [
  ["status", (key) => key.status],
  ["limits", (key) => toLimits(key.limits)],
  ["allowIps", (key) => toList(key.networks?.ranges)],
  ["expiresAt", (key) => toInstant(key.expiresAtMs)],
  ["notBefore", (key) => toInstant(key.notBeforeMs)],
  ["readOnly", (key) => String(key.readOnly)],
  ["tenant", (key) => key.tenant],
  ["name", (key) => key.name],
  ["rotatedTo", (key) => key.rotatedTo],
];

const ROUTE_FACETS: Facets<Route> = [
  ["access", toAccess],
  ["limits", (route) => toLimits(route.limits)],
  ["cost", (route) => String(route.cost)],
  ["allowIps", (route) => toList(route.networks?.ranges)],
  ["allowMethodOverride", (route) => String(route.allowMethodOverride)],
  ["aliases", toAliases],
];

const RULE_FACETS: Facets<Policy> = [
  ["listen.https", (policy) => (policy.httpsRequired ? "required" : "optional")],
  ["paths", (policy) => toPairs(Object.entries(policy.paths))],
  ["credentials.locations", (policy) => toList(policy.credentials.locations.map(({ label }) => label))],
  ["credentials.inUrl", (policy) => policy.credentials.inUrl],
  ["credentials.forward", (policy) => String(policy.credentials.forward)],
  ["keyFormats", (policy) => toList(policy.keyFormats.map(({ text }) => text))],
  ["accept", (policy) => toPairs([...policy.accept].map(([name, values]) => [name, [...values].join(" ")]))],
  ["actions", (policy) => toPairs([...policy.actions])],
  ["limits.failures", (policy) => toLimits(policy.failureLimit === undefined ? [] : [policy.failureLimit])],
];

const NO_CHANGES: readonly Change[] = [];

function compareKeys(old: Key, next: Key): readonly Change[] {
  if (isSameKey(old, next)) return NO_CHANGES;
  const changes: Change[] = [];
  // What a key may do counts, not how its record spells it: an implication can take a scope away too.
  const lost = [...old.grants.exact].filter((scope) => !next.grants.exact.has(scope));
  const gained = [...next.grants.exact].filter((scope) => !old.grants.exact.has(scope));
  if (lost.length > 0) changes.push({ kind: "lost", scopes: lost });
  if (gained.length > 0) changes.push({ kind: "gained", scopes: gained });
  changes.push(...compareFacets(old, next, KEY_FACETS));
  if (!isSameDigest(old, next)) changes.push({ kind: "replaced", field: "hash" });
  if (!isSameMap(old.metadata, next.metadata)) changes.push({ kind: "replaced", field: "metadata" });
  return changes;
}

/** The same answer as comparing text by text, a hundred times cheaper: in most reloads most keys stay as they are. */
function isSameKey(old: Key, next: Key): boolean {
  return (
    old.status === next.status &&
    old.expiresAtMs === next.expiresAtMs &&
    old.notBeforeMs === next.notBeforeMs &&
    old.readOnly === next.readOnly &&
    old.tenant === next.tenant &&
    old.name === next.name &&
    old.rotatedTo === next.rotatedTo &&
    isSameDigest(old, next) &&
    isSameSet(old.grants.exact, next.grants.exact) &&
    isSameList(old.networks?.ranges ?? NOTHING, next.networks?.ranges ?? NOTHING, isSameText) &&
    isSameList(old.limits, next.limits, isSameLimit) &&
    isSameMap(old.metadata, next.metadata)
  );
}

const NOTHING: readonly string[] = [];

function isSameText(old: string, next: string): boolean {
  return old === next;
}

function isSameLimit(old: Limit, next: Limit): boolean {
  return old.name === next.name && old.capacity === next.capacity;
}

function isSameList<T>(old: readonly T[], next: readonly T[], isSame: (old: T, next: T) => boolean): boolean {
  if (old.length !== next.length) return false;
  for (const [index, value] of old.entries()) {
    const other = next[index];
    if (other === undefined || !isSame(value, other)) return false;
  }
  return true;
}

function isSameSet(old: ReadonlySet<string>, next: ReadonlySet<string>): boolean {
  if (old.size !== next.size) return false;
  for (const value of old) if (!next.has(value)) return false;
  return true;
}

function isSameMap(old: ReadonlyMap<string, string>, next: ReadonlyMap<string, string>): boolean {
  if (old.size !== next.size) return false;
  for (const [name, value] of old) if (next.get(name) !== value) return false;
  return true;
}

function compareFacets<T>(old: T, next: T, facets: Facets<T>): readonly Change[] {
  const changes: Change[] = [];
  for (const [field, toText] of facets) {
    const from = toText(old);
    const to = toText(next);
    if (from !== to) changes.push({ kind: "field", field, from, to });
  }
  return changes;
}

function comparePeppers(old: Policy, next: Policy): readonly Change[] {
  const [from, to] = [old.keys.pepper, next.keys.pepper];
  const same = from === undefined || to === undefined ? from === to : from.equals(to);
  return same ? [] : [{ kind: "replaced", field: "pepper" }];
}

function isSameDigest({ digest: old }: Key, { digest: next }: Key): boolean {
  if (old.kind === "bcrypt") return next.kind === "bcrypt" && old.text === next.text;
  return next.kind === old.kind && old.hex === next.hex;
}

function toLimits(limits: readonly Limit[]): string | undefined {
  return toList(
    limits.map(({ name, count, capacity }) => (count === capacity ? name : `${name} with a burst of ${capacity}`)),
  );
}

function toAccess({ access }: Route): string {
  if (access.kind !== "scopes") return access.kind;
  return `${access.need} of ${access.scopes.map(({ text }) => text).join(", ")}`;
}

function toAliases({ aliases }: Route): string | undefined {
  return toPairs([...aliases.exact, ...aliases.endings.map(({ from, to }) => [`*${from}`, `*${to}`] as const)]);
}

function toInstant(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}

function toList(values: readonly string[] | undefined): string | undefined {
  return values === undefined || values.length === 0 ? undefined : values.join(", ");
}

function toPairs(pairs: readonly (readonly [string, unknown])[]): string | undefined {
  return toList(pairs.map(([name, value]) => `${name}: ${String(value)}`));
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
