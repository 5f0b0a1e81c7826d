import type { RequestFacts } from "../policy/facts.ts";
import { matchRoute } from "../policy/match-route.ts";
import type { Policy } from "../policy/policy.ts";
import type { Route } from "../policy/route.ts";
import { judgeTarget } from "../policy/target.ts";
import type { Settled } from "../proxy/gateway.ts";
import { CHECKS, type Check, type CheckResult, type CheckState, type Known } from "./checks.ts";
import { describeCheck } from "./explain-details.ts";
import type { Sources } from "./explain-sources.ts";

// A public route looks at no key.
const KEY_CHECKS: ReadonlySet<Check> = new Set(["credential", "format", "key", "status", "scope", "read-only"]);

/** Tells a decision check by check. `refusedBy` is the check that refused, undefined when none did. */
export function traceChecks(
  facts: RequestFacts,
  policy: Policy,
  decision: Settled,
  refusedBy: Check | undefined,
  sources: Sources,
): readonly CheckResult[] {
  const target = judgeTarget(facts.target, policy.paths);
  const segments = target.kind === "target" ? (target.readings[0] ?? []) : [];
  const matched = target.kind === "target" ? matchRoute(target, facts.method, policy) : "ambiguous";
  const route = matched === "ambiguous" ? undefined : matched.route;
  const known: Known = { facts, policy, decision, route, key: decision.principal?.key, segments, sources };
  return CHECKS.map((check) => {
    const state = toState(check, refusedBy, route);
    if (state === "not reached") return { check, state, detail: "", source: undefined };
    if (state === "skipped") return { check, state, detail: "the route is public", source: undefined };
    return { check, state, ...describeCheck(check, state === "refused", known) };
  });
}

function toState(check: Check, refusedBy: Check | undefined, route: Route | undefined): CheckState {
  const place = placeOf(check, route);
  const end = refusedBy === undefined ? CHECKS.length : placeOf(refusedBy, route);
  if (check === refusedBy) return "refused";
  if (check === "route" && route === undefined) return end > CHECKS.indexOf("route") ? "unmatched" : "not reached";
  if (place > end) return "not reached";
  return route?.access.kind === "public" && KEY_CHECKS.has(check) ? "skipped" : "passed";
}

/** A route that does not exist is told after the key's status, and before its scopes. */
function placeOf(check: Check, route: Route | undefined): number {
  const place = CHECKS.indexOf(check);
  return check === "route" && route === undefined ? CHECKS.indexOf("status") + 0.5 : place;
}
