import type { Limit } from "../../src/policy/bucket.ts";
import { type BucketTable, createBucketTable } from "../../src/policy/bucket-table.ts";
import type { CredentialLocation, CredentialRules } from "../../src/policy/credential.ts";
import { foldParameter } from "../../src/policy/credential.ts";
import type { Decision, DenialReason } from "../../src/policy/decision.ts";
import { createPepper, type KeyDigest, sha256 } from "../../src/policy/digest.ts";
import type { RequestFacts } from "../../src/policy/facts.ts";
import type { Key } from "../../src/policy/key.ts";
import { type KeyFormat, parseKeyFormat } from "../../src/policy/key-format.ts";
import { compileKeys } from "../../src/policy/key-table-builder.ts";
import { compileNetworks, type NetworkSet, parseAddress } from "../../src/policy/network.ts";
import type { Policy, PolicyState } from "../../src/policy/policy.ts";
import {
  type Access,
  type Aliases,
  compileRoutes,
  parseRoutePattern,
  type Route,
  type RoutePattern,
  type ScopeTemplate,
} from "../../src/policy/route.ts";
import { compileGrants, type ScopeCatalogue } from "../../src/policy/scope.ts";
import type { PathRules } from "../../src/policy/target.ts";

/** A policy as a test writes it; whatever is left out has the strict or the empty value. */
export interface PolicyLiteral {
  readonly routes?: readonly RouteLiteral[];
  readonly keys?: readonly KeyLiteral[];
  readonly formats?: readonly string[];
  readonly accept?: Readonly<Record<string, readonly string[]>>;
  readonly locations?: readonly string[];
  readonly inUrl?: CredentialRules["inUrl"];
  readonly urlParameters?: readonly string[];
  readonly paths?: Partial<PathRules>;
  readonly actions?: Readonly<Record<string, string>>;
  readonly failures?: string;
  readonly catalogue?: ScopeCatalogue;
  readonly pepper?: string;
  readonly httpsRequired?: boolean;
}

export interface RouteLiteral {
  readonly match: string;
  readonly public?: true;
  readonly authenticated?: true;
  readonly scopes?: readonly string[];
  readonly anyScope?: readonly string[];
  /** As in config: `clients: client` renames a name, `*ies: *y` an ending. */
  readonly aliases?: Readonly<Record<string, string>>;
  readonly cost?: number;
  readonly limits?: readonly string[];
  readonly allowIps?: readonly string[];
}

export interface KeyLiteral {
  readonly id: string;
  /** The credential itself, of which a SHA-256 digest is kept; or `digest` and, for bcrypt, `prefix`. */
  readonly credential?: string;
  readonly digest?: KeyDigest;
  readonly prefix?: string;
  readonly scopes?: readonly string[];
  readonly limits?: readonly string[];
  readonly allowIps?: readonly string[];
  readonly notBeforeMs?: number;
  readonly expiresAtMs?: number;
  readonly status?: Key["status"];
  readonly readOnly?: boolean;
}

export interface RequestLiteral {
  readonly method?: string;
  readonly target?: string;
  /** Presented as `Authorization: Bearer …`, before any further `headers`. */
  readonly credential?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly from?: string;
  readonly secure?: boolean;
}

export const STRICT_PATHS: PathRules = {
  encodedSlash: "reject",
  encodedDelimiters: "reject",
  matrixParameters: "reject",
  emptySegments: "reject",
  caseSensitive: true,
};

const ACTIONS = { GET: "read", HEAD: "read", POST: "create", PUT: "update", PATCH: "update", DELETE: "delete" };

