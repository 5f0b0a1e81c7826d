import { type FieldKind, type FieldText, toFieldName } from "../http1/fields.ts";
import type { Allowed } from "../policy/decision.ts";
import { type KeyFormat, redactKeys } from "../policy/key-format.ts";
import type { Origin, Peer } from "./client-address.ts";
import type { Generation } from "./generation.ts";
import { withoutNominated } from "./nominated.ts";

export type BuiltFields =
  | { readonly kind: "built"; readonly fields: FieldText }
  | { readonly kind: "invalid"; readonly problem: string };

// Naming these in `Connection` asks for what happens anyway.
const ORDINARY_OPTIONS: ReadonlySet<string> = new Set(["close", "keep-alive", "upgrade", "te", ""]);
// Without these a request is another: `Host` is routing, and framing is read before.
const KEPT_WHEN_NOMINATED: ReadonlySet<FieldKind> = new Set(["host"]);
// RFC 9110 §7.2: a name or an address and an optional port. A comma is legal in a name, but is where lists are split.
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+;=]*)(?::\d{0,5})?$/;

/**
 * Builds the field lines for the upstream: copies what may pass, applies the client's `Connection` to that, and only
 * then adds ours, so that no client can remove them (CVE-2022-31813).
 */
export function buildRequestFields(
  rawHeaders: readonly string[],
  permit: Allowed,
  origin: Origin,
  peer: Peer,
  requestId: string,
  generation: Generation,
): BuiltFields {
  const { policy, settings } = generation.configuration;
  let passed = "";
  let host: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    const value = rawHeaders[index + 1] ?? "";
    let passes = false;
    switch (generation.headerRules.classify(name)) {
      case "forward":
        passes = true;
        break;
      case "drop":
      case "request-id":
        break;
      case "connection":
        if (value.split(",").every((option) => ORDINARY_OPTIONS.has(option.trim().toLowerCase()))) break;
        // Once: what is left names nothing any more.
        return buildRequestFields(
          withoutNominated(rawHeaders, KEPT_WHEN_NOMINATED),
          permit,
          origin,
          peer,
          requestId,
          generation,
        );
      case "credential":
        passes = policy.credentials.forward || !carriesCredential(name, value, generation);
        break;
      case "host":
        if (host !== undefined) return { kind: "invalid", problem: "two Host lines" };
        if (!HOST.test(value)) return { kind: "invalid", problem: "the Host field is no authority (RFC 9112 §3.2)" };
        host = value;
        break;
      case "method-override":
        passes = permit.route.allowMethodOverride;
        break;
    }
    if (passes) passed = `${passed}${name}: ${value}\r\n`;
  }
  const ownHost = `host: ${host ?? new URL(settings.upstream.origin).host}\r\n`;
  const forwarding = toForwardingFields(origin, peer, host);
  const identity = permit.principal === undefined ? "" : generation.identity(permit.principal).text;
  return { kind: "built", fields: `${passed}${ownHost}${forwarding}x-request-id: ${requestId}\r\n${identity}` };
}

// RFC 9110 §11.4: a scheme, a blank and credentials. The longest scheme in use, AWS4-HMAC-SHA256, has 16 characters;
// in no more than 20 of them no key fits that is as long as it must be.
const OTHER_SCHEME = /^[A-Za-z][A-Za-z0-9-]{0,19} +[^ ]/;
const BASIC = /^basic +([A-Za-z0-9+/_-]+=*)$/i;

/**
 * An `Authorization: Basic …` for the app itself is none of ours when keys travel as Bearer. What names no other
 * scheme is: a key whose sender forgot the scheme, or wrote it as one that presents none, such as `Bearer<tab>…`.
 */
export function carriesCredential(name: string, value: string, generation: Generation): boolean {
  const { credentials, keyFormats } = generation.configuration.policy;
  const { lower } = toFieldName(name);
  for (const { header, scheme } of credentials.locations) {
    if (header !== lower) continue;
    if (scheme === undefined || !OTHER_SCHEME.test(value) || beginsWithScheme(value, scheme)) return true;
  }
  return holdsKey(value, keyFormats);
}

function holdsKey(value: string, formats: readonly KeyFormat[]): boolean {
  if (redactKeys(value, formats) !== value) return true;
  const wrapped = BASIC.exec(value)?.[1];
  if (wrapped === undefined) return false;
  const text = Buffer.from(wrapped, "base64").toString("latin1");
  return redactKeys(text, formats) !== text;
}

/** The scheme, and after it no character that could make it a longer name. */
function beginsWithScheme(value: string, scheme: string): boolean {
  return value.toLowerCase().startsWith(scheme) && !/[a-z0-9-]/.test(value.charAt(scheme.length).toLowerCase());
}

/** Rewritten, and appended to only behind a trusted proxy: the app may believe all it reads here. */
function toForwardingFields(origin: Origin, peer: Peer, host: string | undefined): FieldText {
  const earlier = origin.forwardedFor === undefined ? "" : `${origin.forwardedFor}, `;
  const scheme = origin.secure ? "https" : "http";
  // Of several the last is the one our trusted peer wrote; it too may hand on what a client made up.
  const claimed = origin.forwardedHost?.split(",").at(-1)?.trim();
  const forwardedHost = claimed !== undefined && HOST.test(claimed) ? claimed : host;
  const hostField = forwardedHost === undefined || forwardedHost === "" ? "" : `x-forwarded-host: ${forwardedHost}\r\n`;
  return `x-forwarded-for: ${earlier}${peer.address.text}\r\nx-forwarded-proto: ${scheme}\r\n${hostField}`;
}

const CLIENT_REQUEST_ID = /^[A-Za-z0-9._~+/=:@-]{1,128}$/;

/**
 * The client's own request id where it is one plain value that holds no key, since it is logged and echoed;
 * undefined otherwise, and the caller makes one.
 */
export function findRequestId(rawHeaders: readonly string[], formats: readonly KeyFormat[]): string | undefined {
  let found: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    if (name.length !== 12 || name.toLowerCase() !== "x-request-id") continue;
    if (found !== undefined) return undefined;
    found = rawHeaders[index + 1] ?? "";
  }
  if (found === undefined || !CLIENT_REQUEST_ID.test(found)) return undefined;
  return redactKeys(found, formats) === found ? found : undefined;
}
