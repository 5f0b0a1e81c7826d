import type { DenialReason } from "../policy/decision.ts";
import type { RequestFacts } from "../policy/facts.ts";
import type { Key } from "../policy/key.ts";
import type { Policy } from "../policy/policy.ts";
import type { Route, Source } from "../policy/route.ts";
import type { Segments } from "../policy/target.ts";
import type { Settled } from "../proxy/gateway.ts";
import type { Sources } from "./explain-sources.ts";

/** The checks a request goes through, in the order in which they are made. */
export const CHECKS = [
  "target",
  "https",
  "route",
  "credential",
  "format",
  "key",
  "status",
  "scope",
  "read-only",
  "address",
  "limits",
  "forward",
] as const;

export type Check = (typeof CHECKS)[number];

/**
 * `unmatched` is a route that does not exist: told only to the holder of a valid key, so the checks of
 * the key come first. `skipped` is a check that a public route does not make.
 */
export type CheckState = "passed" | "refused" | "unmatched" | "skipped" | "not reached";

export interface CheckResult {
  readonly check: Check;
  readonly state: CheckState;
  readonly detail: string;
  /** The line of config that decided; undefined where a default did. */
  readonly source: Source | undefined;
}

/** The check that each refusal comes from. Those of `forward` are found out only while forwarding. */
export const CHECK_OF: Record<DenialReason, Check> = {
  request_invalid: "target",
  headers_too_large: "target",
  request_timeout: "target",
  draining: "target",
  target_invalid: "target",
  https_required: "https",
  route_unknown: "route",
  credential_missing: "credential",
  credential_ambiguous: "credential",
  credential_in_url: "credential",
  credential_malformed: "format",
  environment_mismatch: "format",
  region_mismatch: "format",
  key_unknown: "key",
  failures_exceeded: "key",
  key_revoked: "status",
  key_expired: "status",
  key_not_yet_valid: "status",
  key_suspended: "status",
  scope_insufficient: "scope",
  key_read_only: "read-only",
  address_denied: "address",
  rate_limited: "limits",
  overloaded: "limits",
  body_too_large: "forward",
  upstream_unreachable: "forward",
  upstream_invalid: "forward",
  upstream_timeout: "forward",
  key_conflict: "forward",
  key_not_found: "forward",
  keys_not_writable: "forward",
  internal_error: "forward",
};

/** What is known of the request beside its decision; every check's detail is taken from it. */
export interface Known {
  readonly facts: RequestFacts;
  readonly policy: Policy;
  readonly decision: Settled;
  readonly route: Route | undefined;
  readonly key: Key | undefined;
  readonly segments: Segments;
  readonly sources: Sources;
}
