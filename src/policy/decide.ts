import { type Demand, findShort, type Limit, type Taken } from "./bucket.ts";
import { findUrlCredentials, readCredential } from "./credential.ts";
import {
  type Allowed,
  type Decision,
  type Denial,
  type DenialContext,
  type DenialReason,
  deny,
  type NeedsVerification,
} from "./decision.ts";
import type { RequestFacts } from "./facts.ts";
import { findKey, findStatusProblem, type Key, type Verification } from "./key.ts";
import { type FormatMatch, isPrefixedKey, matchKeyFormat, redactKeys } from "./key-format.ts";
import { matchRoute, type Routed } from "./match-route.ts";
import type { NetworkSet } from "./network.ts";
import type { Policy, PolicyState } from "./policy.ts";
import type { Principal } from "./principal.ts";
import { type Route, type ScopeTemplate, toScope } from "./route.ts";
import { ALL_SCOPES, grantsScope } from "./scope.ts";
import { type JudgedTarget, judgeTarget, type Segments } from "./target.ts";

/**
 * Decides one request. Pure but for the buckets it takes from: the order of the checks is the order
 * of the lines, stateless checks come before the one that spends, and every path ends in a decision.
 * `verification` is the outcome of the slow hash that an earlier `verify` decision asked for.
 */
export function decide(
  facts: RequestFacts,
  policy: Policy,
  state: PolicyState,
  nowMs: number,
  verification?: Verification,
): Decision {
  const target = judgeTarget(facts.target, policy.paths);
  if (target.kind === "refused") return deny("target_invalid", { detail: target.problem });
  if (policy.httpsRequired && !facts.secure) return deny("https_required");

  const routed = matchRoute(target, facts.method, policy);
  if (routed === "ambiguous") return deny("target_invalid", { detail: "readings of the path match different routes" });
  const { route } = routed;
  if (route?.access.kind === "public") return admitPublic(facts, route, state, nowMs);

  if (policy.credentials.inUrl === "reject" && hasUrlCredential(target.query, policy)) {
    return deny("credential_in_url", { route });
  }
  const presented = readCredential(facts.rawHeaders, policy.credentials);
  if (presented.kind === "none") return deny("credential_missing", { route });
  if (presented.kind === "ambiguous") return deny("credential_ambiguous", { route });

  // Looked up in any case: one that is malformed must not be told from an unknown one by the time it takes.
  const found = resolveKey(presented.credential, policy, state, verification);
  // A key that its credential was found by has that credential's text; with a verification from elsewhere it may be another.
  const isItsText = verification === undefined;
  const known = isItsText && found.kind === "key" ? policy.principals.get(found.key) : undefined;
  if (known !== undefined) return decideVerified(facts, routed, known, policy, state, nowMs);

  const format = matchFormat(presented.credential, policy);
  if (format === undefined) return denyFailure("credential_malformed", route, facts, policy, state, nowMs);
  const mismatch = findMismatch(format, policy);
  if (mismatch !== undefined) return deny(mismatch, { route, segments: format.segments });

  const isCounted = verification?.isCounted === true;
  if (found.kind === "unknown" && isCounted) return deny("key_unknown", { route });
  if (found.kind === "unknown") return denyFailure("key_unknown", route, facts, policy, state, nowMs);
  if (isCounted) takeBackFailure(facts, policy, state, nowMs);
  if (found.kind === "overloaded") return deny("overloaded", { route, detail: "the queue of slow hashes is full" });
  if (found.kind === "unverified") {
    return askToVerify(presented.credential, found.candidates, route, facts, policy, state, nowMs);
  }

  const principal = { key: found.key, segments: format.segments };
  if (isItsText) policy.principals.set(found.key, principal);
  return decideVerified(facts, routed, principal, policy, state, nowMs);
}

/** The checks that are left once the full credential was verified: `decide` ends with them. */
export function decideVerified(
  facts: RequestFacts,
  routed: Routed,
  principal: Principal,
  policy: Policy,
  state: PolicyState,
  nowMs: number,
): Allowed | Denial {
  const { route } = routed;
  const { key } = principal;
  const statusProblem = findStatusProblem(key, nowMs);
  if (statusProblem !== undefined) return denyVerified(statusProblem, routed, principal);
  if (route === undefined) return denyVerified("route_unknown", routed, principal, { detail: routed.detail });

  const missing = findMissingScopes(route, key, facts.method, routed.segments, policy);
  if (missing !== undefined) {
    // What a path names may be a key.
    const scopes = missing.map((scope) => redactKeys(scope, policy.keyFormats));
    return denyVerified("scope_insufficient", routed, principal, { scopes, detail: `lacks ${scopes.join(", ")}` });
  }
  if (key.readOnly && !READ_METHODS.has(facts.method)) return denyVerified("key_read_only", routed, principal);
  if (!admits(key.networks, facts)) return denyVerified("address_denied", routed, principal, NOT_IN_KEYS);
  if (!admits(route.networks, facts)) return denyVerified("address_denied", routed, principal, NOT_IN_ROUTES);

  const taken = takeFrom(state, demandOf(route, key.id, key.limits), nowMs);
  return conclude(taken, route, principal, routed.target);
}

