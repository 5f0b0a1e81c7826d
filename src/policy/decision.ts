import type { Quota } from "./bucket.ts";
import type { Key } from "./key.ts";
import type { Principal } from "./principal.ts";
import type { Route } from "./route.ts";
import type { JudgedTarget } from "./target.ts";

/** Every reason a request can be refused for: the closed list that config, metrics, logs and docs share. */
export const DENIAL_REASONS = [
  "target_invalid",
  "request_invalid",
  "headers_too_large",
  "request_timeout",
  "https_required",
  "credential_missing",
  "credential_ambiguous",
  "credential_in_url",
  "credential_malformed",
  "environment_mismatch",
  "region_mismatch",
  "key_unknown",
  "failures_exceeded",
  "key_revoked",
  "key_expired",
  "key_not_yet_valid",
  "key_suspended",
  "route_unknown",
  "scope_insufficient",
  "key_read_only",
  "address_denied",
  "rate_limited",
  "body_too_large",
  "upstream_unreachable",
  "upstream_invalid",
  "upstream_timeout",
  "draining",
  "overloaded",
  "key_not_found",
  "key_conflict",
  "keys_not_writable",
  "internal_error",
] as const;

export type DenialReason = (typeof DENIAL_REASONS)[number];

/** What `decide` learnt before it refused. Fields a refusal does not concern hold their empty value. */
export interface DenialContext {
  readonly route: Route | undefined;
  /** Set only after the full credential was verified, so that nothing before that can be told apart. */
  readonly principal: Principal | undefined;
  /** Set with the principal, for who decides the same request again. */
  readonly target: JudgedTarget | undefined;
  /** Text for the operator's log; it never reaches the client. */
  readonly detail: string;
  /** Scopes the key lacks. */
  readonly scopes: readonly string[];
  /** Named segments read from the credential's own text, such as its environment. */
  readonly segments: ReadonlyMap<string, string>;
  /** Whole seconds, at least 1, after which one retry succeeds. */
  readonly retryAfterSeconds: number | undefined;
  readonly quotas: readonly Quota[];
}

/** A refusal, answered by Latchkey; the upstream never hears of it. */
export interface Denial extends DenialContext {
  readonly kind: "deny";
  readonly reason: DenialReason;
}

/** The permit the forwarder asks for. Only `decide` makes one. */
export interface Allowed {
  readonly kind: "allow";
  readonly route: Route;
  /** Absent on a public route. */
  readonly principal: Principal | undefined;
  /** Absent with the principal. */
  readonly target: JudgedTarget | undefined;
  readonly quotas: readonly Quota[];
}

/**
 * The credential's prefix belongs to slow-hashed keys and nobody has verified it yet. The caller
 * verifies it off the event loop and calls `decide` again with the outcome.
 */
export interface NeedsVerification {
  readonly kind: "verify";
  readonly credential: string;
  readonly candidates: readonly Key[];
  /** Whether its address was charged for a failure, to be given back unless it is one. */
  readonly isCounted: boolean;
}

export type Decision = Allowed | Denial | NeedsVerification;

const NOTHING_LEARNT: DenialContext = {
  route: undefined,
  principal: undefined,
  target: undefined,
  detail: "",
  scopes: [],
  segments: new Map(),
  retryAfterSeconds: undefined,
  quotas: [],
};

/** Builds a denial; every denial has the same shape, whatever it knows. */
export function deny(reason: DenialReason, context: Partial<DenialContext> = {}): Denial {
  return { kind: "deny", reason, ...NOTHING_LEARNT, ...context };
}
