import type { Buckets } from "./bucket.ts";
import { createBucketTable } from "./bucket-table.ts";
import { decide, decideVerified, takeBackFailure } from "./decide.ts";
import type { Allowed, Denial, DenialReason } from "./decision.ts";
import type { RequestFacts } from "./facts.ts";
import type { Key } from "./key.ts";
import { matchRoute, type Routed } from "./match-route.ts";
import type { Policy, PolicyState } from "./policy.ts";
import type { Route } from "./route.ts";
import type { JudgedTarget, Segments } from "./target.ts";

/** What a candidate policy would have made of a request that the live one decided. */
export type ShadowVerdict =
  | {
      readonly kind: "compared";
      readonly outcome: ShadowOutcome;
      /** Why the refusing one of the two refuses; the live one's where both do. Undefined where both allow. */
      readonly reason: DenialReason | undefined;
      /** The live route, or the candidate's where the live policy has none. */
      readonly route: string | undefined;
      readonly keyId: string | undefined;
      /** The candidate's word on its refusal, for the operator. */
      readonly detail: string;
    }
  /** Nothing to compare: the live policy itself could not decide, or only a slow hash could tell. */
  | { readonly kind: "undecided"; readonly cause: "live" | "slow_hash" };

export type ShadowOutcome = "same" | "would_allow" | "would_deny";

/** Two policies side by side, with what is worked out once for both. */
export interface ShadowPair {
  readonly live: Policy;
  readonly candidate: Policy;
  readonly samePepper: boolean;
  /** Whether both read a credential, and what it says of itself, in the same way. */
  readonly sameFront: boolean;
  /** The candidate's route for each live one, where both route every request alike; else undefined. */
  readonly routes: ReadonlyMap<Route, Route> | undefined;
}

/** What the candidate spends: never the live buckets. */
export interface ShadowBuckets {
  readonly buckets: Buckets;
  readonly failures: Buckets;
}

export function createShadowBuckets(): ShadowBuckets {
  return { buckets: createBucketTable(), failures: createBucketTable() };
}

export function pairPolicies(live: Policy, candidate: Policy): ShadowPair {
  const [ours, theirs] = [live.keys.pepper, candidate.keys.pepper];
  return {
    live,
    candidate,
    samePepper: ours !== undefined && theirs !== undefined && ours.equals(theirs),
    sameFront: JSON.stringify(frontOf(live)) === JSON.stringify(frontOf(candidate)),
    routes: pairRoutes(live, candidate),
  };
}

/** All that a request meets before its key is looked up, but for the route. */
function frontOf({ httpsRequired, paths, credentials, keyFormats, accept }: Policy): unknown {
  return [
    httpsRequired,
    paths,
    { ...credentials, urlParameters: [...credentials.urlParameters].sort() },
    keyFormats.map(({ text }) => text),
    [...accept].map(([name, values]) => [name, [...values].sort()]),
  ];
}

/** Routing looks at more of a route than its pattern (see `matchRoute`), so all of it must be the same. */
function pairRoutes(live: Policy, candidate: Policy): ReadonlyMap<Route, Route> | undefined {
  const [ours, theirs] = [live.routes.routes, candidate.routes.routes];
  if (ours.length !== theirs.length) return undefined;
  const routes = new Map<Route, Route>();
  for (const [index, route] of ours.entries()) {
    const other = theirs[index];
    if (other === undefined || describeRoute(route) !== describeRoute(other)) return undefined;
    routes.set(route, other);
  }
  return JSON.stringify([...live.actions]) === JSON.stringify([...candidate.actions]) ? routes : undefined;
}

function describeRoute({ match, access, aliases, cost, limits, networks }: Route): string {
  return JSON.stringify([match, access, [...aliases.exact], aliases.endings, cost, limits, networks?.ranges]);
}

/**
 * Decides a request once more, by the candidate and its own buckets, and compares. A credential that the
 * live policy verified is known by its digest, so it is not hashed again, and never slowly.
 */