export function createPolicy(literal: PolicyLiteral): Policy {
  const paths = { ...STRICT_PATHS, ...literal.paths };
  const keys = (literal.keys ?? []).map((key) => toKey(key, literal.catalogue ?? new Map()));
  return {
    revision: "test",
    httpsRequired: literal.httpsRequired ?? false,
    paths,
    routes: compileRoutes((literal.routes ?? []).map((route, index) => toRoute(route, index, paths.caseSensitive))),
    credentials: {
      locations: (literal.locations ?? ["Authorization: Bearer", "X-API-Key"]).map(toLocation),
      inUrl: literal.inUrl ?? "reject",
      forward: false,
      urlParameters: new Set((literal.urlParameters ?? ["api_key", "access_token"]).map(foldParameter)),
    },
    keyFormats: (literal.formats ?? []).map(toFormat),
    accept: new Map(Object.entries(literal.accept ?? {}).map(([name, values]) => [name, new Set(values)])),
    keys: compileKeys(keys, literal.pepper === undefined ? undefined : createPepper(Buffer.from(literal.pepper))),
    principals: new WeakMap(),
    actions: new Map(Object.entries(literal.actions ?? ACTIONS)),
    failureLimit: literal.failures === undefined ? undefined : toLimit(literal.failures, "failures"),
  };
}

/** A state whose buckets can be looked at. */
export interface OpenState extends PolicyState {
  readonly buckets: BucketTable;
  readonly failures: BucketTable;
}

/** Nothing spent, nothing verified; `verified` maps credentials to the digests they verified against. */
export function createState(
  verified: ReadonlyMap<string, string> = new Map(),
  failures: BucketTable = createBucketTable(),
): OpenState {
  return {
    buckets: createBucketTable(),
    failures,
    verified: { find: (credential) => verified.get(credential) },
    slowHashes: { isUnderWay: () => false },
  };
}

export function toFacts(request: RequestLiteral): RequestFacts {
  const bearer = request.credential === undefined ? [] : ["Authorization", `Bearer ${request.credential}`];
  const address = parseAddress(request.from ?? "203.0.113.7");
  if (address === undefined) throw new Error(`not an address: ${request.from}`);
  return {
    method: request.method ?? "GET",
    target: request.target ?? "/orders/1",
    rawHeaders: ["Host", "api.example", ...bearer, ...(request.headers ?? []).flat()],
    clientAddress: address,
    secure: request.secure ?? true,
  };
}

/** A decision in plain values, every one that a client or an operator could tell apart. */
export type Summary =
  | { readonly allow: string; readonly key: string | undefined; readonly remaining: readonly number[] }
  | { readonly verify: readonly string[]; readonly credential: string }
  | {
      readonly deny: DenialReason;
      readonly route: string | undefined;
      readonly key: string | undefined;
      readonly scopes: readonly string[];
      readonly segments: Readonly<Record<string, string>>;
      readonly retryAfterSeconds: number | undefined;
      readonly remaining: readonly number[];
    };

export function summarise(decision: Decision): Summary {
  switch (decision.kind) {
    case "allow":
      return {
        allow: decision.route.match,
        key: decision.principal?.key.id,
        remaining: decision.quotas.map((quota) => quota.remaining),
      };
    case "verify":
      return { verify: decision.candidates.map((key) => key.id), credential: decision.credential };
    case "deny":
      return {
        deny: decision.reason,
        route: decision.route?.match,
        key: decision.principal?.key.id,
        scopes: decision.scopes,
        segments: Object.fromEntries(decision.segments),
        retryAfterSeconds: decision.retryAfterSeconds,
        remaining: decision.quotas.map((quota) => quota.remaining),
      };
    default:
      return decision satisfies never;
  }
}

/** A whole denial: what a test does not name must be absent. */
export function denial(
  reason: DenialReason,
  known: Partial<Extract<Summary, { readonly deny: DenialReason }>> = {},
): Summary {
  return {
    deny: reason,
    route: undefined,
    key: undefined,
    scopes: [],
    segments: {},
    retryAfterSeconds: undefined,
    remaining: [],
    ...known,
  };
}

