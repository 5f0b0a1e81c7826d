import { createSecretKey } from "node:crypto";
import { describe, expect, test } from "vitest";
import { describeDiff, diffPolicies } from "../../src/config/policy-diff.ts";
import type { Limit } from "../../src/policy/bucket.ts";
import { sha256 } from "../../src/policy/digest.ts";
import type { Key } from "../../src/policy/key.ts";
import { compileKeys } from "../../src/policy/key-table-builder.ts";
import { compileNetworks } from "../../src/policy/network.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { compileRoutes, parseRoutePattern, type Route } from "../../src/policy/route.ts";
import { compileGrants } from "../../src/policy/scope.ts";

const DIGEST = "0123456789abcdef".repeat(4);

function limit(name: string, count: number, capacity = count): Limit {
  return { id: name, name, count, windowMs: 60_000, capacity, intervalMs: 60_000 / count };
}

function key(id: string, fields: Partial<Key> = {}): Key {
  const scopes = fields.scopes ?? ["orders:read"];
  return {
    id,
    name: undefined,
    tenant: undefined,
    digest: { kind: "sha256", hex: sha256(id) },
    prefix: undefined,
    scopes,
    grants: compileGrants(scopes, new Map([["orders:write", ["orders:read"]]])),
    limits: [],
    networks: undefined,
    notBeforeMs: undefined,
    expiresAtMs: undefined,
    status: "active",
    readOnly: false,
    rotatedTo: undefined,
    metadata: new Map(),
    source: { file: "keys.yaml", line: 1 },
    ...fields,
  };
}

function route(match: string, fields: Partial<Route> = {}): Route {
  const parsed = parseRoutePattern(match, true);
  if (parsed.kind === "problem") throw new Error(parsed.problem);
  return {
    match,
    pattern: parsed.pattern,
    access: { kind: "authenticated" },
    aliases: { exact: new Map(), endings: [] },
    cost: 1,
    limits: [],
    networks: undefined,
    allowMethodOverride: false,
    source: { file: "latchkey.yaml", line: 1 },
    ...fields,
  };
}

function policy(keys: readonly Key[], routes: readonly Route[] = [], fields: Partial<Policy> = {}): Policy {
  return {
    revision: "r",
    httpsRequired: false,
    paths: {
      encodedSlash: "reject",
      encodedDelimiters: "reject",
      matrixParameters: "reject",
      emptySegments: "reject",
      caseSensitive: true,
    },
    routes: compileRoutes(routes),
    credentials: { locations: [], inUrl: "reject", forward: false, urlParameters: new Set() },
    keyFormats: [],
    accept: new Map(),
    keys: compileKeys(keys, undefined),
    principals: new WeakMap(),
    actions: new Map(),
    failureLimit: undefined,
    ...fields,
  };
}

function describeChange(old: Policy, next: Policy): readonly string[] {
  return describeDiff(diffPolicies(old, next));
}

