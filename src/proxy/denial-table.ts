import type { DenialReason } from "../policy/decision.ts";

/** What a client is told of a refusal unless the config says otherwise. Templates; never internal text. */
export interface DenialDefaults {
  readonly status: number;
  /** The problem's `title` (RFC 9457): the same for every occurrence. */
  readonly title: string;
  readonly message: string;
}

export const DENIALS: Record<DenialReason, DenialDefaults> = {
  target_invalid: {
    status: 400,
    title: "Request target refused",
    message: "The request target can be read in more than one way.",
  },
  request_invalid: {
    status: 400,
    title: "Request refused",
    message: "The request is not a well-formed HTTP request that can be forwarded.",
  },
  headers_too_large: {
    status: 431,
    title: "Header fields too large",
    message: "The header fields are too large or too many.",
  },
  request_timeout: { status: 408, title: "Request timeout", message: "The request did not arrive in time." },
  https_required: { status: 403, title: "HTTPS required", message: "This API answers over HTTPS only." },
  credential_missing: {
    status: 401,
    title: "API key missing",
    message: "No API key was presented. Send it in the {location}.",
  },
  credential_ambiguous: {
    status: 400,
    title: "API key ambiguous",
    message: "Two different API keys were presented. Send one.",
  },
  credential_in_url: {
    status: 400,
    title: "API key in the URL",
    message: "An API key must not be sent in the URL. Send it in the {location}, and replace this key.",
  },
  credential_malformed: { status: 401, title: "API key invalid", message: "The API key is not valid." },
  environment_mismatch: {
    status: 403,
    title: "Wrong environment",
    message: "The API key belongs to another environment.",
  },
  region_mismatch: { status: 403, title: "Wrong region", message: "The API key belongs to another region." },
  key_unknown: { status: 401, title: "API key invalid", message: "The API key is not valid." },
  failures_exceeded: {
    status: 429,
    title: "Too many refused API keys",
    message: "Too many invalid API keys came from this address. Try again in {retryAfter} seconds.",
  },
  key_revoked: { status: 401, title: "API key revoked", message: "The API key has been revoked." },
  key_expired: { status: 401, title: "API key expired", message: "The API key has expired." },
  key_not_yet_valid: { status: 401, title: "API key not yet valid", message: "The API key is not valid yet." },
  key_suspended: { status: 403, title: "API key suspended", message: "The API key is suspended." },
  route_unknown: { status: 403, title: "Not permitted", message: "No API key may make this request." },
  scope_insufficient: {
    status: 403,
    title: "Scope insufficient",
    message: "The API key lacks a required scope: {scopes}.",
  },
  key_read_only: { status: 403, title: "API key read-only", message: "The API key may only read." },
  address_denied: {
    status: 403,
    title: "Address not allowed",
    message: "The API key may not be used from this address.",
  },
  rate_limited: {
    status: 429,
    title: "Rate limit exceeded",
    message: "Rate limit exceeded. Try again in {retryAfter} seconds.",
  },
  body_too_large: { status: 413, title: "Body too large", message: "The request body is too large." },
  upstream_unreachable: {
    status: 502,
    title: "Upstream unreachable",
    message: "The service behind this API cannot be reached.",
  },
  upstream_invalid: {
    status: 502,
    title: "Upstream answer invalid",
    message: "The service behind this API did not give a valid answer.",
  },
  upstream_timeout: {
    status: 504,
    title: "Upstream timeout",
    message: "The service behind this API did not answer in time.",
  },
  draining: { status: 503, title: "Shutting down", message: "This instance is shutting down. Try again." },
  overloaded: { status: 503, title: "Overloaded", message: "This instance has too much to do. Try again." },
  key_not_found: { status: 404, title: "No such API key", message: "There is no such API key." },
  key_conflict: {
    status: 409,
    title: "API key in another state",
    message: "The API key is not in a state that allows this.",
  },
  keys_not_writable: {
    status: 503,
    title: "API keys cannot be changed",
    message: "API keys cannot be changed at the moment.",
  },
  internal_error: { status: 500, title: "Internal error", message: "The request could not be decided." },
};