export function toLimit(text: string, id: string): Limit {
  const windows = new Map([
    ["second", 1000],
    ["minute", 60_000],
    ["hour", 3_600_000],
  ]);
  const [count = "", unit = ""] = text.split("/");
  const windowMs = windows.get(unit);
  if (windowMs === undefined) throw new Error(`not a limit: ${text}`);
  return {
    id: `${id}/${windowMs / 1000}s`,
    name: text,
    count: Number(count),
    windowMs,
    capacity: Number(count),
    intervalMs: windowMs / Number(count),
  };
}

function toKey(literal: KeyLiteral, catalogue: ScopeCatalogue): Key {
  const scopes = literal.scopes ?? [];
  return {
    id: literal.id,
    name: undefined,
    tenant: undefined,
    digest: literal.digest ?? { kind: "sha256", hex: sha256(literal.credential ?? "") },
    prefix: literal.prefix,
    scopes,
    grants: compileGrants(scopes, catalogue),
    limits: (literal.limits ?? []).map((limit) => toLimit(limit, "key")),
    networks: toNetworks(literal.allowIps),
    notBeforeMs: literal.notBeforeMs,
    expiresAtMs: literal.expiresAtMs,
    status: literal.status ?? "active",
    readOnly: literal.readOnly ?? false,
    rotatedTo: undefined,
    metadata: new Map(),
    source: { file: "keys.yaml", line: 1 },
  };
}

function toRoute(literal: RouteLiteral, index: number, caseSensitive: boolean): Route {
  const parsed = parseRoutePattern(literal.match, caseSensitive);
  if (parsed.kind === "problem") throw new Error(`${literal.match}: ${parsed.problem}`);
  return {
    match: literal.match,
    pattern: parsed.pattern,
    access: toAccess(literal, parsed.pattern),
    aliases: toAliases(literal.aliases ?? {}),
    cost: literal.cost ?? 1,
    limits: (literal.limits ?? []).map((limit) => toLimit(limit, `route:${literal.match}`)),
    networks: toNetworks(literal.allowIps),
    allowMethodOverride: false,
    source: { file: "latchkey.yaml", line: index + 1 },
  };
}

function toAccess(literal: RouteLiteral, pattern: RoutePattern): Access {
  if (literal.public === true) return { kind: "public" };
  const scopes = literal.scopes ?? literal.anyScope;
  if (scopes === undefined) return { kind: "authenticated" };
  const need = literal.scopes === undefined ? "any" : "all";
  return { kind: "scopes", need, scopes: scopes.map((scope) => toTemplate(scope, pattern)) };
}

function toTemplate(text: string, pattern: RoutePattern): ScopeTemplate {
  if (!text.includes("{")) return { text, parts: undefined };
  const pieces = text.split(/\{([^}]*)\}/);
  return {
    text,
    parts: pieces.map((piece, index) => {
      if (index % 2 === 0) return { kind: "literal", text: piece };
      if (piece === "action") return { kind: "action" };
      const position = pattern.segments.findIndex((segment) => segment.kind === "parameter" && segment.name === piece);
      return { kind: "parameter", position };
    }),
  };
}

function toAliases(literal: Readonly<Record<string, string>>): Aliases {
  const entries = Object.entries(literal);
  return {
    exact: new Map(entries.filter(([from]) => !from.startsWith("*"))),
    endings: entries.flatMap(([from, to]) => (from.startsWith("*") ? [{ from: from.slice(1), to: to.slice(1) }] : [])),
  };
}

function toLocation(text: string): CredentialLocation {
  const [name = "", scheme] = text.split(": ");
  return { name, header: name.toLowerCase(), scheme: scheme?.toLowerCase(), label: text };
}

function toFormat(text: string): KeyFormat {
  const parsed = parseKeyFormat(text);
  if (parsed.kind === "problem") throw new Error(`${text}: ${parsed.problem}`);
  return parsed.format;
}

function toNetworks(ranges: readonly string[] | undefined): NetworkSet | undefined {
  return ranges === undefined ? undefined : compileNetworks(ranges);
}