/** A refusal of who holds the full credential, with all that is known of the request. */
function denyVerified(
  reason: DenialReason,
  { route, target }: Routed,
  principal: Principal,
  more: Partial<DenialContext> = {},
): Denial {
  return deny(reason, { route, principal, target, segments: principal.segments, ...more });
}

function hasUrlCredential(query: string | undefined, { credentials, keyFormats }: Policy): boolean {
  if (query === undefined) return false;
  return findUrlCredentials(query, credentials, (text) => isPrefixedKey(text, keyFormats)).size > 0;
}

// RFC 9110 §9.2.1 lists TRACE as safe too; it is refused before any check.
export const READ_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

const NOT_IN_KEYS = { detail: "not in allowIps of the key" };
const NOT_IN_ROUTES = { detail: "not in allowIps of the route" };

/** A public route needs no key and looks at none; its own networks and limits hold, per client address. */
function admitPublic(facts: RequestFacts, route: Route, state: PolicyState, nowMs: number): Decision {
  if (!admits(route.networks, facts)) return deny("address_denied", { route, ...NOT_IN_ROUTES });
  const taken = takeFrom(state, demandOf(route, facts.clientAddress.neighbourhood, NO_LIMITS), nowMs);
  return conclude(taken, route, undefined, undefined);
}

const NO_LIMITS: readonly Limit[] = [];
const NOTHING_TAKEN: Taken = { kind: "taken", quotas: [] };

/** Who has no limit has no bucket either: callers of a public route must not fill the table. */
function takeFrom(state: PolicyState, demand: Demand, nowMs: number): Taken {
  return demand.limits.length === 0 ? NOTHING_TAKEN : state.buckets.take(demand, nowMs);
}

/** The key's limits and the route's own, all taken from buckets of the same owner. */
function demandOf({ limits, cost }: Route, owner: string, keyLimits: readonly Limit[]): Demand {
  if (limits.length === 0) return { owner, limits: keyLimits, cost };
  return { owner, limits: keyLimits.length === 0 ? limits : [...keyLimits, ...limits], cost };
}

function conclude(
  taken: Taken,
  route: Route,
  principal: Principal | undefined,
  target: JudgedTarget | undefined,
): Allowed | Denial {
  if (taken.kind === "taken") return { kind: "allow", route, principal, target, quotas: taken.quotas };
  const known = { route, principal, target, segments: principal?.segments ?? NO_SEGMENTS };
  switch (taken.kind) {
    case "denied":
      return deny("rate_limited", {
        ...known,
        detail: `over ${findShort(taken.quotas, route.cost).map(describeLimit).join(", ")}`,
        quotas: taken.quotas,
        retryAfterSeconds: taken.retryAfterSeconds,
      });
    case "full":
      return deny("overloaded", { ...known, detail: "the table of buckets is full" });
    default:
      return taken satisfies never;
  }
}

/** With what it is a limit of: of its id all but the window. */
function describeLimit({ name, id }: Limit): string {
  return `${name} (${id.slice(0, id.lastIndexOf("/"))})`;
}

// Without a format, whatever one header value can hold unambiguously: visible ASCII, no comma (which
// joins header lines), and short enough that hashing it costs nothing worth counting.
const MAX_CREDENTIAL_LENGTH = 512;
const ANY_CREDENTIAL = /^[\x21-\x2b\x2d-\x7e]+$/;
const NO_SEGMENTS: ReadonlyMap<string, string> = new Map();

function matchFormat(credential: string, policy: Policy): Pick<FormatMatch, "segments"> | undefined {
  if (credential.length > MAX_CREDENTIAL_LENGTH) return undefined;
  if (policy.keyFormats.length > 0) return matchKeyFormat(credential, policy.keyFormats);
  return ANY_CREDENTIAL.test(credential) ? { segments: NO_SEGMENTS } : undefined;
}

