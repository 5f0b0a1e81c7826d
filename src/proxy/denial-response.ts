import type { DenialSettings, DenialVariable, JsonTemplate } from "../config/settings.ts";
import { fillTemplate, parseTemplate, type Template } from "../config/template.ts";
import { findShort } from "../policy/bucket.ts";
import type { CredentialRules } from "../policy/credential.ts";
import type { Denial, DenialReason } from "../policy/decision.ts";
import { DENIALS } from "./denial-table.ts";

/** The complete answer to a denial, before any connection-level header. */
export interface DenialResponse {
  readonly status: number;
  /** Flat header lines. */
  readonly headers: readonly string[];
  readonly body: string;
}

interface DenialFields {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly lookUp: (name: string) => string | undefined;
}

const DEFAULT_MESSAGES = new Map<DenialReason, Template>();
const NUMERIC_FIELDS: ReadonlySet<string> = new Set(["status", "retryAfter"]);
// Registered by draft-ietf-httpapi-ratelimit-headers §6.
const QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const PROBLEM_MEDIA_TYPE = "application/problem+json";
const JSON_MEDIA_TYPE = "application/json; charset=utf-8";

/** Renders a denial in the configured envelope. Pure: `explain` prints the very answer a client gets. */
export function toDenialResponse(
  actual: Denial,
  requestId: string,
  settings: DenialSettings,
  credentials: CredentialRules,
): DenialResponse {
  const denial = toShown(actual, settings);
  const fields = toFields(denial, requestId, settings, credentials);
  const body = JSON.stringify(toBody(denial, fields, requestId, settings));
  const headers = [
    "Content-Type",
    settings.body.kind === "problem" ? PROBLEM_MEDIA_TYPE : JSON_MEDIA_TYPE,
    "Content-Length",
    String(Buffer.byteLength(body)),
    // A refusal depends on who asks and on the moment; no cache may keep it.
    "Cache-Control",
    "no-store",
  ];
  for (const challenge of toChallenges(denial, fields.status, settings.realm, credentials)) {
    headers.push("WWW-Authenticate", challenge);
  }
  if (denial.retryAfterSeconds !== undefined) headers.push("Retry-After", String(denial.retryAfterSeconds));
  return { status: fields.status, headers, body };
}

/** A malformed key is shown as an unknown one, code and all, unless the config words it otherwise: which it was is for the log. */
function toShown(denial: Denial, { reasons }: DenialSettings): Denial {
  return denial.reason === "credential_malformed" && !reasons.has(denial.reason)
    ? { ...denial, reason: "key_unknown" }
    : denial;
}

function toFields(
  denial: Denial,
  requestId: string,
  settings: DenialSettings,
  credentials: CredentialRules,
): DenialFields {
  const override = settings.reasons.get(denial.reason);
  const status = override?.status ?? DENIALS[denial.reason].status;
  const code = override?.code ?? denial.reason;
  const base = (name: string): string | undefined => {
    switch (name) {
      case "reason":
        return denial.reason;
      case "code":
        return code;
      case "status":
        return String(status);
      case "scopes":
        return denial.scopes.join(", ");
      case "retryAfter":
        return denial.retryAfterSeconds === undefined ? "" : String(denial.retryAfterSeconds);
      case "requestId":
        return requestId;
      case "location":
        return credentials.locations.map(({ label }) => label).join(" or the ");
      default:
        return variableOf(settings.variables.get(name), denial) ?? denial.segments.get(name);
    }
  };
  const message = fillTemplate(override?.message ?? defaultMessage(denial.reason), base);
  return { status, code, message, lookUp: (name) => (name === "message" ? message : base(name)) };
}

function defaultMessage(reason: DenialReason): Template {
  let template = DEFAULT_MESSAGES.get(reason);
  if (template === undefined) {
    template = parseTemplate(DENIALS[reason].message);
    DEFAULT_MESSAGES.set(reason, template);
  }
  return template;
}

