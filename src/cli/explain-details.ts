import { type CredentialRules, findUrlCredentials, readCredential } from "../policy/credential.ts";
import type { Denial, DenialReason } from "../policy/decision.ts";
import { matchKeyFormat } from "../policy/key-format.ts";
import { neededScopes } from "../policy/match-route.ts";
import type { NetworkSet } from "../policy/network.ts";
import type { Policy } from "../policy/policy.ts";
import type { Route, Source } from "../policy/route.ts";
import type { Check, CheckResult, Known } from "./checks.ts";
import type { Sources } from "./explain-sources.ts";
import { toInstant } from "./instant.ts";

type Told = Pick<CheckResult, "detail" | "source">;
/** `denial` is set where this check is the one that refused. */
type Describe = (known: Known, denial: Denial | undefined) => Told;

const DESCRIPTIONS: Record<Check, Describe> = {
  target: ({ sources }, denial) =>
    denial === undefined ? tell("one way to read it") : tell(detailOf(denial), sourceOfTarget(denial, sources)),
  https: ({ policy, sources }, denial) => {
    const source = sources.inMain("listen", "https");
    if (!policy.httpsRequired) return tell("not required", source);
    return tell(denial === undefined ? "required, and used" : "required, and this request came in plain text", source);
  },
  route: describeRoute,
  credential: describeCredential,
  format: describeFormat,
  key: describeKey,
  status: describeStatus,
  scope: describeScope,
  "read-only": ({ key, facts, sources }, denial) => {
    const can = key?.readOnly === true ? "may only read, and does" : "may write";
    const detail = denial === undefined ? `the key ${can}` : `the key may only read, and ${facts.method} writes`;
    return tell(detail, key && sources.inKey(key, "readOnly"));
  },
  address: describeAddress,
  limits: describeLimits,
  forward: ({ sources }, denial) => {
    if (denial === undefined) return tell("nothing stands in its way", sources.inMain("upstream"));
    return tell(detailOf(denial), denial.reason === "body_too_large" ? sources.inMain("listen", "maxBody") : undefined);
  },
};

/** A request that is none is refused whatever the config says. */
function sourceOfTarget({ reason }: Denial, sources: Sources): Source | undefined {
  switch (reason) {
    case "target_invalid":
      return sources.inMain("paths");
    case "headers_too_large":
      return sources.inMain("listen");
    default:
      return undefined;
  }
}

/** What a check that was made found, in words, and the line of config it went by. Never the credential. */
export function describeCheck(check: Check, refused: boolean, known: Known): Told {
  const { decision } = known;
  return DESCRIPTIONS[check](known, refused && decision.kind === "deny" ? decision : undefined);
}

function tell(detail: string, source?: Source): Told {
  return { detail, source };
}

function detailOf({ detail, reason }: Denial): string {
  return detail === "" ? reason.replaceAll("_", " ") : detail;
}

function describeRoute({ route, sources }: Known, denial: Denial | undefined): Told {
  if (route !== undefined) return tell(`${route.match} (${describeAccess(route)})`, route.source);
  const told = denial === undefined ? "; only the holder of a valid key is told so" : "";
  const known = denial === undefined || denial.detail === "" ? `no route matches${told}` : denial.detail;
  return tell(known, sources.inMain("routes"));
}

function describeAccess({ access }: Route): string {
  if (access.kind !== "scopes") return access.kind === "public" ? "public" : "any valid key";
  return `${access.need === "any" ? "any of " : ""}${access.scopes.map(({ text }) => text).join(", ")}`;
}

function describeCredential({ facts, policy, sources }: Known, denial: Denial | undefined): Told {
  const { credentials } = policy;
  const source = sources.inMain("credentials", "locations");
  switch (denial?.reason) {
    case undefined: {
      const presented = readCredential(facts.rawHeaders, credentials);
      return tell(presented.kind === "one" ? `in the ${presented.location.label}` : "", source);
    }
    case "credential_missing":
      return tell(`no key in the ${credentials.locations.map(({ label }) => label).join(" or the ")}`, source);
    case "credential_ambiguous":
      return tell("two different keys were presented", source);
    default: {
      const names = urlParameters(facts.target, credentials, policy).join(", ");
      return tell(`a key stands in the URL, in ${names}`, sources.inMain("credentials", "inUrl"));
    }
  }
}

function urlParameters(target: string, rules: CredentialRules, policy: Policy): readonly string[] {
  const mark = target.indexOf("?");
  const looksLikeKey = (text: string) => (matchKeyFormat(text, policy.keyFormats)?.format.prefix.length ?? 0) >= 2;
  return mark === -1 ? [] : [...findUrlCredentials(target.slice(mark + 1), rules, looksLikeKey)];
}

