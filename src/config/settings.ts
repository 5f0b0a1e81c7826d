import type { DenialReason } from "../policy/decision.ts";
import type { NetworkSet } from "../policy/network.ts";
import type { Policy } from "../policy/policy.ts";
import type { Route } from "../policy/route.ts";
import type { Template } from "./template.ts";

/** One loaded generation of config: what `decide` consults and how everything around it behaves. */
export interface Configuration {
  readonly policy: Policy;
  readonly settings: Settings;
}

export interface Settings {
  readonly listen: ListenSettings;
  readonly upstream: UpstreamSettings;
  /** Undefined when switched off. */
  readonly admin: AdminSettings | undefined;
  readonly denials: DenialSettings;
  readonly identity: IdentitySettings;
  readonly limitHeaders: LimitHeaders;
  /** Routes that Latchkey answers itself; empty unless the config has `management`. */
  readonly operations: ReadonlyMap<Route, KeyOperation>;
  /** Absolute path of the main file whose policy is evaluated beside this one. */
  readonly shadow: string | undefined;
  readonly reload: ReloadSettings;
  readonly drain: DrainSettings;
  readonly workers: number | "auto";
  readonly log: LogSettings;
}

/** What the holder of a scope may do to a key over HTTP. */
export type KeyOperation = "rotate" | "revoke" | "suspend" | "resume";

export type SocketAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export interface ListenSettings {
  readonly address: SocketAddress;
  /** Absolute paths. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly trustedProxies: TrustedProxies;
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to the last of its body; 0: no limit. */
  readonly requestTimeoutMs: number;
  /** The longest silence within a request's body while nothing is answered; 0: no limit. */
  readonly bodyIdleTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  /** Undefined: no limit. */
  readonly maxBodyBytes: number | undefined;
}

/** Whose forwarding headers are believed, for each of the things they say. Undefined: nobody's. */
export interface TrustedProxies {
  /** `X-Forwarded-For`. */
  readonly address: NetworkSet | undefined;
  /** `X-Forwarded-Proto`. */
  readonly scheme: NetworkSet | undefined;
  /** `X-Forwarded-Host`. */
  readonly host: NetworkSet | undefined;
}

export interface UpstreamSettings {
  /** `http://host:port` or `https://host:port`, without a path; for a unix socket the name in the Host field only. */
  readonly origin: string;
  readonly socketPath: string | undefined;
  /** PEM text of the authority that signed the upstream's certificate; undefined: the system's. */
  readonly ca: string | undefined;
  readonly connectTimeoutMs: number;
  readonly responseTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxConnections: number;
  /** Requests that may wait for a connection; one more is answered 503. */
  readonly maxQueue: number;
}

export interface AdminSettings {
  readonly address: SocketAddress;
  /** SHA-256 of the admin token in hex; undefined: only health and metrics answer. */
  readonly tokenSha256: string | undefined;
  /** Probe name to the one upstream path it asks. */
  readonly probes: ReadonlyMap<string, string>;
  /** Undefined: no gateway may ask. */
  readonly authorizer: AuthorizerSettings | undefined;
}

export interface AuthorizerSettings {
  /** Who may ask, and is believed what it says of the request it asks about. */
  readonly trustedPeers: NetworkSet;
  /** SHA-256 of the token in hex that calls must carry besides; undefined: none. */
  readonly tokenSha256: string | undefined;
}

export type DenialBody =
  | { readonly kind: "problem" }
  | { readonly kind: "flat" }
  | { readonly kind: "nested" }
  | { readonly kind: "template"; readonly template: JsonTemplate };

/** A JSON document whose strings are templates; a string that is one numeric field becomes a number. */
export type JsonTemplate =
  | { readonly kind: "string"; readonly template: Template }
  | { readonly kind: "literal"; readonly value: number | boolean | null }
  | { readonly kind: "array"; readonly items: readonly JsonTemplate[] }
  | { readonly kind: "object"; readonly members: readonly (readonly [string, JsonTemplate])[] };

export interface DenialSettings {
  readonly body: DenialBody;
  /** The protection space named in challenges (RFC 9110 §11.5). */
  readonly realm: string;
  readonly reasons: ReadonlyMap<DenialReason, DenialOverride>;
  /** Extra template fields whose value depends on a named segment of the credential. */
  readonly variables: ReadonlyMap<string, DenialVariable>;
}

export interface DenialOverride {
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly message: Template | undefined;
}

export interface DenialVariable {
  readonly segment: string;
  readonly values: ReadonlyMap<string, string>;
  readonly fallback: string;
}

export interface IdentitySettings {
  /** In the order written; the defaults where the file names none. */
  readonly headers: readonly { readonly name: string; readonly value: Template }[];
  readonly assertion: AssertionSettings | undefined;
}

export interface AssertionSettings {
  readonly header: string;
  readonly algorithm: "EdDSA" | "ES256" | "RS256";
  /** PEM text of the private key (PKCS #8). */
  readonly privateKey: string;
  readonly issuer: string;
  readonly audience: string;
  readonly ttlMs: number;
}

export interface LimitHeaders {
  /** `RateLimit` and `RateLimit-Policy`. */
  readonly ietf: boolean;
  /** `X-RateLimit-Limit`, `-Remaining`, `-Reset`; the reset in seconds from now or as a Unix time. */
  readonly legacy: "off" | "seconds" | "epoch";
}

export interface LogSettings {
  readonly level: "debug" | "info" | "warn" | "error" | "silent";
  readonly requests: "all" | "denied" | "none";
}

export interface DrainSettings {
  /** How long new requests are still taken after the signal to stop, or after the drain was announced. */
  readonly delayMs: number;
  /** How long what is in flight may take after that. */
  readonly timeoutMs: number;
  /** SHA-256 in hex of the token that may announce the drain; undefined: only the admin token may. */
  readonly tokenSha256: string | undefined;
}

export interface ReloadSettings {
  /** The share of keys, or of routes, that one reload may remove without being told that it is meant. */
  readonly maxRemovedPercent: number;
  /** The name of a larger removal that is meant. */
  readonly confirm: string | undefined;
}
