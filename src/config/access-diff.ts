import { findMissingScopes, READ_METHODS } from "../policy/decide.ts";
import { findStatusProblem, type Key } from "../policy/key.ts";
import { matchRoute, neededScopes } from "../policy/match-route.ts";
import type { Policy } from "../policy/policy.ts";
import type { Route } from "../policy/route.ts";
import type { Grants } from "../policy/scope.ts";
import { judgeTarget, type Segments } from "../policy/target.ts";
import { createProbes, type Probe } from "./access-probes.ts";

/** What one caller may do after a change and could not before, and the other way round; routes as written. */
export interface AccessChange {
  /** A key's id; undefined for whoever comes without a key. */
  readonly keyId: string | undefined;
  readonly gained: readonly string[];
  readonly lost: readonly string[];
  /** Whether nothing is left of what the caller could do before. */
  readonly lostAll: boolean;
}

/**
 * Who gains and who loses access to which route. Asks the very code that decides requests, with example
 * requests for every route of both policies; networks and limits are not asked about.
 */
export function diffAccess(old: Policy, next: Policy, nowMs: number): readonly AccessChange[] {
  const probes = createProbes(old, next);
  const [before, after] = [answer(probes, old), answer(probes, next)];
  const compare = rememberByCaller((from, to) => compareCallers(before, after, from, to));
  const ids = new Set([...old.keys.ids(), ...next.keys.ids()]);
  const changes = [
    { keyId: undefined, ...compare(NOBODY, NOBODY) },
    ...[...ids].map((keyId) => ({
      keyId,
      ...compare(toCaller(old.keys.findById(keyId), nowMs), toCaller(next.keys.findById(keyId), nowMs)),
    })),
  ];
  return changes.filter(({ gained, lost }) => gained.length > 0 || lost.length > 0);
}

/** Whoever asks; without a key, or with one that may not be used, nobody in particular. */
interface Caller {
  readonly key: Key | undefined;
}

const NOBODY: Caller = { key: undefined };

function toCaller(key: Key | undefined, nowMs: number): Caller {
  return key === undefined || findStatusProblem(key, nowMs) !== undefined ? NOBODY : { key };
}

/** How a policy answers one probe, whoever asks. */
interface Answered {
  readonly probe: Probe;
  readonly policy: Policy;
  readonly route: Route | undefined;
  readonly segments: Segments;
  /** The route, with the scopes where they depend on the request. */
  readonly label: string;
}

function answer(probes: readonly Probe[], policy: Policy): readonly Answered[] {
  return probes.map((probe) => {
    const target = judgeTarget(probe.target, policy.paths);
    const routed = target.kind === "refused" ? "ambiguous" : matchRoute(target, probe.method, policy);
    if (routed === "ambiguous") return { probe, policy, route: undefined, segments: [], label: "" };
    const { route, segments } = routed;
    return {
      probe,
      policy,
      route,
      segments,
      label: route === undefined ? "" : toLabel(route, probe, segments, policy),
    };
  });
}

function toLabel(route: Route, { method }: Probe, segments: Segments, policy: Policy): string {
  const isDerived = route.access.kind === "scopes" && route.access.scopes.some(({ parts }) => parts !== undefined);
  return isDerived ? `${route.match} (${neededScopes(route, method, segments, policy).join(", ")})` : route.match;
}

function mayCall({ route, segments, probe, policy }: Answered, { key }: Caller): boolean {
  if (route === undefined) return false;
  if (route.access.kind === "public") return true;
  if (key === undefined || (key.readOnly && !READ_METHODS.has(probe.method))) return false;
  return findMissingScopes(route, key, probe.method, segments, policy) === undefined;
}

type Compared = Omit<AccessChange, "keyId">;

function compareCallers(before: readonly Answered[], after: readonly Answered[], from: Caller, to: Caller): Compared {
  const had = before.map((answered) => mayCall(answered, from));
  const has = after.map((answered) => mayCall(answered, to));
  return {
    lost: describe(before, had, has),
    gained: describe(after, has, had),
    lostAll: had.includes(true) && !has.includes(true),
  };
}

/** The routes of one side that are open there and closed on the other; where only in part, with the part. */
function describe(
  answers: readonly Answered[],
  here: readonly boolean[],
  there: readonly boolean[],
): readonly string[] {
  const byLabel = new Map<string, { readonly only: string[]; open: number }>();
  for (const [index, { label, probe }] of answers.entries()) {
    if (here[index] !== true) continue;
    const entry = byLabel.get(label) ?? { only: [], open: 0 };
    byLabel.set(label, entry);
    entry.open += 1;
    if (there[index] !== true) entry.only.push(probe.shown);
  }
  return [...byLabel].flatMap(([label, { only, open }]) => {
    if (only.length === 0) return [];
    return [only.length === open ? label : `${label} (only ${[...new Set(only)].join(", ")})`];
  });
}

/** Most keys share their scopes with many others; each pair of callers that count the same is compared once. */
function rememberByCaller(compare: (from: Caller, to: Caller) => Compared): typeof compare {
  const numbers = new Map<string, number>();
  const numberOf = new Map<Grants, number>();
  const known = new Map<string, Compared>();
  const nameOf = ({ key }: Caller): string => {
    if (key === undefined) return "-";
    let number = numberOf.get(key.grants);
    if (number === undefined) {
      const scopes = [...key.grants.exact].sort().join("\n");
      number = numbers.get(scopes) ?? numbers.size;
      numbers.set(scopes, number);
      numberOf.set(key.grants, number);
    }
    return `${number}${key.readOnly ? "r" : "w"}`;
  };
  return (from, to) => {
    const name = `${nameOf(from)} ${nameOf(to)}`;
    const compared = known.get(name) ?? compare(from, to);
    known.set(name, compared);
    return compared;
  };
}
