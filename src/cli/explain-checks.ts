import { type CredentialRules, findUrlCredentials, readCredential } from "../policy/credential.ts";
import type { DenialReason } from "../policy/decision.ts";
import type { RequestFacts } from "../policy/facts.ts";
import type { Key } from "../policy/key.ts";
import { matchKeyFormat } from "../policy/key-format.ts";
import type { NetworkSet } from "../policy/network.ts";
import type { Policy } from "../policy/policy.ts";
import { findRoute, type Route, type Source, toScope } from "../policy/route.ts";
import { judgeTarget, type Segments } from "../policy/target.ts";
import type { Settled } from "../proxy/gateway.ts";

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

/** Where a field of the main file stands; undefined when it was left out. */
export type FindSource = (...path: readonly string[]) => Source | undefined;

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

// A public route looks at no key.
const KEY_CHECKS: ReadonlySet<Check> = new Set(["credential", "format", "key", "status", "scope", "read-only"]);

/** What is known of the request beside its decision; every check's detail is taken from it. */
interface Known {
  readonly facts: RequestFacts;
  readonly policy: Policy;
  readonly decision: Settled;
  readonly route: Route | undefined;
  readonly key: Key | undefined;
  readonly segments: Segments;
  readonly findSource: FindSource;
}

/** Tells a decision check by check. `refusedBy` is the check that refused, undefined when none did. */
export function traceChecks(
  facts: RequestFacts,
  policy: Policy,
  decision: Settled,
  refusedBy: Check | undefined,
  findSource: FindSource,
): readonly CheckResult[] {
  const target = judgeTarget(facts.target, policy.paths);
  const segments = target.kind === "target" ? (target.readings[0] ?? []) : [];
  const route = target.kind === "target" ? findRoute(policy.routes, facts.method, segments) : undefined;
  const known: Known = { facts, policy, decision, route, key: decision.principal?.key, segments, findSource };
  return CHECKS.map((check) => {
    const state = toState(check, refusedBy, route);
    return { check, state, ...describe(check, state, known) };
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

type Told = Pick<CheckResult, "detail" | "source">;

function describe(check: Check, state: CheckState, known: Known): Told {
  if (state === "not reached") return tell("");
  if (state === "skipped") return tell("the route is public");
  return DESCRIPTIONS[check](known, state === "refused");
}

function tell(detail: string, source?: Source): Told {
  return { detail, source };
}

const DESCRIPTIONS: Record<Check, (known: Known, refused: boolean) => Told> = {
  target: ({ decision, findSource }, refused) =>
    refused ? tell(detailOf(decision), findSource("paths")) : tell("one way to read it"),
  https: ({ facts, policy, findSource }, refused) => {
    const source = findSource("listen", "https");
    if (!policy.httpsRequired) return tell("not required", source);
    return tell(
      refused ? "required, and this request came in plain text" : `required${facts.secure ? ", and used" : ""}`,
      source,
    );
  },
  route: describeRoute,
  credential: describeCredential,
  format: describeFormat,
  key: describeKey,
  status: describeStatus,
  scope: describeScope,
  "read-only": ({ key, facts }, refused) =>
    tell(
      refused ? `the key may only read, and ${facts.method} writes` : key?.readOnly ? "reading" : "the key may write",
      key?.source,
    ),
  address: describeAddress,
  limits: describeLimits,
  forward: ({ decision, findSource }, refused) =>
    tell(refused ? detailOf(decision) : "to the upstream", findSource("upstream")),
};

function detailOf(decision: Settled): string {
  if (decision.kind === "allow") return "";
  return decision.detail === "" ? decision.reason.replaceAll("_", " ") : decision.detail;
}

function describeRoute({ route, findSource }: Known): Told {
  if (route === undefined)
    return tell("no route matches; only the holder of a valid key is told so", findSource("routes"));
  return tell(`${route.match} (${describeAccess(route)})`, route.source);
}

function describeAccess({ access }: Route): string {
  if (access.kind !== "scopes") return access.kind === "public" ? "public" : "any valid key";
  return `${access.need === "any" ? "any of " : ""}${access.scopes.map(({ text }) => text).join(", ")}`;
}

function describeCredential({ facts, policy, decision, findSource }: Known, refused: boolean): Told {
  const { credentials } = policy;
  const source = findSource("credentials");
  if (refused && decision.kind === "deny") {
    switch (decision.reason) {
      case "credential_missing":
        return tell(`no key in the ${credentials.locations.map(({ label }) => label).join(" or the ")}`, source);
      case "credential_ambiguous":
        return tell("two different keys were presented", source);
      default:
        return tell(`a key stands in the URL: ${urlParameters(facts.target, credentials, policy).join(", ")}`, source);
    }
  }
  const presented = readCredential(facts.rawHeaders, credentials);
  return tell(presented.kind === "one" ? presented.location.label : "", source);
}

function urlParameters(target: string, rules: CredentialRules, policy: Policy): readonly string[] {
  const mark = target.indexOf("?");
  const looksLikeKey = (text: string) => matchKeyFormat(text, policy.keyFormats) !== undefined;
  return mark === -1 ? [] : [...findUrlCredentials(target.slice(mark + 1), rules, looksLikeKey)];
}

function describeFormat({ facts, policy, decision, findSource }: Known, refused: boolean): Told {
  const formats = policy.keyFormats;
  const source = findSource("keyFormats");
  const presented = readCredential(facts.rawHeaders, policy.credentials);
  const match = presented.kind === "one" ? matchKeyFormat(presented.credential, formats) : undefined;
  const named = [...(match?.segments ?? [])].map(([name, value]) => `${name} ${value}`).join(", ");
  if (refused && decision.kind === "deny" && decision.reason !== "credential_malformed") {
    const accepted = [...policy.accept].map(([name, values]) => `${name} ${[...values].join(" or ")}`).join(", ");
    return tell(`the key says ${named}; accepted here: ${accepted}`, findSource("accept"));
  }
  if (refused) return tell(formats.length === 0 ? "no key looks like this" : "fits none of the key formats", source);
  if (match === undefined) return tell("no key formats are set: any text may be a key", source);
  return tell(`${match.format.text}${named === "" ? "" : ` (${named})`}`, source);
}

function describeKey({ decision, key, policy, findSource }: Known, refused: boolean): Told {
  if (refused && decision.kind === "deny") {
    if (decision.reason === "failures_exceeded") {
      return tell("too many refused keys from this address", findSource("limits", "failures"));
    }
    return tell(`none of the ${policy.keys.all.length} keys has this digest`, findSource("keys"));
  }
  return tell(key === undefined ? "" : `${key.id} (${key.digest.kind})`, key?.source);
}

function describeStatus({ key, decision }: Known, refused: boolean): Told {
  if (key === undefined) return tell("");
  const until = key.expiresAtMs === undefined ? "no expiry" : `expires ${toInstant(key.expiresAtMs)}`;
  const from = key.notBeforeMs === undefined ? "" : `, valid from ${toInstant(key.notBeforeMs)}`;
  const status =
    refused && decision.kind === "deny" ? decision.reason.replace(/^key_/, "").replaceAll("_", " ") : key.status;
  return tell(`${status}; ${until}${from}`, key.source);
}

/** An instant as config files write it. */
export function toInstant(ms: number): string {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}

function describeScope({ route, key, facts, segments, policy, decision }: Known, refused: boolean): Told {
  if (route === undefined || key === undefined) return tell("");
  if (route.access.kind !== "scopes") return tell("the route takes any valid key", route.source);
  const held = key.scopes.length === 0 ? "no scope" : key.scopes.join(", ");
  if (refused && decision.kind === "deny") {
    return tell(`lacks ${decision.scopes.join(", ")}; the key holds ${held}`, key.source);
  }
  const needed = route.access.scopes.map(
    (template) => toScope(template, route, facts.method, segments, policy.actions) ?? template.text,
  );
  return tell(
    `needs ${needed.join(route.access.need === "any" ? " or " : " and ")}; the key holds ${held}`,
    key.source,
  );
}

function describeAddress({ facts, key, route }: Known, refused: boolean): Told {
  const { clientAddress } = facts;
  const lists: readonly (readonly [string, NetworkSet | undefined, Source | undefined])[] = [
    ["key", key?.networks, key?.source],
    ["route", route?.networks, route?.source],
  ];
  if (refused) {
    const [owner, networks, source] = lists.find(([, set]) => set !== undefined && !set.contains(clientAddress)) ?? [];
    return tell(`${clientAddress.text} is not in ${networks?.ranges.join(", ")} of the ${owner}`, source);
  }
  const [owner, networks, source] = lists.find(([, set]) => set !== undefined) ?? [];
  if (networks === undefined) return tell(`${clientAddress.text}; any address may`, undefined);
  return tell(`${clientAddress.text} is in ${networks.ranges.join(", ")} of the ${owner}`, source);
}

function describeLimits({ decision, key, route, findSource }: Known, refused: boolean): Told {
  const { quotas } = decision;
  if (quotas.length === 0) return tell(refused ? detailOf(decision) : "none are set", findSource("limits"));
  const left = quotas.map(({ limit, remaining }) => `${limit.name}: ${remaining} of ${limit.capacity} left`).join("; ");
  const retry = decision.kind === "deny" ? `; retry after ${decision.retryAfterSeconds} s` : "";
  const routeOnly = key === undefined || key.limits.length === 0;
  return tell(`${left}${retry}`, routeOnly ? route?.source : (findSource("limits") ?? key.source));
}