function describeFormat({ facts, policy, sources }: Known, denial: Denial | undefined): Told {
  const formats = policy.keyFormats;
  const source = sources.inMain("keyFormats");
  if (denial?.reason === "credential_malformed") {
    return tell(formats.length === 0 ? "no key looks like this" : "the key fits none of the key formats", source);
  }
  const presented = readCredential(facts.rawHeaders, policy.credentials);
  const match = presented.kind === "one" ? matchKeyFormat(presented.credential, formats) : undefined;
  const named = [...(match?.segments ?? [])].map(([name, value]) => `${name} ${value}`).join(", ");
  if (denial !== undefined) {
    const accepted = [...policy.accept].map(([name, values]) => `${name} ${[...values].join(" or ")}`).join(", ");
    return tell(`the key says ${named}; accepted here: ${accepted}`, sources.inMain("accept"));
  }
  if (match === undefined) return tell("no key formats are set, so any text may be a key", source);
  return tell(`${match.format.text}${named === "" ? "" : ` (${named})`}`, source);
}

function describeKey({ key, policy, sources }: Known, denial: Denial | undefined): Told {
  if (denial?.reason === "failures_exceeded") {
    return tell("too many refused keys came from this address", sources.inMain("limits", "failures"));
  }
  if (denial !== undefined) {
    return tell(`it is none of the ${policy.keys.size} keys there are`, sources.inMain("keys"));
  }
  return tell(key === undefined ? "" : `${key.id}, by its ${key.digest.kind} digest`, key?.source);
}

const STATUS_FIELDS: Partial<Record<DenialReason, string>> = {
  key_revoked: "status",
  key_suspended: "status",
  key_expired: "expiresAt",
  key_not_yet_valid: "notBefore",
};

function describeStatus({ key, sources }: Known, denial: Denial | undefined): Told {
  if (key === undefined) return tell("");
  const until = key.expiresAtMs === undefined ? "never expires" : `expires ${toInstant(key.expiresAtMs)}`;
  const from = key.notBeforeMs === undefined ? "" : `, valid from ${toInstant(key.notBeforeMs)}`;
  const status = denial === undefined ? key.status : denial.reason.replace(/^key_/, "").replaceAll("_", " ");
  const field = (denial && STATUS_FIELDS[denial.reason]) ?? "status";
  return tell(`${status}; ${until}${from}`, sources.inKey(key, field));
}

function describeScope({ route, key, facts, segments, policy, sources }: Known, denial: Denial | undefined): Told {
  if (route === undefined || key === undefined) return tell("");
  if (route.access.kind !== "scopes") return tell("the route takes any valid key", route.source);
  const source = sources.inKey(key, "scopes");
  const held = key.scopes.length === 0 ? "no scope" : key.scopes.join(", ");
  const needed = neededScopes(route, facts.method, segments, policy);
  const asked = needed.join(route.access.need === "any" ? " or " : " and ");
  if (denial !== undefined)
    return tell(`needs ${asked}; the key holds ${held}, and lacks ${denial.scopes.join(", ")}`, source);
  return tell(`needs ${asked}; the key holds ${held}`, source);
}

function describeAddress({ facts, key, route, sources }: Known, denial: Denial | undefined): Told {
  const { clientAddress } = facts;
  const lists: readonly (readonly [owner: string, networks: NetworkSet | undefined, source: Source | undefined])[] = [
    ["key", key?.networks, key && sources.inKey(key, "allowIps")],
    ["route", route?.networks, route?.source],
  ];
  const [owner, networks, source] =
    lists.find(([, set]) => set !== undefined && (denial === undefined || !set.contains(clientAddress))) ?? [];
  if (networks === undefined) return tell(`${clientAddress.text}, and any address may`);
  const ranges = `${networks.ranges.join(", ")}, where the ${owner} may be used from`;
  return tell(`${clientAddress.text} is ${denial === undefined ? "" : "not "}in ${ranges}`, source);
}

function describeLimits({ decision, key, route, sources }: Known, denial: Denial | undefined): Told {
  const { quotas } = decision;
  const ofKey = key === undefined || !sources.hasField(key, "limits") ? undefined : sources.inKey(key, "limits");
  const ofDefault = key === undefined ? undefined : (sources.inMain("limits", "default") ?? sources.inMain("limits"));
  const source = ofKey ?? (key !== undefined && key.limits.length > 0 ? ofDefault : route?.source);
  if (quotas.length === 0) return tell(denial === undefined ? "none apply" : detailOf(denial), source);
  const left = quotas.map(({ limit, remaining }) => `${limit.name}: ${remaining} of ${limit.capacity} left`).join("; ");
  return tell(denial === undefined ? left : `${left}; enough again in ${denial.retryAfterSeconds} s`, source);
}