export function compareDecisions(
  facts: RequestFacts,
  live: Allowed | Denial,
  pair: ShadowPair,
  spent: ShadowBuckets,
  nowMs: number,
): ShadowVerdict {
  if (live.kind === "deny" && UNDECIDED.has(live.reason)) return { kind: "undecided", cause: "live" };
  const decision = decideByCandidate(facts, live, pair, spent, nowMs);
  if (decision === undefined) return { kind: "undecided", cause: "slow_hash" };
  return {
    kind: "compared",
    outcome: live.kind === decision.kind ? "same" : decision.kind === "allow" ? "would_allow" : "would_deny",
    reason: live.kind === "deny" ? live.reason : decision.kind === "deny" ? decision.reason : undefined,
    route: (live.route ?? decision.route)?.match,
    keyId: (live.principal ?? decision.principal)?.key.id,
    detail: decision.kind === "deny" ? decision.detail : "",
  };
}

/** The candidate's decision; undefined where only a slow hash could tell. */
function decideByCandidate(
  facts: RequestFacts,
  live: Allowed | Denial,
  pair: ShadowPair,
  { buckets, failures }: ShadowBuckets,
  nowMs: number,
): Allowed | Denial | undefined {
  const { candidate } = pair;
  const state: PolicyState = { buckets, failures, verified: NOTHING_VERIFIED, slowHashes: NOTHING_UNDER_WAY };
  const key = live.principal && findByDigest(live.principal.key, pair);
  if (live.principal !== undefined && live.target !== undefined && key !== undefined && pair.sameFront) {
    const routed = routeByCandidate(facts, live.route, live.target, pair);
    // A public route looks at no key, and a path that can be read two ways concerns none.
    if (routed !== "ambiguous" && routed.route?.access.kind !== "public") {
      return decideVerified(facts, routed, { key, segments: live.principal.segments }, candidate, state, nowMs);
    }
  }
  const decision = decide(facts, candidate, state, nowMs, key && { kind: "matched", key });
  if (decision.kind !== "verify") return decision;
  const { credential, candidates, isCounted } = decision;
  if (live.kind === "allow" || live.reason !== "key_unknown" || !wereTried(credential, candidates, pair)) {
    if (isCounted) takeBackFailure(facts, candidate, state, nowMs);
    return undefined;
  }
  const refused = decide(facts, candidate, state, nowMs, { kind: "unmatched", isCounted });
  return refused.kind === "verify" ? undefined : refused;
}

const NO_SEGMENTS: Segments = [];

/** Where the candidate routes a request whose target the live policy judged by the same rules. */
function routeByCandidate(
  { method }: RequestFacts,
  liveRoute: Route | undefined,
  target: JudgedTarget,
  { candidate, routes }: ShadowPair,
): Routed | "ambiguous" {
  const route = liveRoute && routes?.get(liveRoute);
  // The segments of the path matter only to scopes derived from them.
  if (route !== undefined && !isDerived(route)) return { route, target, segments: NO_SEGMENTS, detail: "" };
  return matchRoute(target, method, candidate);
}

function isDerived({ access }: Route): boolean {
  return access.kind === "scopes" && access.scopes.some(({ parts }) => parts !== undefined);
}

// The live policy itself said nothing of the request: the process had no room, or something broke.
const UNDECIDED: ReadonlySet<DenialReason> = new Set(["overloaded", "internal_error", "draining"]);
const NOTHING_VERIFIED = { find: () => undefined };
const NOTHING_UNDER_WAY = { isUnderWay: () => false };

/** The candidate's record with the digest that the live policy just verified. */
function findByDigest({ digest }: Key, { candidate, samePepper }: ShadowPair): Key | undefined {
  return digest.kind === "hmac-sha256" && !samePepper ? undefined : candidate.keys.findByDigest(digest);
}

/** Whether the live policy has tried the credential on all of these digests, and so knows that none fits. */
function wereTried(credential: string, candidates: readonly Key[], { live }: ShadowPair): boolean {
  return candidates.every(({ digest }) => {
    const prefix = live.keys.findByDigest(digest)?.prefix;
    return prefix !== undefined && credential.startsWith(prefix);
  });
}
