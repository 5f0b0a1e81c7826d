import type { DenialResponse } from "../proxy/denial-response.ts";
import type { Generation } from "../proxy/generation.ts";
import { APP_OVERRIDES, METHOD_OVERRIDES } from "../proxy/header-rules.ts";
import { carriesCredential } from "../proxy/request-headers.ts";
import type { Contract } from "./described-request.ts";
import { unremovableHeaders } from "./unremovable-headers.ts";

/** An answer as the asking gateway understands it, and the status that its client will see. */
export interface ContractAnswer {
  readonly answer: DenialResponse;
  readonly clientStatus: number;
}

// Envoy lets only exactly 200 pass; the others take any 2xx.
const ALLOWED = 200;
// What every gateway reads as a refusal, whatever it makes of other statuses.
const REFUSED = 403;

/** The answer that lets a request pass: what its upstream is to be told, as headers. */
export function toAllowedAnswer(headers: readonly string[]): DenialResponse {
  // A decision counts for one request: no gateway may keep it for the next.
  return { status: ALLOWED, headers: [...headers, "Content-Length", "0", "Cache-Control", "no-store"], body: "" };
}

/** The data plane's own denial, but for statuses that the gateway would not take for one. */
export function toDeniedAnswer(
  denial: DenialResponse,
  contract: Contract | undefined,
  compat: boolean,
): ContractAnswer {
  if (compat) return { answer: toNginx(denial), clientStatus: denial.status };
  // 5xx is an authoriser that fails, and lets the request pass where `failure_mode_allow` is set.
  if (contract === "envoy" && denial.status >= 500) {
    const headers = [...denial.headers, "X-Auth-Status", String(denial.status)];
    return { answer: { ...denial, status: REFUSED, headers }, clientStatus: REFUSED };
  }
  return { answer: denial, clientStatus: denial.status };
}

/** nginx knows 401 and 403 and drops bodies, so what the client is to get stands in headers. */
function toNginx({ status, headers, body }: DenialResponse): DenialResponse {
  const lines: string[] = [];
  const challenges: string[] = [];
  let retryAfter: string | undefined;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? "";
    const value = headers[index + 1] ?? "";
    // A list field (RFC 9110 §11.6.1): nginx before 1.23 hands on the first of several lines only.
    if (name === "WWW-Authenticate") challenges.push(value);
    else lines.push(name, value);
    if (name === "Retry-After") retryAfter = value;
  }
  // Of a 401 nginx hands it on by itself, and would a second time if told to.
  if (challenges.length > 0) {
    lines.push(status === 401 ? "WWW-Authenticate" : "X-Auth-Challenge", challenges.join(", "));
  }
  lines.push("X-Auth-Status", String(status), "X-Auth-Body", toHeaderText(body));
  if (retryAfter !== undefined) lines.push("X-Auth-Retry-After", retryAfter);
  return { status: status === 401 ? status : REFUSED, headers: lines, body };
}

/** A JSON text with the same meaning in visible ASCII, which is all that every reader of a header takes alike. */
function toHeaderText(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Identity headers without a value. Answered empty: a gateway that takes over what an answer has would leave a
 * client's own copy where it has nothing (GHSA-7r4p-vjf4-gxv4), and one that deletes first sees no difference.
 */
export function findAbsent(identity: readonly string[], generation: Generation): readonly string[] {
  const set = new Set(identity.filter((_, index) => index % 2 === 0));
  return unremovableHeaders(generation).reserved.filter((name) => !set.has(name));
}

/**
 * `x-envoy-auth-headers-to-remove`: identity headers without a value, what makes an app take the request for
 * another, and the credential, unless the upstream is to see it.
 */
export function toRemovals(
  absent: readonly string[],
  rawHeaders: readonly string[],
  allowMethodOverride: boolean,
  generation: Generation,
): readonly string[] {
  const removed = [...absent.map((name) => name.toLowerCase()), ...APP_OVERRIDES];
  if (!allowMethodOverride) removed.push(...METHOD_OVERRIDES);
  if (!generation.configuration.policy.credentials.forward) removed.push(...credentialNames(rawHeaders, generation));
  return ["x-envoy-auth-headers-to-remove", [...new Set(removed)].join(", ")];
}

function credentialNames(rawHeaders: readonly string[], generation: Generation): readonly string[] {
  const names: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    const isPlace = generation.headerRules.classify(name) === "credential";
    if (isPlace && carriesCredential(name, rawHeaders[index + 1] ?? "", generation)) names.push(name.toLowerCase());
  }
  return names;
}
