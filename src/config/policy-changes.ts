import type { Limit } from "../policy/bucket.ts";
import type { Key } from "../policy/key.ts";
import type { Policy } from "../policy/policy.ts";
import type { Route } from "../policy/route.ts";

/** One thing that is different, without a secret in it. */
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

/** What changed between two records of one key. */
export function compareKeys(old: Key, next: Key): readonly Change[] {
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

/** What changed between two routes that match the same requests. */
export function compareRoutes(old: Route, next: Route): readonly Change[] {
  return compareFacets(old, next, ROUTE_FACETS);
}

/** What changed in the rules that hold for every request. */
export function compareRules(old: Policy, next: Policy): readonly Change[] {
  return [...compareFacets(old, next, RULE_FACETS), ...comparePeppers(old, next)];
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

function comparePeppers(old: Policy, next: Policy): readonly Change[] {
  const [from, to] = [old.keys.pepper, next.keys.pepper];
  const same = from === undefined || to === undefined ? from === to : from.equals(to);
  return same ? [] : [{ kind: "replaced", field: "pepper" }];
}