/** A key for another deployment, by its own text. A region has its own reason, all other segments share one. */
function findMismatch(
  format: Pick<FormatMatch, "segments">,
  policy: Policy,
): "environment_mismatch" | "region_mismatch" | undefined {
  for (const [name, values] of policy.accept) {
    const value = format.segments.get(name);
    if (value === undefined || values.has(value)) continue;
    return name === "region" ? "region_mismatch" : "environment_mismatch";
  }
  return undefined;
}

function resolveKey(credential: string, policy: Policy, state: PolicyState, verification: Verification | undefined) {
  switch (verification?.kind) {
    case undefined: {
      const found = findKey(credential.slice(0, MAX_CREDENTIAL_LENGTH), policy.keys, state.verified);
      return credential.length > MAX_CREDENTIAL_LENGTH ? ({ kind: "unknown" } as const) : found;
    }
    case "matched":
      return { kind: "key", key: verification.key } as const;
    case "unmatched":
      return { kind: "unknown" } as const;
    case "overloaded":
      return { kind: "overloaded" } as const;
    default:
      return verification satisfies never;
  }
}

/**
 * Counts a slow hash as a failure before it begins: so no address has more of them under way and failed than its budget
 * admits. Who waits for a hash that runs already begins none, and is counted when it fails.
 */
function askToVerify(
  credential: string,
  candidates: readonly Key[],
  route: Route | undefined,
  facts: RequestFacts,
  policy: Policy,
  state: PolicyState,
  nowMs: number,
): NeedsVerification | Denial {
  const isCounted = !state.slowHashes.isUnderWay(credential, candidates);
  const exceeded = isCounted ? countFailure(facts, policy, state, nowMs) : undefined;
  if (exceeded !== undefined) return deny("failures_exceeded", { route, retryAfterSeconds: exceeded });
  return { kind: "verify", credential, candidates, isCounted };
}

/** Counts a refused credential against the client's address, never against a key; over budget it is a 429. */
function denyFailure(
  reason: Extract<DenialReason, "credential_malformed" | "key_unknown">,
  route: Route | undefined,
  facts: RequestFacts,
  policy: Policy,
  state: PolicyState,
  nowMs: number,
): Denial {
  const exceeded = countFailure(facts, policy, state, nowMs);
  if (exceeded === undefined) return deny(reason, { route });
  return deny("failures_exceeded", { route, retryAfterSeconds: exceeded });
}

/** Takes one failure from the budget of the client's address; the seconds to wait where nothing is left of it. */
function countFailure(facts: RequestFacts, policy: Policy, state: PolicyState, nowMs: number): number | undefined {
  const taken = takeFailures(1, facts, policy, state, nowMs);
  // A table too full to count this address in refuses it as if it were over its budget: fail closed.
  return taken.kind === "taken" ? undefined : taken.kind === "denied" ? taken.retryAfterSeconds : 1;
}

/** What was counted beforehand was no failure. */
export function takeBackFailure(facts: RequestFacts, policy: Policy, state: PolicyState, nowMs: number): void {
  takeFailures(-1, facts, policy, state, nowMs);
}

function takeFailures(cost: number, facts: RequestFacts, policy: Policy, state: PolicyState, nowMs: number): Taken {
  if (policy.failureLimit === undefined) return NOTHING_TAKEN;
  return state.failures.take({ owner: facts.clientAddress.neighbourhood, limits: [policy.failureLimit], cost }, nowMs);
}

/** The scopes a key lacks for this request; undefined when it has enough. */
export function findMissingScopes(
  route: Route,
  key: Key,
  method: string,
  path: Segments,
  policy: Policy,
): readonly string[] | undefined {
  if (route.access.kind !== "scopes") return undefined;
  if (key.grants.all) return undefined;
  const { need, scopes } = route.access;
  const meaningOf = (template: ScopeTemplate) => toScope(template, route, method, path, policy.actions);
  const isGranted = (template: ScopeTemplate) => {
    const scope = meaningOf(template);
    return scope !== undefined && grantsScope(key.grants, scope);
  };
  if (need === "any" ? scopes.some(isGranted) : scopes.every(isGranted)) return undefined;
  const missing = scopes.filter((template) => !isGranted(template));
  return [...new Set(missing.map((template) => meaningOf(template) ?? ALL_SCOPES))];
}

function admits(networks: NetworkSet | undefined, facts: RequestFacts): boolean {
  return networks === undefined || networks.contains(facts.clientAddress);
}