describe("describeDiff()", () => {
  test("describeDiff() says nothing of two policies that mean the same", () => {
    const at = (line: number) => policy([key("a", { source: { file: "b.yaml", line } })], [route("GET /")]);
    expect(describeChange(at(1), at(9))).toEqual([]);
  });

  test("describeDiff() names keys that came and went, removals first", () => {
    expect(describeChange(policy([key("a")]), policy([key("b"), key("c")]))).toEqual([
      "1 key removed: `a`",
      "2 keys added: `b`, `c`",
    ]);
  });

  test("describeDiff() counts many keys instead of naming them", () => {
    const many = Array.from({ length: 6 }, (_, index) => key(`k${index}`));
    expect(describeChange(policy([]), policy(many))).toEqual(["6 keys added"]);
    const limited = many.map((record) => ({ ...record, limits: [limit("60/minute", 60)] }));
    expect(describeChange(policy(many), policy(limited))).toEqual(["6 keys limits set to 60/minute"]);
  });

  const changes: readonly (readonly [sentence: string, old: Partial<Key>, next: Partial<Key>])[] = [
    ["`k` lost `orders:write`", { scopes: ["orders:write"] }, { scopes: ["orders:read"] }],
    ["`k` gained `orders:write`", { scopes: ["orders:read"] }, { scopes: ["orders:write"] }],
    ["`k` status changed from active to suspended", {}, { status: "suspended" }],
    [
      "`k` limits changed from 60/minute to 6/minute",
      { limits: [limit("60/minute", 60)] },
      { limits: [limit("6/minute", 6)] },
    ],
    [
      "`k` limits changed from 60/minute to 60/minute with a burst of 5",
      { limits: [limit("60/minute", 60)] },
      { limits: [limit("60/minute", 60, 5)] },
    ],
    ["`k` allowIps removed, was 10.0.0.0/8", { networks: compileNetworks(["10.0.0.0/8"]) }, {}],
    ["`k` expiresAt set to 2027-01-01T00:00:00.000Z", {}, { expiresAtMs: Date.UTC(2027, 0) }],
    ["`k` notBefore removed, was 2027-01-01T00:00:00.000Z", { notBeforeMs: Date.UTC(2027, 0) }, {}],
    ["`k` readOnly changed from false to true", {}, { readOnly: true }],
    ["`k` tenant set to acme", {}, { tenant: "acme" }],
    ["`k` name set to K", {}, { name: "K" }],
    ["`k` rotatedTo set to k-2", {}, { rotatedTo: "k-2" }],
    ["`k` metadata replaced", { metadata: new Map([["a", "hush"]]) }, { metadata: new Map([["a", "hushed"]]) }],
    ["`k` hash replaced", {}, { digest: { kind: "hmac-sha256", hex: DIGEST } }],
    ["`k` hash replaced", {}, { digest: { kind: "bcrypt", text: "$2b$10$x", cost: 10 } }],
  ];
  test.each(changes)("describeDiff() says: %s", (sentence, old, next) => {
    expect(describeChange(policy([key("k", old)]), policy([key("k", next)]))).toEqual([sentence]);
  });

  test("describeDiff() says what became of routes, their order included", () => {
    const open = route("GET /open", { access: { kind: "public" } });
    const orders = (scope: string) =>
      route("GET /orders", {
        access: { kind: "scopes", need: "all", scopes: [{ text: scope, parts: undefined }] },
        cost: 2,
      });
    const twice = [route("GET /same"), route("GET /same", { cost: 3 })];
    const old = policy([], [open, orders("a"), route("GET /gone"), ...twice]);
    const next = policy([], [orders("b"), { ...open, access: { kind: "authenticated" } }, route("GET /new"), ...twice]);
    expect(describeChange(old, next)).toEqual([
      "1 route removed: `GET /gone`",
      "1 route added: `GET /new`",
      "routes reordered",
      "`GET /open` access changed from public to authenticated",
      "`GET /orders` access changed from all of a to all of b",
    ]);
  });

  test("describeDiff() says which rules for all requests changed, and never a secret", () => {
    const pepper = (text: string) => createSecretKey(Buffer.from(text));
    const old = policy([], [], { keys: compileKeys([], pepper("one secret")) });
    const next = policy([], [], {
      keys: compileKeys([], pepper("another secret")),
      httpsRequired: true,
      accept: new Map([["environment", new Set(["live", "test"])]]),
      failureLimit: limit("30/minute", 30),
    });
    expect(describeChange(old, next)).toEqual([
      "listen.https changed from optional to required",
      "accept set to environment: live test",
      "limits.failures set to 30/minute",
      "pepper replaced",
    ]);
    expect(describeChange(old, policy([]))).toEqual(["pepper replaced"]);
  });

  test("describeDiff() holds no digest and no value of metadata, whatever changed", () => {
    const secretive = (salt: string) =>
      key("k", { digest: { kind: "sha256", hex: salt.repeat(64) }, metadata: new Map([["note", `hush ${salt}`]]) });
    const text = JSON.stringify(diffPolicies(policy([secretive("a")]), policy([secretive("b")])));
    expect(text).not.toMatch(/aaa|bbb|hush/);
  });

  test("describeDiff() cuts a reload that changes everything differently", () => {
    const named = (prefix: string) =>
      policy(Array.from({ length: 80 }, (_, at) => key(`k${at}`, { name: `${prefix}${at}` })));
    const lines = describeChange(named("a"), named("b"));
    expect(lines.length).toBe(51);
    expect(lines.at(-1)).toBe("and 30 more changes");
  });
});