function variableOf(variable: DenialVariable | undefined, denial: Denial): string | undefined {
  if (variable === undefined) return undefined;
  return variable.values.get(denial.segments.get(variable.segment) ?? "") ?? variable.fallback;
}

type Json = string | number | boolean | null | readonly Json[] | { readonly [member: string]: Json };

function toBody(denial: Denial, fields: DenialFields, requestId: string, settings: DenialSettings): Json {
  switch (settings.body.kind) {
    case "problem":
      return toProblem(denial, fields, requestId);
    case "flat":
      return { error: fields.code, message: fields.message };
    case "nested":
      return { error: { code: fields.code, message: fields.message } };
    case "template":
      return fillJson(settings.body.template, fields);
    default:
      return settings.body satisfies never;
  }
}

/** RFC 9457, with the reason's code, the request id and what the reason knows as extension members. */
function toProblem(denial: Denial, fields: DenialFields, requestId: string): Json {
  const limited = denial.reason === "rate_limited";
  return {
    type: limited ? QUOTA_EXCEEDED : "about:blank",
    title: DENIALS[denial.reason].title,
    status: fields.status,
    detail: fields.message,
    code: fields.code,
    ...(denial.reason === "scope_insufficient" ? { scopes: denial.scopes } : {}),
    ...(limited
      ? { "violated-policies": findShort(denial.quotas, denial.route?.cost ?? 1).map(({ name }) => name) }
      : {}),
    requestId,
  };
}

function fillJson(template: JsonTemplate, fields: DenialFields): Json {
  switch (template.kind) {
    case "literal":
      return template.value;
    case "array":
      return template.items.map((item) => fillJson(item, fields));
    case "object":
      return Object.fromEntries(template.members.map(([name, member]) => [name, fillJson(member, fields)]));
    case "string": {
      const filled = fillTemplate(template.template, fields.lookUp);
      const [only, ...more] = template.template.parts;
      const numeric = only?.kind === "field" && more.length === 0 && NUMERIC_FIELDS.has(only.name);
      if (!numeric) return filled;
      return filled === "" ? null : Number(filled);
    }
    default:
      return template satisfies never;
  }
}

/** RFC 6750 §3.1: nothing is said of an error when no credential was presented. */
const BEARER_ERRORS: Partial<Record<DenialReason, string>> = {
  credential_ambiguous: "invalid_request",
  credential_in_url: "invalid_request",
  credential_malformed: "invalid_token",
  key_unknown: "invalid_token",
  key_revoked: "invalid_token",
  key_expired: "invalid_token",
  key_not_yet_valid: "invalid_token",
  scope_insufficient: "insufficient_scope",
};

/** Refusals of a key that are no challenge of their own, but that a config may answer like an unknown key. */
const DISGUISED: ReadonlySet<DenialReason> = new Set(["environment_mismatch", "region_mismatch", "key_suspended"]);

/** Every 401 carries a challenge for each place a key may stand in (RFC 9110 §11.6.1). */
function toChallenges(denial: Denial, status: number, realm: string, credentials: CredentialRules): readonly string[] {
  const disguise = status === 401 && DISGUISED.has(denial.reason) ? "invalid_token" : undefined;
  const error = BEARER_ERRORS[denial.reason] ?? disguise;
  if (status !== 401 && error === undefined) return [];
  return credentials.locations.map(({ name, header, scheme }) => {
    // There is no registered scheme for a key in a header of its own; this one says where it goes.
    const start =
      scheme === undefined
        ? `ApiKey realm="${realm}", header="${name}"`
        : `${header === "authorization" ? toSchemeName(scheme) : "ApiKey"} realm="${realm}"`;
    const scope = error === "insufficient_scope" ? `, scope="${denial.scopes.join(" ")}"` : "";
    return error === undefined ? start : `${start}, error="${error}"${scope}`;
  });
}

function toSchemeName(scheme: string): string {
  return scheme.charAt(0).toUpperCase() + scheme.slice(1);
}
