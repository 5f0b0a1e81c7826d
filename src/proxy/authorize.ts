import { decide } from "../policy/decide.ts";
import { type Denial, type DenialReason, deny, type NeedsVerification } from "../policy/decision.ts";
import type { RequestFacts } from "../policy/facts.ts";
import type { KeyIndex } from "../policy/key.ts";
import type { Policy, PolicyState } from "../policy/policy.ts";
import type { Clock } from "./clock.ts";
import type { Settled, SlowVerifier } from "./gateway.ts";

/** What a decision needs of the process around it. */
export interface Authorizer {
  readonly state: PolicyState;
  readonly clock: Pick<Clock, "now">;
  readonly verifier: SlowVerifier;
}

/**
 * Decides a request, resolving a slow hash where one is needed. Synchronous whenever nothing is slow.
 * An exception anywhere denies: a broken invariant must never forward.
 */
export function authorize(facts: RequestFacts, policy: Policy, authorizer: Authorizer): Settled | Promise<Settled> {
  try {
    const decision = decide(facts, policy, authorizer.state, authorizer.clock.now());
    return decision.kind === "verify" ? settle(facts, policy, authorizer, decision) : decision;
  } catch (error) {
    return denyBroken(error);
  }
}

async function settle(
  facts: RequestFacts,
  policy: Policy,
  authorizer: Authorizer,
  asked: NeedsVerification,
): Promise<Settled> {
  try {
    const verification = await authorizer.verifier.verify(asked);
    const { isCounted } = asked;
    const decision = decide(facts, policy, authorizer.state, authorizer.clock.now(), { ...verification, isCounted });
    return decision.kind === "verify" ? denyBroken("a verified credential asked for verification") : decision;
  } catch (error) {
    return denyBroken(error);
  }
}

// A slow hash of cost 10 takes some 50 to 100 ms, each step of cost twice that. Refusals of credentials that
// might have needed one all leave on the same grid, so a known prefix cannot be told from an unknown one by
// the clock. A grid that a hash outlasts would tell.
const REFUSAL_GRID_MS = 250;
const GRID_COST = 10;
// With them those of verified keys that a config may word as if the key were unknown.
const HELD_BACK: ReadonlySet<DenialReason> = new Set([
  "credential_malformed",
  "key_unknown",
  "key_revoked",
  "key_expired",
  "key_not_yet_valid",
  "key_suspended",
]);

/** How long to hold a refusal back, given the time since the request came; 0 where no key is slow-hashed. */
export function holdBackMs(decision: Settled, policy: Policy, elapsedMs: number): number {
  if (decision.kind !== "deny" || policy.keys.slowPrefixLengths.length === 0) return 0;
  if (!HELD_BACK.has(decision.reason)) return 0;
  const gridMs = gridOf(policy.keys);
  return gridMs - (elapsedMs % gridMs);
}

/** As much time as the prefix takes that is the most work to verify: all keys that share it are tried. */
function gridOf({ slowRounds }: KeyIndex): number {
  return REFUSAL_GRID_MS * 2 ** Math.ceil(Math.log2(Math.max(1, slowRounds / 2 ** GRID_COST)));
}

/** The denial for what must not happen. Whatever broke, the upstream hears nothing more of this request. */
export function denyBroken(error: unknown): Denial {
  return deny("internal_error", { detail: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
