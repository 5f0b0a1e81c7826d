import { readFileSync } from "node:fs";
import { hashSync } from "bcryptjs";
import { describe, expect, test } from "vitest";
import { createBucketTable } from "../../src/policy/bucket-table.ts";
import { decide } from "../../src/policy/decide.ts";
import { DENIAL_REASONS, type DenialReason } from "../../src/policy/decision.ts";
import { createPepper, hmacSha256, type KeyDigest } from "../../src/policy/digest.ts";
import type { Key, Verification } from "../../src/policy/key.ts";
import { parseKeyFormat } from "../../src/policy/key-format.ts";
import type { Policy, PolicyState } from "../../src/policy/policy.ts";
import {
  createPolicy,
  createState,
  denial,
  type KeyLiteral,
  type OpenState,
  type PolicyLiteral,
  type RequestLiteral,
  type Summary,
  summarise,
  toFacts,
} from "./fixture.ts";

const NOW = 1_750_000_000_000;

/** Well-formed credentials by number: 1 is registered wherever a key is, any other is unknown. */
function credentialOf(number: number, environment = "live", region = "eu"): string {
  return `bk_${environment}_${region}_${number.toString(16).padStart(32, "0")}`;
}

const KEY = credentialOf(1);
const UNKNOWN = credentialOf(2);
const LIVE_EU = { environment: "live", region: "eu" };
const READ = "GET /orders/**";

const BASE = {
  formats: ["bk_{environment:live|test}_{region:eu|us}_{secret:hex(32)}"],
  accept: { environment: ["live"], region: ["eu"] },
  routes: [
    { match: "GET /health", public: true },
    { match: READ, scopes: ["orders:read"] },
    { match: "POST /orders/**", scopes: ["orders:write"] },
    { match: "GET /office/**", scopes: ["orders:read"], allowIps: ["192.0.2.0/24"] },
    { match: "GET /whoami", authenticated: true },
  ],
} satisfies PolicyLiteral;

/** The base policy with one registered key, `pos`, that has these properties. */
function withKey(key: Partial<KeyLiteral> = {}, rest: PolicyLiteral = {}): PolicyLiteral {
  return { ...BASE, ...rest, keys: [{ id: "pos", credential: KEY, scopes: ["orders:read"], ...key }] };
}

function ask(
  policy: Policy,
  request: RequestLiteral,
  state: PolicyState = createState(),
  nowMs: number = NOW,
  verification?: Verification,
): Summary {
  return summarise(decide(toFacts(request), policy, state, nowMs, verification));
}

/** What `decide` says of a single request to a fresh policy. */
function once(policy: PolicyLiteral, request: RequestLiteral): Summary {
  return ask(createPolicy(policy), request);
}

const ALLOWED: Summary = { allow: READ, key: "pos", remaining: [] };

interface Row {
  readonly name: string;
  readonly policy: PolicyLiteral;
  readonly request: RequestLiteral;
  /** Made beforehand, from the same address. */
  readonly before?: readonly RequestLiteral[];
  readonly expected: Summary;
}

function runTable(rows: readonly Row[]): void {
  for (const row of rows) {
    test(`decide() ${row.name}`, () => {
      const policy = createPolicy(row.policy);
      const state = createState();
      for (const request of row.before ?? []) ask(policy, request, state);
      expect(ask(policy, row.request, state)).toEqual(row.expected);
    });
  }
}

const SLOW: KeyDigest = { kind: "bcrypt", text: hashSync(KEY, 4), cost: 4 };
const SLOW_KEY = { digest: SLOW, prefix: KEY.slice(0, 11) } satisfies Partial<KeyLiteral>;
const VERIFIED = new Map([[KEY, SLOW.text]]);

describe("every reason decide() can give", () => {
  const rows: readonly (Row & { readonly reason: DenialReason })[] = [
    {
      reason: "target_invalid",
      name: "refuses a target with a dot segment",
      policy: withKey(),
      request: { target: "/orders/../admin", credential: KEY },
      expected: denial("target_invalid"),
    },
    {
      reason: "https_required",
      name: "refuses a connection in the clear where https is required",
      policy: withKey({}, { httpsRequired: true }),
      request: { credential: KEY, secure: false },
      expected: denial("https_required"),
    },
    {
      reason: "credential_in_url",
      name: "refuses a key in the query",
      policy: withKey(),
      request: { target: `/orders/1?api_key=${KEY}` },
      expected: denial("credential_in_url", { route: READ }),
    },
    {
      reason: "credential_missing",
      name: "refuses a request that presents no credential",
      policy: withKey(),
      request: {},
      expected: denial("credential_missing", { route: READ }),
    },
    {
      reason: "credential_ambiguous",
      name: "refuses two different credentials, even if one is valid",
      policy: withKey(),
      request: { credential: KEY, headers: [["X-API-Key", UNKNOWN]] },
      expected: denial("credential_ambiguous", { route: READ }),
    },
    {
      reason: "credential_malformed",
      name: "refuses a credential of no known format",
      policy: withKey(),
      request: { credential: "opensesame" },
      expected: denial("credential_malformed", { route: READ }),
    },
    {
      reason: "environment_mismatch",
      name: "refuses a credential for another environment by its own text",
      policy: withKey(),
      request: { credential: credentialOf(1, "test") },
      expected: denial("environment_mismatch", { route: READ, segments: { environment: "test", region: "eu" } }),
    },
    {
      reason: "region_mismatch",
      name: "refuses a credential for another region by its own text",
      policy: withKey(),
      request: { credential: credentialOf(1, "live", "us") },
      expected: denial("region_mismatch", { route: READ, segments: { environment: "live", region: "us" } }),
    },
    {
      reason: "key_unknown",
      name: "refuses a credential nobody registered",
      policy: withKey(),
      request: { credential: UNKNOWN },
      expected: denial("key_unknown", { route: READ }),
    },
    {
      reason: "failures_exceeded",
      name: "refuses one more bad credential from an address over its budget",
      policy: withKey({}, { failures: "1/minute" }),
      before: [{ credential: UNKNOWN }],
      request: { credential: UNKNOWN },
      expected: denial("failures_exceeded", { route: READ, retryAfterSeconds: 60 }),
    },
    {
      reason: "key_revoked",
      name: "refuses a revoked key",
      policy: withKey({ status: "revoked" }),
      request: { credential: KEY },
      expected: denial("key_revoked", { route: READ, key: "pos", segments: LIVE_EU }),
    },
    {
      reason: "key_expired",
      name: "refuses a key from the very instant it expires",
      policy: withKey({ expiresAtMs: NOW }),
      request: { credential: KEY },
      expected: denial("key_expired", { route: READ, key: "pos", segments: LIVE_EU }),
    },
    {
      reason: "key_not_yet_valid",
      name: "refuses a key a millisecond before it becomes valid",
      policy: withKey({ notBeforeMs: NOW + 1 }),
      request: { credential: KEY },
      expected: denial("key_not_yet_valid", { route: READ, key: "pos", segments: LIVE_EU }),
    },
    {
      reason: "key_suspended",
      name: "refuses a suspended key",
      policy: withKey({ status: "suspended" }),
      request: { credential: KEY },
      expected: denial("key_suspended", { route: READ, key: "pos", segments: LIVE_EU }),
    },
    {
      reason: "route_unknown",
      name: "tells a valid key that no route matches",
      policy: withKey(),
      request: { target: "/nowhere", credential: KEY },
      expected: denial("route_unknown", { key: "pos", segments: LIVE_EU }),
    },
    {
      reason: "scope_insufficient",
      name: "names the scopes a key lacks",
      policy: withKey({ scopes: [] }),
      request: { credential: KEY },
      expected: denial("scope_insufficient", { route: READ, key: "pos", segments: LIVE_EU, scopes: ["orders:read"] }),
    },
    {
      reason: "key_read_only",
      name: "refuses to let a read-only key write",
      policy: withKey({ scopes: ["orders:write"], readOnly: true }),
      request: { method: "POST", credential: KEY },
      expected: denial("key_read_only", { route: "POST /orders/**", key: "pos", segments: LIVE_EU }),
    },
    {
      reason: "address_denied",
      name: "refuses a key outside its networks",
      policy: withKey({ allowIps: ["192.0.2.0/24"] }),
      request: { credential: KEY },
      expected: denial("address_denied", { route: READ, key: "pos", segments: LIVE_EU }),
    },
    {
      reason: "rate_limited",
      name: "refuses a key that has spent its limit, and says for how long",
      policy: withKey({ limits: ["2/minute"] }),
      before: [{ credential: KEY }, { credential: KEY }],
      request: { credential: KEY },
      expected: denial("rate_limited", {
        route: READ,
        key: "pos",
        segments: LIVE_EU,
        retryAfterSeconds: 30,
        remaining: [0],
      }),
    },
  ];
  runTable(rows);

  test("decide() passes a key from the instant it becomes valid to the last before it expires", () => {
    const policy = createPolicy(withKey({ notBeforeMs: NOW, expiresAtMs: NOW + 1000 }));
    const at = (nowMs: number) => ask(policy, { credential: KEY }, createState(), nowMs);
    expect(at(NOW - 1)).toMatchObject({ deny: "key_not_yet_valid" });
    expect(at(NOW)).toEqual(ALLOWED);
    expect(at(NOW + 999)).toEqual(ALLOWED);
    expect(at(NOW + 1000)).toMatchObject({ deny: "key_expired" });
  });

  test("decide() refuses as overloaded when the slow hash could not be queued", () => {
    const policy = createPolicy(withKey(SLOW_KEY));
    const refused = ask(policy, { credential: KEY }, createState(), NOW, { kind: "overloaded" });
    expect(refused).toEqual(denial("overloaded", { route: READ }));
  });

  test("decide() refuses as overloaded when it cannot count a key's requests", () => {
    const policy = createPolicy(withKey({ limits: ["2/minute"] }));
    const state = { ...createState(), buckets: createBucketTable(0) };
    const refused = ask(policy, { credential: KEY }, state);
    expect(refused).toEqual(denial("overloaded", { route: READ, key: "pos", segments: LIVE_EU }));
  });

  test("decide() gives each of its reasons in this table", () => {
    for (const row of rows) expect(row.expected).toMatchObject({ deny: row.reason });
    // The reasons that stand in the sources of the checks; `overloaded` has tests of its own.
    const sources = ["decide.ts", "key.ts"].map((name) => readFileSync(`src/policy/${name}`, "utf8")).join("");
    const written = DENIAL_REASONS.filter((reason) => sources.includes(`"${reason}"`));
    expect([...rows.map((row) => row.reason), "overloaded"].sort()).toEqual([...written].sort());
  });
});

describe("the order of decide()'s checks", () => {
  const networks = ["192.0.2.0/24"];
  const onPos = (known: Parameters<typeof denial>[1] = {}) => ({
    key: "pos",
    segments: LIVE_EU,
    route: READ,
    ...known,
  });
  const ambiguousPaths = {
    paths: { matrixParameters: "allow" },
    routes: [
      { match: "GET /open/a", public: true },
      { match: "GET /open/**", authenticated: true },
    ],
  } satisfies PolicyLiteral;

  runTable([
    {
      name: "judges the target before it asks for https",
      policy: withKey({}, { httpsRequired: true }),
      request: { target: "/orders/%2e%2e", secure: false },
      expected: denial("target_invalid"),
    },
    {
      name: "asks for https before it tells that a path has two readings",
      policy: withKey({}, { ...ambiguousPaths, httpsRequired: true }),
      request: { target: "/open/a;x=1", secure: false },
      expected: denial("https_required"),
    },
    {
      name: "asks for https before it serves a public route",
      policy: withKey({}, { httpsRequired: true }),
      request: { target: "/health", secure: false },
      expected: denial("https_required"),
    },
    {
      name: "refuses a path with two readings even if one of them is public",
      policy: withKey({}, ambiguousPaths),
      request: { target: "/open/a;x=1", credential: KEY },
      expected: denial("target_invalid"),
    },
    {
      name: "refuses a path with two readings before it sees a key in the query",
      policy: withKey({}, ambiguousPaths),
      request: { target: `/open/a;x=1?api_key=${KEY}` },
      expected: denial("target_invalid"),
    },
    {
      name: "serves a public route without a look at the credentials",
      policy: withKey(),
      request: { target: `/health?api_key=${KEY}`, credential: "opensesame", headers: [["X-API-Key", KEY]] },
      expected: { allow: "GET /health", key: undefined, remaining: [] },
    },
    {
      name: "speaks of the key in the query before the missing one in the header",
      policy: withKey(),
      request: { target: "/orders/1?api_key=x" },
      expected: denial("credential_in_url", { route: READ }),
    },
    {
      name: "speaks of the key in the query before two different ones in the headers",
      policy: withKey(),
      request: { target: "/orders/1?api_key=x", credential: KEY, headers: [["X-API-Key", UNKNOWN]] },
      expected: denial("credential_in_url", { route: READ }),
    },
    {
      name: "refuses a key in the query although a valid one stands in the header",
      policy: withKey(),
      request: { target: `/orders/1?api_key=${KEY}`, credential: KEY },
      expected: denial("credential_in_url", { route: READ }),
    },
    {
      name: "finds no credential before it finds no route",
      policy: withKey(),
      request: { target: "/nowhere" },
      expected: denial("credential_missing"),
    },
    {
      name: "finds two credentials before it finds both malformed",
      policy: withKey(),
      request: { credential: "open", headers: [["X-API-Key", "sesame"]] },
      expected: denial("credential_ambiguous", { route: READ }),
    },
    {
      name: "calls two different credentials ambiguous before one of another environment",
      policy: withKey(),
      request: { credential: KEY, headers: [["X-API-Key", credentialOf(1, "test")]] },
      expected: denial("credential_ambiguous", { route: READ }),
    },
    {
      name: "finds a credential malformed before it reads an environment from it",
      policy: withKey(),
      request: { credential: "bk_test_eu_tooshort" },
      expected: denial("credential_malformed", { route: READ }),
    },
    {
      name: "finds a malformed credential on an unknown route malformed",
      policy: withKey(),
      request: { target: "/nowhere", credential: "opensesame" },
      expected: denial("credential_malformed"),
    },
    {
      name: "checks the environment of a credential before its region, as written in accept",
      policy: withKey(),
      request: { credential: credentialOf(1, "test", "us") },
      expected: denial("environment_mismatch", { route: READ, segments: { environment: "test", region: "us" } }),
    },
    {
      name: "refuses a key of another environment before any hash: an unknown secret is not key_unknown",
      policy: withKey(),
      request: { credential: credentialOf(99, "test") },
      expected: denial("environment_mismatch", { route: READ, segments: { environment: "test", region: "eu" } }),
    },
    {
      name: "refuses a slow-hashed key of another region before it asks for verification",
      policy: withKey({ ...SLOW_KEY, prefix: "bk_" }),
      request: { credential: credentialOf(1, "live", "us") },
      expected: denial("region_mismatch", { route: READ, segments: { environment: "live", region: "us" } }),
    },
    {
      name: "refuses a registered, revoked key of another environment as of another environment",
      policy: withKey({ credential: credentialOf(1, "test"), status: "revoked" }),
      request: { credential: credentialOf(1, "test") },
      expected: denial("environment_mismatch", { route: READ, segments: { environment: "test", region: "eu" } }),
    },
    {
      name: "refuses a key of another environment before it looks at the failures of its address",
      policy: withKey({}, { failures: "1/minute" }),
      before: [{ credential: UNKNOWN }, { credential: UNKNOWN }],
      request: { credential: credentialOf(1, "test") },
      expected: denial("environment_mismatch", { route: READ, segments: { environment: "test", region: "eu" } }),
    },
    {
      name: "finds an unknown key on an unknown route unknown, never the route",
      policy: withKey(),
      request: { target: "/nowhere", credential: UNKNOWN },
      expected: denial("key_unknown"),
    },
    {
      name: "finds a revoked and expired key revoked",
      policy: withKey({ status: "revoked", expiresAtMs: NOW - 1 }),
      request: { credential: KEY },
      expected: denial("key_revoked", onPos()),
    },
    {
      name: "finds a key that expired before it became valid expired",
      policy: withKey({ expiresAtMs: NOW - 1, notBeforeMs: NOW + 1 }),
      request: { credential: KEY },
      expected: denial("key_expired", onPos()),
    },
    {
      name: "finds a suspended and expired key expired",
      policy: withKey({ status: "suspended", expiresAtMs: NOW - 1 }),
      request: { credential: KEY },
      expected: denial("key_expired", onPos()),
    },
    {
      name: "finds a suspended key that is not yet valid not yet valid",
      policy: withKey({ status: "suspended", notBeforeMs: NOW + 1 }),
      request: { credential: KEY },
      expected: denial("key_not_yet_valid", onPos()),
    },
    {
      name: "finds a suspended key on an unknown route suspended",
      policy: withKey({ status: "suspended" }),
      request: { target: "/nowhere", credential: KEY },
      expected: denial("key_suspended", onPos({ route: undefined })),
    },
    {
      name: "finds a revoked key outside its networks revoked",
      policy: withKey({ status: "revoked", allowIps: networks }),
      request: { credential: KEY },
      expected: denial("key_revoked", onPos()),
    },
    {
      name: "finds a suspended key without the scope suspended",
      policy: withKey({ status: "suspended", scopes: [] }),
      request: { credential: KEY },
      expected: denial("key_suspended", onPos()),
    },
    {
      name: "finds no route for a key outside its networks",
      policy: withKey({ allowIps: networks }),
      request: { target: "/nowhere", credential: KEY },
      expected: denial("route_unknown", onPos({ route: undefined })),
    },
    {
      name: "finds no route for a read-only key that writes",
      policy: withKey({ readOnly: true }),
      request: { method: "DELETE", target: "/orders/1", credential: KEY },
      expected: denial("route_unknown", onPos({ route: undefined })),
    },
    {
      name: "finds the scope missing of a read-only key that writes",
      policy: withKey({ readOnly: true }),
      request: { method: "POST", credential: KEY },
      expected: denial("scope_insufficient", onPos({ route: "POST /orders/**", scopes: ["orders:write"] })),
    },
    {
      name: "finds the scope missing of a key outside its networks",
      policy: withKey({ scopes: [], allowIps: networks }),
      request: { credential: KEY },
      expected: denial("scope_insufficient", onPos({ scopes: ["orders:read"] })),
    },
    {
      name: "finds a read-only key that writes from outside its networks read-only",
      policy: withKey({ scopes: ["orders:write"], readOnly: true, allowIps: networks }),
      request: { method: "POST", credential: KEY },
      expected: denial("key_read_only", onPos({ route: "POST /orders/**" })),
    },
    {
      name: "denies the address of a key that has also spent its limit",
      policy: withKey({ allowIps: networks, limits: ["1/minute"] }),
      before: [{ credential: KEY, from: "192.0.2.1" }],
      request: { credential: KEY },
      expected: denial("address_denied", onPos()),
    },
    {
      name: "finds the scope missing of a key that has also spent its limit",
      policy: withKey({ limits: ["1/minute"] }),
      before: [{ credential: KEY }],
      request: { method: "POST", credential: KEY },
      expected: denial("scope_insufficient", onPos({ route: "POST /orders/**", scopes: ["orders:write"] })),
    },
  ]);
});

describe("public routes", () => {
  const PUBLIC = { match: "GET /open/**", public: true } as const;

  test("decide() allows a public route without a principal, even to a valid key", () => {
    const expected = { allow: "GET /health", key: undefined, remaining: [] };
    expect(once(withKey(), { target: "/health" })).toEqual(expected);
    expect(once(withKey(), { target: "/health", credential: KEY })).toEqual(expected);
  });

  test("decide() serves HEAD where a public route says GET, and no other method", () => {
    expect(once(withKey(), { method: "HEAD", target: "/health" })).toEqual({
      allow: "GET /health",
      key: undefined,
      remaining: [],
    });
    expect(once(withKey(), { method: "POST", target: "/health" })).toEqual(denial("credential_missing"));
  });

  test("decide() holds a public route to its own networks", () => {
    const policy = { routes: [{ ...PUBLIC, allowIps: ["192.0.2.0/24"] }] };
    expect(once(policy, { target: "/open/a" })).toEqual(denial("address_denied", { route: PUBLIC.match }));
    expect(once(policy, { target: "/open/a", from: "192.0.2.9" })).toMatchObject({ allow: PUBLIC.match });
    expect(once(policy, { target: "/open/a", from: "::ffff:192.0.2.9" })).toMatchObject({ allow: PUBLIC.match });
  });

  test("decide() counts a public route's limits by client address, an IPv6 one by its /64", () => {
    const policy = createPolicy({ routes: [{ ...PUBLIC, limits: ["1/minute"] }] });
    const state = createState();
    const from = (address: string) => ask(policy, { target: "/open/a", from: address }, state);
    const allowed = { allow: PUBLIC.match, key: undefined, remaining: [0] };
    const limited = denial("rate_limited", { route: PUBLIC.match, retryAfterSeconds: 60, remaining: [0] });
    expect(from("203.0.113.1")).toEqual(allowed);
    expect(from("203.0.113.1")).toEqual(limited);
    expect(from("::ffff:203.0.113.1")).toEqual(limited);
    expect(from("203.0.113.2")).toEqual(allowed);
    expect(from("2001:db8:1:2::1")).toEqual(allowed);
    expect(from("2001:db8:1:2:ffff::9")).toEqual(limited);
    expect(from("2001:db8:1:3::1")).toEqual(allowed);
  });

  test("decide() lets the first match win, whether it is public or not", () => {
    const guarded = { match: "GET /open/admin/**", authenticated: true } as const;
    const keys = [{ id: "pos", credential: "secret" }];
    const target = "/open/admin/x";
    expect(once({ keys, routes: [guarded, PUBLIC] }, { target })).toEqual(
      denial("credential_missing", { route: guarded.match }),
    );
    expect(once({ keys, routes: [PUBLIC, guarded] }, { target })).toMatchObject({ allow: PUBLIC.match });
  });
});

describe("no route", () => {
  test("decide() denies by default: a policy without routes allows nothing", () => {
    const policy = { keys: [{ id: "pos", credential: "secret", scopes: ["*"] }] };
    expect(once(policy, {})).toEqual(denial("credential_missing"));
    expect(once(policy, { credential: "other" })).toEqual(denial("key_unknown"));
    expect(once(policy, { credential: "secret" })).toEqual(denial("route_unknown", { key: "pos" }));
  });

  test("decide() tells nobody but a valid key whether a route exists", () => {
    for (const credential of [undefined, "opensesame", UNKNOWN, credentialOf(1, "test")]) {
      const presented = credential === undefined ? {} : { credential };
      const known = once(withKey(), { target: "/orders/1", ...presented });
      const unknown = once(withKey(), { target: "/nowhere", ...presented });
      expect(unknown).toEqual({ ...known, route: undefined });
    }
  });

  test("decide() finds no route for a method no route names", () => {
    expect(once(withKey(), { method: "DELETE", credential: KEY })).toMatchObject({ deny: "route_unknown", key: "pos" });
    expect(once(withKey(), { method: "get", credential: KEY })).toMatchObject({ deny: "route_unknown", key: "pos" });
  });
});

describe("presenting a credential", () => {
  const missing = denial("credential_missing", { route: READ });
  const malformed = denial("credential_malformed", { route: READ });
  const ambiguous = denial("credential_ambiguous", { route: READ });
  const header = (...headers: readonly (readonly [string, string])[]) => once(withKey(), { headers });

  const cases: readonly (readonly [string, readonly (readonly [string, string])[], Summary])[] = [
    ["accepts the first configured location", [["Authorization", `Bearer ${KEY}`]], ALLOWED],
    ["accepts another configured location", [["X-API-Key", KEY]], ALLOWED],
    ["ignores the case of a field name", [["x-aPi-kEY", KEY]], ALLOWED],
    ["ignores the case of a scheme", [["authorization", `bEARER ${KEY}`]], ALLOWED],
    ["accepts several blanks after the scheme", [["Authorization", `Bearer   ${KEY}`]], ALLOWED],
    ["accepts blanks and tabs around a value", [["X-API-Key", ` \t${KEY}\t `]], ALLOWED],
    [
      "takes the same value in two places as one",
      [
        ["Authorization", `Bearer ${KEY}`],
        ["X-API-Key", KEY],
      ],
      ALLOWED,
    ],
    [
      "takes the same line twice as one",
      [
        ["X-API-Key", KEY],
        ["X-API-Key", KEY],
      ],
      ALLOWED,
    ],
    ["finds nothing in an empty field", [["X-API-Key", ""]], missing],
    ["finds nothing in blanks and tabs", [["X-API-Key", " \t "]], missing],
    ["finds nothing in a scheme alone", [["Authorization", "Bearer"]], missing],
    ["finds nothing in a scheme and blanks", [["Authorization", "Bearer   "]], missing],
    ["finds nothing in another scheme", [["Authorization", `Basic ${KEY}`]], missing],
    ["finds nothing in a longer scheme", [["Authorization", `Bearerx ${KEY}`]], missing],
    ["finds nothing in a value without its scheme", [["Authorization", KEY]], missing],
    ["finds nothing where no blank follows the scheme", [["Authorization", `Bearer\t${KEY}`]], missing],
    [
      "finds nothing in a field nobody configured",
      [
        ["X-Api_Key", KEY],
        ["Cookie", `X-API-Key=${KEY}`],
      ],
      missing,
    ],
    [
      "passes over an empty field beside a good one",
      [
        ["X-API-Key", ""],
        ["Authorization", `Bearer ${KEY}`],
      ],
      ALLOWED,
    ],
    [
      "passes over another scheme beside a good field",
      [
        ["Authorization", "Basic eDp5"],
        ["X-API-Key", KEY],
      ],
      ALLOWED,
    ],
    [
      "refuses two different lines",
      [
        ["X-API-Key", KEY],
        ["X-API-Key", UNKNOWN],
      ],
      ambiguous,
    ],
    [
      "refuses two different lines in either order",
      [
        ["X-API-Key", UNKNOWN],
        ["X-API-Key", KEY],
      ],
      ambiguous,
    ],
    [
      "refuses two different places",
      [
        ["X-API-Key", UNKNOWN],
        ["Authorization", `Bearer ${KEY}`],
      ],
      ambiguous,
    ],
    [
      "refuses a good value and a third, different one",
      [
        ["X-API-Key", KEY],
        ["X-API-Key", KEY],
        ["X-API-Key", "x"],
      ],
      ambiguous,
    ],
    [
      "tells values apart by case",
      [
        ["X-API-Key", KEY],
        ["X-API-Key", KEY.toUpperCase()],
      ],
      ambiguous,
    ],
    ["refuses values joined by a comma", [["X-API-Key", `${KEY},${KEY}`]], malformed],
    ["refuses values joined by a comma and a blank", [["X-API-Key", `${KEY}, ${KEY}`]], malformed],
    ["refuses joined lines with schemes", [["Authorization", `Bearer ${KEY}, Bearer ${KEY}`]], malformed],
    ["refuses a comma after the value", [["X-API-Key", `${KEY},`]], malformed],
    ["refuses two values in one field", [["Authorization", `Bearer ${KEY} ${KEY}`]], malformed],
    ["refuses a scheme where none is asked for", [["X-API-Key", `Bearer ${KEY}`]], malformed],
    ["refuses a scheme said twice", [["Authorization", `Bearer Bearer ${KEY}`]], malformed],
    ["refuses quotes", [["X-API-Key", `"${KEY}"`]], malformed],
    ["refuses a non-breaking space after the value", [["X-API-Key", `${KEY}\u00a0`]], malformed],
    ["refuses a non-breaking space before the value", [["Authorization", `Bearer \u00a0${KEY}`]], malformed],
    ["refuses a byte-order mark before the value", [["X-API-Key", `\ufeff${KEY}`]], malformed],
    ["refuses a vertical tab or form feed around the value", [["X-API-Key", `\u000b${KEY}\u000c`]], malformed],
    ["refuses a line break of a folded field", [["X-API-Key", `${KEY}\r\n `]], malformed],
    ["refuses a NUL after the value", [["X-API-Key", `${KEY}\u0000`]], malformed],
    ["refuses bytes outside ASCII", [["X-API-Key", `${KEY.slice(0, -1)}\u00e9`]], malformed],
    ["refuses a lone non-breaking space, which presents something", [["X-API-Key", "\u00a0"]], malformed],
  ];
  for (const [name, headers, expected] of cases) {
    test(`decide() ${name}`, () => expect(header(...headers)).toEqual(expected));
  }

  test("decide() finds a value and the same value in a non-breaking space ambiguous", () => {
    expect(header(["X-API-Key", KEY], ["Authorization", `Bearer ${KEY}\u00a0`])).toEqual(ambiguous);
  });

  test("decide() reads no credential from a name at the place of a value", () => {
    expect(header(["X-Note", "X-API-Key"], [KEY, "X-API-Key"])).toEqual(missing);
  });

  test("decide() without formats takes any visible text of up to 512 characters for a credential", () => {
    const long = "k".repeat(512);
    const policy = { routes: BASE.routes, keys: [{ id: "long", credential: long, scopes: ["*"] }] };
    expect(once(policy, { credential: long })).toMatchObject({ allow: READ, key: "long" });
    expect(once(policy, { credential: `${long}k` })).toEqual(malformed);
    const compiled = createPolicy(policy);
    for (let round = 0; round < 2; round += 1) {
      expect(ask(compiled, { credential: long })).toMatchObject({ allow: READ, key: "long" });
      expect(ask(compiled, { credential: `${long}k` })).toEqual(malformed);
    }
    expect(once(policy, { credential: "!#$%&'()*+-./:;<=>?@[\\]^_`{|}~" })).toEqual(
      denial("key_unknown", { route: READ }),
    );
  });

  test("decide() reads several schemes of one field", () => {
    const policy = withKey({}, { locations: ["Authorization: ApiKey", "Authorization: Bearer"] });
    expect(once(policy, { headers: [["Authorization", `ApiKey ${KEY}`]] })).toEqual(ALLOWED);
    expect(once(policy, { headers: [["Authorization", `Bearer ${KEY}`]] })).toEqual(ALLOWED);
    expect(
      once(policy, {
        headers: [
          ["Authorization", `Bearer ${KEY}`],
          ["Authorization", `ApiKey ${UNKNOWN}`],
        ],
      }),
    ).toEqual(ambiguous);
  });
});

describe("a key in the URL", () => {
  const inUrl = denial("credential_in_url", { route: READ });
  const query = (text: string, policy: PolicyLiteral = withKey()) =>
    once(policy, { target: `/orders/1?${text}`, credential: KEY });
  const encoded = `%62${KEY.slice(1)}`;

  const refused: readonly (readonly [string, string])[] = [
    ["by the name of its parameter, whatever the value", "api_key=anything"],
    ["by a name in camel case", "apiKey=x"],
    ["by a name in capitals with a hyphen", "API-KEY=x"],
    ["by a name without a separator", "apikey=x"],
    ["by a name with an encoded separator", "api%5Fkey=x"],
    ["by a name that is encoded throughout", "%61%70%69%5f%6b%65%79=x"],
    ["by a name with a plus for a blank", "api+key=x"],
    ["by a name with an escape of ASP.NET", "%u0061pi_key=x"],
    ["by a name beside bytes that are no UTF-8", "api_%6bey%ff=x"],
    ["by a name with brackets", "api_key[]=x"],
    ["by a name with a dot", "api.key=x"],
    ["among other parameters", "a=1&b=2&access_token=x&c=3"],
    ["behind empty pairs", "&&&api_key=x"],
    ["by the second of two parameters of one name", "api_key=&api_key=x"],
    ["by its looks, under any name", `q=${KEY}`],
    ["by its looks, though nobody registered it", `q=${UNKNOWN}`],
    ["by its looks, though of another environment", `q=${credentialOf(1, "test", "us")}`],
    ["by its looks when encoded", `q=${encoded}`],
    ["by its looks when encoded as ASP.NET decodes it", `q=%u0062${KEY.slice(1)}`],
    ["by its looks after an equals sign without a name", `=${KEY}`],
    ["by its looks as a parameter without a value", KEY],
    ["by its looks as an encoded parameter without a value", encoded],
    ["by its looks as the name of an empty parameter", `${KEY}=`],
  ];
  for (const [name, text] of refused) {
    test(`decide() refuses a key in the query ${name}`, () => expect(query(text)).toEqual(inUrl));
  }

  const passed: readonly (readonly [string, string])[] = [
    ["an empty query", ""],
    ["an empty parameter of such a name", "api_key="],
    ["a parameter of such a name without a value", "api_key"],
    ["a name that only holds such a name", "my_api_keys=x"],
    ["a value that is almost a key", `q=${KEY.slice(0, -1)}`],
    ["a bad percent-encoding", "a=%zz&%=%"],
    ["names of the object prototype", "__proto__=x&constructor=y"],
  ];
  for (const [name, text] of passed) {
    test(`decide() passes over ${name} in the query`, () => expect(query(text)).toEqual(ALLOWED));
  }

  test("decide() knows a key by its looks although a format without a prefix fits it too", () => {
    const formats = ["{secret:base64url(32..64)}", ...BASE.formats];
    expect(query(`q=${KEY}`, withKey({}, { formats }))).toEqual(inUrl);
  });

  test("decide() takes no value for a key by the looks of a format without a prefix", () => {
    const formats = ["{secret:hex(32)}"];
    const policy = withKey({ credential: "0".repeat(32) }, { formats, accept: {} });
    const request = { target: `/orders/1?etag=${"f".repeat(32)}`, credential: "0".repeat(32) };
    expect(once(policy, request)).toEqual(ALLOWED);
  });

  test("decide() passes a key in the query where it is to be stripped or ignored, but never reads it", () => {
    for (const mode of ["strip", "ignore"] as const) {
      expect(query(`api_key=${KEY}`, withKey({}, { inUrl: mode }))).toEqual(ALLOWED);
      expect(query(`api_key=${UNKNOWN}`, withKey({}, { inUrl: mode }))).toEqual(ALLOWED);
      expect(once(withKey({}, { inUrl: mode }), { target: `/orders/1?api_key=${KEY}` })).toEqual(
        denial("credential_missing", { route: READ }),
      );
    }
  });
});

describe("segments of a credential", () => {
  const formats = ["ak_{tier:free|paid}_{secret:hex(8)}", "old_{secret:hex(8)}"];
  const keys = [
    { id: "free", credential: "ak_free_00000001" },
    { id: "old", credential: "old_00000001" },
  ];
  const routes = [{ match: "GET /orders/**", authenticated: true }] as const;

  test("decide() refuses a value this instance does not serve under one reason, whatever the segment", () => {
    const policy = { formats, keys, routes, accept: { tier: ["paid"] } };
    expect(once(policy, { credential: "ak_free_00000001" })).toEqual(
      denial("environment_mismatch", { route: READ, segments: { tier: "free" } }),
    );
  });

  test("decide() judges no segment that accept does not list, and none that the format lacks", () => {
    const policy = { formats, keys, routes, accept: { environment: ["live"] } };
    expect(once(policy, { credential: "ak_free_00000001" })).toMatchObject({ allow: READ, key: "free" });
    expect(once({ ...policy, accept: { tier: ["paid"] } }, { credential: "old_00000001" })).toMatchObject({
      allow: READ,
      key: "old",
    });
  });

  test("decide() accepts nothing of a segment whose list is empty", () => {
    const policy = { formats, keys, routes, accept: { tier: [] } };
    expect(once(policy, { credential: "ak_free_00000001" })).toMatchObject({ deny: "environment_mismatch" });
  });

  test("decide() checks region before environment where accept names it first", () => {
    const policy = withKey({}, { accept: { region: ["eu"], environment: ["live"] } });
    expect(once(policy, { credential: credentialOf(1, "test", "us") })).toMatchObject({ deny: "region_mismatch" });
  });

  test("decide() hands the segments on with the principal", () => {
    const decision = decide(toFacts({ credential: KEY }), createPolicy(withKey()), createState(), NOW);
    expect(decision).toMatchObject({
      kind: "allow",
      principal: { key: { id: "pos" }, segments: new Map(Object.entries(LIVE_EU)) },
    });
  });

  test("parseKeyFormat() refuses choices that make two readings of a text, and so a million of a long one", () => {
    const choices = (count: number, values: string) =>
      Array.from({ length: count }, (_, index) => `{c${index}:${values}}`).join("");
    const parse = (text: string) => parseKeyFormat(text).kind;
    expect(parse(`k_${choices(24, "a|aa")}_{secret:hex(32)}`)).toBe("problem");
    expect(parse("k_{c:us|us-east}-{secret:hex(32)}")).toBe("problem");
    expect(parse("k_{c:a|a}{secret:hex(32)}")).toBe("problem");
    expect(parse("k_{c:us|us-east}_{d:live|livetest}.{secret:hex(32)}")).toBe("format");
    expect(parse("k_{c:us|eu}{secret:hex(32)}{d:a|ab}")).toBe("format");
  });

  test("decide() refuses a credential with a wrong checksum as malformed", () => {
    const policy = { formats: ["gh_{secret:base62(30)}{checksum:crc32}"], keys, routes };
    const secret = "0".repeat(30);
    expect(once(policy, { credential: `gh_${secret}000000` })).toEqual(denial("credential_malformed", { route: READ }));
  });
});

describe("scopes", () => {
  const derived = {
    routes: [
      {
        match: "* /api/{resource}/**",
        scopes: ["{resource}.{action}"],
        aliases: { clients: "client", people: "person", "*ies": "*y", "*s": "*" },
      },
    ],
  } satisfies PolicyLiteral;
  const needs = (method: string, target: string, scopes: readonly string[], rest: PolicyLiteral = {}) =>
    once(
      { ...derived, ...rest, keys: [{ id: "pos", credential: "secret", scopes }] },
      {
        method,
        target,
        credential: "secret",
      },
    );
  const lacks = (...scopes: readonly string[]) =>
    denial("scope_insufficient", { route: "* /api/{resource}/**", key: "pos", scopes });
  const granted = { allow: "* /api/{resource}/**", key: "pos", remaining: [] };

  test("decide() derives a scope from the path and the method", () => {
    expect(needs("GET", "/api/bread/1", [])).toEqual(lacks("bread.read"));
    expect(needs("HEAD", "/api/bread", [])).toEqual(lacks("bread.read"));
    expect(needs("POST", "/api/bread", [])).toEqual(lacks("bread.create"));
    expect(needs("PATCH", "/api/bread/", [])).toEqual(lacks("bread.update"));
    expect(needs("DELETE", "/api/bread/1", ["bread.delete"])).toEqual(granted);
    expect(needs("DELETE", "/api/bread/1", ["bread.read", "bread.update"])).toEqual(lacks("bread.delete"));
  });

  test("decide() renames by exact alias first, then by the first ending that fits", () => {
    expect(needs("GET", "/api/clients", [])).toEqual(lacks("client.read"));
    expect(needs("GET", "/api/people", [])).toEqual(lacks("person.read"));
    expect(needs("GET", "/api/deliveries", [])).toEqual(lacks("delivery.read"));
    expect(needs("GET", "/api/invoices", [])).toEqual(lacks("invoice.read"));
    expect(needs("GET", "/api/s", [])).toEqual(lacks("s.read"));
    expect(needs("GET", "/api/ies", [])).toEqual(lacks("ie.read"));
    expect(needs("GET", "/api/clients", ["clients.read"])).toEqual(lacks("client.read"));
  });

  test("decide() grants nobody a derived scope for a method without an action, but the holder of all", () => {
    expect(needs("PROPFIND", "/api/bread", ["bread.*", "*.*"])).toEqual(lacks("*"));
    expect(needs("OPTIONS", "/api/bread", ["{resource}.{action}"])).toEqual(lacks("*"));
    expect(needs("PROPFIND", "/api/bread", ["*"])).toEqual(granted);
    const actions = { actions: { PROPFIND: "list" } };
    expect(needs("PROPFIND", "/api/bread", ["bread.list"], actions)).toEqual(granted);
    expect(needs("GET", "/api/bread", ["bread.read"], actions)).toEqual(lacks("*"));
  });

  test("decide() derives no scope from a parameter that holds more than a plain name", () => {
    const nasty = [
      "bread.read:x",
      "a.b",
      "a:b",
      "*",
      "%2a",
      "%2A.%2A",
      "{resource}",
      "%7Bresource%7D",
      "a%20b",
      "%C3%A9",
    ];
    for (const value of [...nasty, "a,b", "a@b", "a+b", "client%2E", "b~"]) {
      const decision = needs("GET", `/api/${value}`, ["bread.*", "*.*", "*.read", "a.*", "a:*"]);
      const expected = /^\{/.test(value) ? denial("target_invalid") : lacks("*");
      expect({ value, decision }).toEqual({ value, decision: expected });
    }
  });

  test("decide() takes names of the object prototype for plain names", () => {
    for (const value of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      const plain = { ...derived, routes: [{ match: "* /api/{resource}/**", scopes: ["{resource}.{action}"] }] };
      expect(needs("GET", `/api/${value}`, [], plain)).toEqual(lacks(`${value}.read`));
    }
    expect(needs("constructor", "/api/bread", ["bread.*"])).toEqual(lacks("*"));
  });

  test("decide() wants every one of scopes, and names only the missing", () => {
    const routes = [{ match: READ, scopes: ["a", "b", "c"] }];
    const held = (...scopes: readonly string[]) => once(withKey({ scopes }, { routes }), { credential: KEY });
    const known = { route: READ, key: "pos", segments: LIVE_EU };
    expect(held("a", "b", "c")).toEqual(ALLOWED);
    expect(held("b")).toEqual(denial("scope_insufficient", { ...known, scopes: ["a", "c"] }));
    expect(held()).toEqual(denial("scope_insufficient", { ...known, scopes: ["a", "b", "c"] }));
  });

  test("decide() wants any one of anyScope", () => {
    const routes = [{ match: READ, anyScope: ["a", "b"] }];
    const held = (...scopes: readonly string[]) => once(withKey({ scopes }, { routes }), { credential: KEY });
    expect(held("b")).toEqual(ALLOWED);
    expect(held("a", "b")).toEqual(ALLOWED);
    expect(held("c")).toEqual(
      denial("scope_insufficient", { route: READ, key: "pos", segments: LIVE_EU, scopes: ["a", "b"] }),
    );
  });

  test("decide() names once what nobody but the holder of all has", () => {
    const routes = [{ match: "* /api/{resource}/**", scopes: ["{resource}.{action}", "x.{action}", "plain"] }];
    expect(needs("QUERY", "/api/bread", [], { routes })).toEqual(lacks("*", "plain"));
  });

  test("decide() passes anyScope by a plain scope where the derived one has no meaning", () => {
    const routes = [{ match: "* /api/{resource}/**", anyScope: ["{resource}.{action}", "admin"] }];
    expect(needs("PROPFIND", "/api/bread", ["admin"], { routes })).toEqual(granted);
    expect(needs("PROPFIND", "/api/bread", ["bread.*"], { routes })).toEqual(lacks("*", "admin"));
  });

  test("decide() denies a route with an empty anyScope to everybody but the holder of all", () => {
    const routes = [{ match: READ, anyScope: [] }];
    expect(once(withKey({ scopes: ["a"] }, { routes }), { credential: KEY })).toMatchObject({
      deny: "scope_insufficient",
    });
  });

  test("decide() grants by wildcard, segment by segment", () => {
    expect(needs("GET", "/api/bread", ["*"])).toEqual(granted);
    expect(needs("GET", "/api/bread", ["bread.*"])).toEqual(granted);
    expect(needs("GET", "/api/bread", ["*.read"])).toEqual(granted);
    expect(needs("GET", "/api/bread", ["*.create"])).toEqual(lacks("bread.read"));
    expect(needs("GET", "/api/bread", ["bread*"])).toEqual(granted);
    expect(needs("GET", "/api/breadstick", ["bread.*"])).toEqual(lacks("breadstick.read"));
    expect(needs("GET", "/api/bread", ["bread"])).toEqual(lacks("bread.read"));
    expect(needs("GET", "/api/bread", ["BREAD.READ"])).toEqual(lacks("bread.read"));
  });

  test("decide() follows what a catalogued scope implies", () => {
    const catalogue = new Map([
      ["orders:write", ["orders:read"]],
      ["orders:admin", ["orders:write"]],
    ]);
    expect(once(withKey({ scopes: ["orders:admin"] }, { catalogue }), { credential: KEY })).toEqual(ALLOWED);
    expect(once(withKey({ scopes: ["orders:write"] }), { credential: KEY })).toMatchObject({
      deny: "scope_insufficient",
    });
  });

  test("decide() answers at once whatever the wildcards of a key and the length of a path", () => {
    const scopes = ["*a*a*a*a*a*a*a*a*.read", "*a*a*a*a*a*a*a*a*a*x"];
    const startedMs = performance.now();
    expect(needs("GET", `/api/${"a".repeat(4000)}b`, scopes)).toMatchObject({ deny: "scope_insufficient" });
    expect(performance.now() - startedMs).toBeLessThan(1000);
  });
});

describe("read-only keys", () => {
  const routes = [{ match: "* /orders/**", authenticated: true }] as const;
  const method = (name: string) => once(withKey({ readOnly: true }, { routes }), { method: name, credential: KEY });

  test("decide() lets a read-only key GET, HEAD and OPTIONS, and nothing else", () => {
    const allowed = { allow: "* /orders/**", key: "pos", remaining: [] };
    for (const name of ["GET", "HEAD", "OPTIONS"]) expect(method(name)).toEqual(allowed);
    const others = ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "SEARCH", "QUERY", "get", "Get", ""];
    for (const name of others) expect(method(name)).toMatchObject({ deny: "key_read_only" });
  });
});

describe("networks", () => {
  const denied = denial("address_denied", { route: READ, key: "pos", segments: LIVE_EU });
  const fromKey = (allowIps: readonly string[], from: string) => once(withKey({ allowIps }), { credential: KEY, from });

  test("decide() admits a key from its networks only", () => {
    const ranges = ["192.0.2.0/24", "2001:db8::/32"];
    expect(fromKey(ranges, "192.0.2.255")).toEqual(ALLOWED);
    expect(fromKey(ranges, "::ffff:192.0.2.1")).toEqual(ALLOWED);
    expect(fromKey(ranges, "2001:db8:ffff::1")).toEqual(ALLOWED);
    expect(fromKey(ranges, "192.0.3.0")).toEqual(denied);
    expect(fromKey(ranges, "2001:db9::1")).toEqual(denied);
    expect(fromKey([], "192.0.2.1")).toEqual(denied);
  });

  test("decide() wants a route's networks as well as the key's", () => {
    const at = (key: Partial<KeyLiteral>, from: string) =>
      once(withKey(key), { target: "/office/1", credential: KEY, from });
    const allowed = { allow: "GET /office/**", key: "pos", remaining: [] };
    const outside = { ...denied, route: "GET /office/**" };
    expect(at({}, "192.0.2.1")).toEqual(allowed);
    expect(at({}, "203.0.113.1")).toEqual(outside);
    expect(at({ allowIps: ["192.0.2.0/28"] }, "192.0.2.1")).toEqual(allowed);
    expect(at({ allowIps: ["192.0.2.0/28"] }, "192.0.2.100")).toEqual(outside);
    expect(at({ allowIps: ["203.0.113.0/24"] }, "203.0.113.1")).toEqual(outside);
  });
});

describe("limits", () => {
  const limited = {
    ...withKey({ limits: ["4/minute", "10/hour"] }),
    routes: [
      { match: READ, authenticated: true },
      { match: "POST /orders/**", authenticated: true, cost: 3, limits: ["6/hour"] },
    ],
  } satisfies PolicyLiteral;

  function start() {
    const policy = createPolicy(limited);
    const state = createState();
    return (method: string, nowMs: number = NOW) => ask(policy, { method, credential: KEY }, state, nowMs);
  }

  test("decide() takes a route's cost from every bucket and reports what is left", () => {
    const request = start();
    expect(request("GET")).toEqual({ allow: READ, key: "pos", remaining: [3, 9] });
    expect(request("POST")).toEqual({ allow: "POST /orders/**", key: "pos", remaining: [0, 6, 3] });
  });

  test("decide() takes from no bucket when one of them denies", () => {
    const request = start();
    expect(request("POST")).toMatchObject({ remaining: [1, 7, 3] });
    const denied = { deny: "rate_limited", remaining: [1, 7, 3], retryAfterSeconds: 30 };
    for (let attempt = 0; attempt < 5; attempt += 1) expect(request("POST")).toMatchObject(denied);
    expect(request("GET")).toEqual({ allow: READ, key: "pos", remaining: [0, 6] });
  });

  test("decide() admits one request after the wait it announced, of the slowest denying limit", () => {
    const request = start();
    expect(request("POST")).toMatchObject({ remaining: [1, 7, 3] });
    expect(request("POST", NOW + 60_000)).toMatchObject({ remaining: [1, 4, 0] });
    const later = NOW + 120_000;
    const denied = request("POST", later);
    expect(denied).toMatchObject({ deny: "rate_limited", remaining: [4, 4, 0], retryAfterSeconds: 1680 });
    expect(request("POST", later + 1_679_000)).toMatchObject({ deny: "rate_limited", retryAfterSeconds: 1 });
    expect(request("POST", later + 1_680_000)).toMatchObject({ allow: "POST /orders/**" });
  });

  test("decide() reports as remaining no more than it then admits", () => {
    const policy = createPolicy(withKey({ limits: ["20/minute"] }));
    const state = createState();
    ask(policy, { credential: KEY }, state);
    // A millisecond short of a whole refill: the bucket holds not quite 19 after the next request.
    const almost = NOW + 2999;
    expect(ask(policy, { credential: KEY }, state, almost)).toMatchObject({ allow: READ, remaining: [18] });
    for (let left = 17; left >= 0; left -= 1) {
      expect(ask(policy, { credential: KEY }, state, almost)).toMatchObject({ allow: READ, remaining: [left] });
    }
    expect(ask(policy, { credential: KEY }, state, almost)).toMatchObject({ deny: "rate_limited" });
  });

  test("decide() charges nothing for a request it refuses for another reason", () => {
    const policy = createPolicy(
      withKey({ limits: ["1/minute"], allowIps: ["192.0.2.0/24"], readOnly: true, scopes: ["orders:*"] }),
    );
    const state = createState();
    const refused: readonly RequestLiteral[] = [
      { credential: KEY },
      { credential: KEY, method: "POST", from: "192.0.2.1" },
      { credential: KEY, target: "/nowhere", from: "192.0.2.1" },
      { credential: KEY, target: "/orders/..", from: "192.0.2.1" },
      { credential: KEY, target: "/orders?api_key=x", from: "192.0.2.1" },
      { credential: KEY, headers: [["X-API-Key", UNKNOWN]], from: "192.0.2.1" },
    ];
    for (const request of refused) expect(ask(policy, request, state)).toHaveProperty("deny");
    expect(ask(policy, { credential: KEY, from: "192.0.2.1" }, state)).toMatchObject({ allow: READ, remaining: [0] });
  });

  test("decide() keeps the buckets of two keys, and of two routes, apart", () => {
    const policy = createPolicy({
      routes: [
        { match: "GET /a", authenticated: true, limits: ["1/minute"] },
        { match: "GET /b", authenticated: true, limits: ["1/minute"] },
      ],
      keys: [
        { id: "one", credential: "first" },
        { id: "two", credential: "second" },
      ],
    });
    const state = createState();
    for (const credential of ["first", "second"]) {
      for (const target of ["/a", "/b"]) {
        expect(ask(policy, { target, credential }, state)).toMatchObject({ remaining: [0] });
        expect(ask(policy, { target, credential }, state)).toMatchObject({ deny: "rate_limited" });
      }
    }
  });

  test("decide() keeps what was spent across a changed policy", () => {
    const state = createState();
    const before = createPolicy(withKey({ limits: ["2/minute"] }));
    const after = createPolicy(withKey({ limits: ["4/minute"] }));
    expect(ask(before, { credential: KEY }, state)).toMatchObject({ remaining: [1] });
    expect(ask(after, { credential: KEY }, state)).toMatchObject({ remaining: [2] });
  });
});

describe("what the log says of a refusal", () => {
  const detailOf = (policy: PolicyLiteral, request: RequestLiteral, count = 1): string => {
    const [compiled, state] = [createPolicy(policy), createState()];
    const decisions = Array.from({ length: count }, () => decide(toFacts(request), compiled, state, NOW));
    const last = decisions.at(-1);
    return last?.kind === "deny" ? last.detail : "";
  };
  const asking = { credential: KEY, from: "203.0.113.7" };
  const elsewhere = ["192.0.2.0/24"];

  test("decide() says whose allowlist the address is not in", () => {
    expect(detailOf(withKey({ allowIps: elsewhere }), asking)).toBe("not in allowIps of the key");
    const routes = [{ match: READ, authenticated: true, allowIps: elsewhere }] as const;
    expect(detailOf(withKey({}, { routes }), asking)).toBe("not in allowIps of the route");
    expect(detailOf(withKey({ allowIps: elsewhere }, { routes }), asking)).toBe("not in allowIps of the key");
    const open = [{ match: READ, public: true, allowIps: elsewhere }] as const;
    expect(detailOf(withKey({}, { routes: open }), asking)).toBe("not in allowIps of the route");
  });

  test("decide() says which scopes are missing", () => {
    const routes = [{ match: READ, scopes: ["a", "orders:read", "b"] }];
    expect(detailOf(withKey({}, { routes }), asking)).toBe("lacks a, b");
  });

  test("decide() says which limits refuse", () => {
    const routes = [{ match: READ, authenticated: true, cost: 3, limits: ["5/minute", "100/hour"] }] as const;
    const policy = withKey({ limits: ["4/second"] }, { routes });
    expect(detailOf(policy, asking, 2)).toBe(`over 4/second (key), 5/minute (route:${READ})`);
    expect(detailOf({ ...policy, keys: [{ id: "pos", credential: KEY }] }, asking, 2)).toBe(
      `over 5/minute (route:${READ})`,
    );
  });
});

describe("the budget of failures", () => {
  const FAILURES = { failures: "2/minute" };
  const over = (known: Parameters<typeof denial>[1] = {}) =>
    denial("failures_exceeded", { route: READ, retryAfterSeconds: 30, ...known });

  function start(literal: PolicyLiteral, state: OpenState = createState()) {
    const policy = createPolicy({ ...literal, ...FAILURES });
    return {
      state,
      request: (request: RequestLiteral, nowMs: number = NOW, verification?: Verification) =>
        ask(policy, request, state, nowMs, verification),
    };
  }

  test("decide() counts unknown and malformed credentials against one budget of the address", () => {
    const { request } = start(withKey());
    expect(request({ credential: UNKNOWN })).toEqual(denial("key_unknown", { route: READ }));
    expect(request({ credential: "opensesame" })).toEqual(denial("credential_malformed", { route: READ }));
    expect(request({ credential: UNKNOWN })).toEqual(over());
    expect(request({ credential: "opensesame" })).toEqual(over());
    expect(request({ credential: UNKNOWN, target: "/nowhere" })).toEqual(over({ route: undefined }));
  });

  test("decide() counts the address again after the wait it announced", () => {
    const { request } = start(withKey());
    for (let attempt = 0; attempt < 2; attempt += 1) request({ credential: UNKNOWN });
    expect(request({ credential: UNKNOWN }, NOW + 29_000)).toEqual(over({ retryAfterSeconds: 1 }));
    expect(request({ credential: UNKNOWN }, NOW + 30_000)).toEqual(denial("key_unknown", { route: READ }));
  });

  test("decide() counts neither missing, ambiguous nor misplaced credentials, nor those of another environment", () => {
    const { request } = start(withKey({ status: "revoked" }));
    const uncounted: readonly RequestLiteral[] = [
      {},
      { headers: [["X-API-Key", ""]] },
      { credential: KEY, headers: [["X-API-Key", UNKNOWN]] },
      { target: `/orders/1?api_key=${UNKNOWN}` },
      { credential: credentialOf(2, "test") },
      { credential: KEY },
      { target: "/orders/..", credential: UNKNOWN },
      { target: "/health", credential: UNKNOWN },
    ];
    for (let round = 0; round < 3; round += 1) for (const one of uncounted) request(one);
    expect(request({ credential: UNKNOWN })).toEqual(denial("key_unknown", { route: READ }));
    expect(request({ credential: UNKNOWN })).toEqual(denial("key_unknown", { route: READ }));
    expect(request({ credential: UNKNOWN })).toEqual(over());
  });

  test("decide() counts a whole IPv6 /64 together, and no other address", () => {
    const { request } = start(withKey());
    request({ credential: UNKNOWN, from: "2001:db8::1" });
    request({ credential: UNKNOWN, from: "2001:db8::2" });
    expect(request({ credential: UNKNOWN, from: "2001:db8::3" })).toEqual(over());
    expect(request({ credential: UNKNOWN, from: "2001:db8:0:1::1" })).toEqual(denial("key_unknown", { route: READ }));
    expect(request({ credential: UNKNOWN, from: "203.0.113.9" })).toEqual(denial("key_unknown", { route: READ }));
  });

  test("decide() passes a key that verifies by digest from an address over its budget", () => {
    const { request } = start(withKey());
    for (let attempt = 0; attempt < 5; attempt += 1) request({ credential: UNKNOWN });
    expect(request({ credential: KEY })).toEqual(ALLOWED);
    expect(request({})).toEqual(denial("credential_missing", { route: READ }));
  });

  test("decide() never counts a failure against a key, nor lets a key's requests fill the budget", () => {
    const { request, state } = start(withKey({ limits: ["3/minute"] }));
    for (let attempt = 0; attempt < 5; attempt += 1) request({ credential: UNKNOWN });
    expect(request({ credential: KEY })).toMatchObject({ allow: READ, remaining: [2] });
    expect([...state.buckets.owners.keys()]).toEqual(["pos"]);
    expect([...state.failures.owners.keys()]).toEqual(["203.0.113.7"]);
  });

  test("decide() refuses a slow-hash candidate of an address over its budget without verification", () => {
    const { request } = start(withKey(SLOW_KEY));
    expect(request({ credential: KEY })).toEqual({ verify: ["pos"], credential: KEY });
    for (let attempt = 0; attempt < 2; attempt += 1) request({ credential: "opensesame" });
    expect(request({ credential: KEY })).toEqual(over());
    expect(request({ credential: KEY, from: "203.0.113.8" })).toEqual({ verify: ["pos"], credential: KEY });
  });

  test("decide() asks for no slow hash from any address of an IPv6 /64 over its budget", () => {
    const { request } = start(withKey(SLOW_KEY));
    for (let attempt = 0; attempt < 2; attempt += 1) request({ credential: "opensesame", from: "2001:db8::1" });
    expect(request({ credential: KEY, from: "2001:db8::2" })).toEqual(over());
    expect(request({ credential: KEY, from: "2001:db8:0:1::1" })).toEqual({ verify: ["pos"], credential: KEY });
  });

  test("decide() does not count a refusal to verify as one more failure", () => {
    const { request } = start(withKey(SLOW_KEY));
    for (let attempt = 0; attempt < 2; attempt += 1) request({ credential: "opensesame" });
    for (let attempt = 0; attempt < 9; attempt += 1) expect(request({ credential: KEY })).toEqual(over());
    expect(request({ credential: KEY }, NOW + 30_000)).toEqual({ verify: ["pos"], credential: KEY });
  });

  test("decide() passes a slow-hashed key verified before from an address over its budget", () => {
    const { request } = start(withKey(SLOW_KEY), createState(VERIFIED));
    for (let attempt = 0; attempt < 5; attempt += 1) request({ credential: "opensesame" });
    expect(request({ credential: KEY })).toEqual(ALLOWED);
  });

  test("decide() counts an unmatched slow hash, and neither a matched nor an overloaded one", () => {
    const { request } = start(withKey(SLOW_KEY));
    const slow = (verification: Verification) => request({ credential: KEY }, NOW, verification);
    const policy = createPolicy(withKey(SLOW_KEY));
    const key = [...policy.keys.all()][0];
    if (key === undefined) throw new Error("the policy has one key");
    for (let attempt = 0; attempt < 5; attempt += 1) {
      expect(slow({ kind: "matched", key })).toEqual(ALLOWED);
      expect(slow({ kind: "overloaded" })).toEqual(denial("overloaded", { route: READ }));
    }
    expect(slow({ kind: "unmatched" })).toEqual(denial("key_unknown", { route: READ }));
    expect(slow({ kind: "unmatched" })).toEqual(denial("key_unknown", { route: READ }));
    expect(slow({ kind: "unmatched" })).toEqual(over());
  });

  test("decide() counts a slow hash before it begins, and gives that back unless it fails", () => {
    const { request } = start(withKey(SLOW_KEY));
    const [key] = createPolicy(withKey(SLOW_KEY)).keys.all();
    if (key === undefined) throw new Error("the policy has one key");
    const verify = { verify: ["pos"], credential: KEY };
    const ended = (verification: Verification) =>
      request({ credential: KEY }, NOW, { ...verification, isCounted: true });
    for (let attempt = 0; attempt < 2; attempt += 1) expect(request({ credential: KEY })).toEqual(verify);
    expect(request({ credential: KEY })).toEqual(over());
    expect(ended({ kind: "matched", key })).toEqual(ALLOWED);
    expect(request({ credential: KEY })).toEqual(verify);
    expect(ended({ kind: "overloaded" })).toEqual(denial("overloaded", { route: READ }));
    expect(request({ credential: KEY })).toEqual(verify);
    expect(ended({ kind: "unmatched" })).toEqual(denial("key_unknown", { route: READ }));
    expect(request({ credential: KEY })).toEqual(over());
  });

  test("decide() counts no slow hash that runs already, and who waited for it when it fails", () => {
    const state = { ...createState(), slowHashes: { isUnderWay: () => true } };
    const { request } = start(withKey(SLOW_KEY), state);
    for (let attempt = 0; attempt < 9; attempt += 1) {
      expect(request({ credential: KEY })).toEqual({ verify: ["pos"], credential: KEY });
    }
    const failed = () => request({ credential: KEY }, NOW, { kind: "unmatched", isCounted: false });
    for (let attempt = 0; attempt < 2; attempt += 1) expect(failed()).toEqual(denial("key_unknown", { route: READ }));
    expect(failed()).toEqual(over());
  });

  test("decide() refuses bad credentials as over budget when it cannot count them", () => {
    const { request } = start(withKey(), createState(new Map(), createBucketTable(0)));
    expect(request({ credential: UNKNOWN })).toEqual(over({ retryAfterSeconds: 1 }));
    expect(request({ credential: "opensesame" })).toEqual(over({ retryAfterSeconds: 1 }));
    expect(request({ credential: KEY })).toEqual(ALLOWED);
  });

  test("decide() asks for no slow hash whose failure it could not count", () => {
    const full = start(withKey(SLOW_KEY), createState(new Map(), createBucketTable(1)));
    expect(full.request({ credential: "opensesame", from: "198.51.100.1" })).toMatchObject({
      deny: "credential_malformed",
    });
    expect(full.request({ credential: KEY })).toEqual(over({ retryAfterSeconds: 1 }));
    expect(full.request({ credential: KEY, from: "198.51.100.1" })).toEqual({ verify: ["pos"], credential: KEY });
    expect(full.request({ credential: KEY }, NOW + 60_000)).toEqual({ verify: ["pos"], credential: KEY });
  });

  test("decide() without a budget never runs out of it", () => {
    const policy = createPolicy(withKey());
    const state = createState();
    for (let attempt = 0; attempt < 100; attempt += 1) {
      expect(ask(policy, { credential: UNKNOWN }, state)).toEqual(denial("key_unknown", { route: READ }));
    }
    expect(state.failures.owners.size).toBe(0);
  });
});

describe("slow hashes", () => {
  const policy = createPolicy(withKey(SLOW_KEY));
  const verify = { verify: ["pos"], credential: KEY };

  /** The record that a slow hash is asked for. */
  function candidateOf(asked: Policy): Key {
    const decision = decide(toFacts({ credential: KEY }), asked, createState(), NOW);
    const key = decision.kind === "verify" ? decision.candidates[0] : undefined;
    if (key === undefined) throw new Error("one candidate is expected");
    return key;
  }

  test("decide() asks for verification, and passes what was matched", () => {
    expect(ask(policy, { credential: KEY })).toEqual(verify);
    const key = candidateOf(policy);
    expect(ask(policy, { credential: KEY }, createState(), NOW, { kind: "matched", key })).toEqual(ALLOWED);
  });

  test("decide() refuses what was unmatched as unknown, without a principal", () => {
    const refused = ask(policy, { credential: KEY }, createState(), NOW, { kind: "unmatched" });
    expect(refused).toEqual(denial("key_unknown", { route: READ }));
  });

  test("decide() passes a key verified before without a second hash", () => {
    expect(ask(policy, { credential: KEY }, createState(VERIFIED))).toEqual(ALLOWED);
  });

  test("decide() verifies again when the record's digest has changed since", () => {
    const changed = createPolicy(withKey({ ...SLOW_KEY, digest: { ...SLOW, text: hashSync("another", 4) } }));
    expect(ask(changed, { credential: KEY }, createState(VERIFIED))).toEqual(verify);
  });

  test("decide() finds a key unknown whose record is gone or has another prefix, verified before or not", () => {
    const gone = createPolicy({ ...BASE, keys: [] });
    const moved = createPolicy(withKey({ ...SLOW_KEY, prefix: "bk_live_eu_9" }));
    for (const changed of [gone, moved]) {
      expect(ask(changed, { credential: KEY }, createState(VERIFIED))).toEqual(denial("key_unknown", { route: READ }));
    }
  });

  test("decide() asks no hash for a credential without the prefix of any slow-hashed key", () => {
    const other = createPolicy(withKey({ ...SLOW_KEY, prefix: "bk_live_eu_f" }));
    expect(ask(other, { credential: KEY })).toEqual(denial("key_unknown", { route: READ }));
  });

  test("decide() names every slow-hashed key with a prefix of the credential, of any length", () => {
    const digest = (text: string): KeyDigest => ({ kind: "bcrypt", text: hashSync(text, 4), cost: 4 });
    const shared = createPolicy({
      ...BASE,
      keys: [
        { id: "long", digest: digest("a"), prefix: KEY.slice(0, 20) },
        { id: "short", digest: digest("b"), prefix: KEY.slice(0, 11) },
        { id: "same", digest: digest("c"), prefix: KEY.slice(0, 11) },
        { id: "other", digest: digest("d"), prefix: "bk_live_eu_f" },
        { id: "none", digest: digest("e") },
      ],
    });
    expect(ask(shared, { credential: KEY })).toEqual({ verify: ["long", "short", "same"], credential: KEY });
  });

  test("decide() never lets a credential of more than 72 bytes reach bcrypt", () => {
    const routes = BASE.routes;
    const slow = (credential: string, state: PolicyState = createState()) =>
      ask(
        createPolicy({ routes, keys: [{ id: "pos", ...SLOW_KEY, prefix: "k", scopes: ["*"] }] }),
        { credential },
        state,
      );
    const longest = `k${"0".repeat(71)}`;
    expect(slow(longest)).toEqual({ verify: ["pos"], credential: longest });
    expect(slow(`${longest}0`)).toEqual(denial("key_unknown", { route: READ }));
    const verified = createState(new Map([[`${longest}0`, SLOW.text]]));
    expect(slow(`${longest}0`, verified)).toEqual(denial("key_unknown", { route: READ }));
  });

  test("decide() finds a digest before it asks for a slow hash", () => {
    const mixed = createPolicy({
      ...BASE,
      keys: [
        { id: "slow", ...SLOW_KEY, scopes: ["*"] },
        { id: "pos", credential: KEY, scopes: ["*"] },
      ],
    });
    expect(ask(mixed, { credential: KEY })).toEqual(ALLOWED);
  });

  test("decide() finds a key by its peppered digest, and none without the pepper", () => {
    const hex = hmacSha256(KEY, createPepper(Buffer.from("pepper")));
    const key: Partial<KeyLiteral> = { digest: { kind: "hmac-sha256", hex } };
    const unknown = denial("key_unknown", { route: READ });
    expect(once(withKey(key, { pepper: "pepper" }), { credential: KEY })).toEqual(ALLOWED);
    expect(once(withKey(key, { pepper: "salt" }), { credential: KEY })).toEqual(unknown);
    expect(once(withKey(key), { credential: KEY })).toEqual(unknown);
  });

  test("decide() discloses the status of a slow-hashed key only after verification", () => {
    const states: readonly (readonly [DenialReason, Partial<KeyLiteral>])[] = [
      ["key_revoked", { status: "revoked" }],
      ["key_suspended", { status: "suspended" }],
      ["key_expired", { expiresAtMs: NOW }],
      ["key_not_yet_valid", { notBeforeMs: NOW + 1 }],
    ];
    for (const [reason, status] of states) {
      const refusing = createPolicy(withKey({ ...SLOW_KEY, ...status }));
      const key = [...refusing.keys.all()][0];
      if (key === undefined) throw new Error("the policy has one key");
      const disclosed = denial(reason, { route: READ, key: "pos", segments: LIVE_EU });
      const slow = (state: PolicyState, verification?: Verification) =>
        ask(refusing, { credential: KEY }, state, NOW, verification);
      expect(slow(createState())).toEqual(verify);
      expect(slow(createState(), { kind: "unmatched" })).toEqual(denial("key_unknown", { route: READ }));
      expect(slow(createState(), { kind: "overloaded" })).toEqual(denial("overloaded", { route: READ }));
      expect(slow(createState(), { kind: "matched", key })).toEqual(disclosed);
      expect(slow(createState(VERIFIED))).toEqual(disclosed);
    }
  });

  test("decide() asks for verification before it tells that no route matches", () => {
    expect(ask(policy, { credential: KEY, target: "/nowhere" })).toEqual(verify);
  });

  test("decide() heeds no verification on a public route, nor before the credential's own checks", () => {
    const key = [...policy.keys.all()][0];
    if (key === undefined) throw new Error("the policy has one key");
    const matched = (request: RequestLiteral) => ask(policy, request, createState(), NOW, { kind: "matched", key });
    expect(matched({ target: "/health" })).toEqual({ allow: "GET /health", key: undefined, remaining: [] });
    expect(matched({})).toEqual(denial("credential_missing", { route: READ }));
    expect(matched({ credential: "opensesame" })).toEqual(denial("credential_malformed", { route: READ }));
    expect(matched({ credential: credentialOf(1, "test") })).toMatchObject({ deny: "environment_mismatch" });
  });

  test("decide() heeds no verification before the credential's own checks, though it knows the key by its own text", () => {
    const known = createPolicy(withKey(SLOW_KEY));
    const key = candidateOf(known);
    expect(ask(known, { credential: KEY }, createState(VERIFIED))).toEqual(ALLOWED);
    const matched = (credential: string) => ask(known, { credential }, createState(), NOW, { kind: "matched", key });
    expect(matched("opensesame")).toEqual(denial("credential_malformed", { route: READ }));
    expect(matched(credentialOf(1, "test"))).toMatchObject({ deny: "environment_mismatch" });
  });

  test("decide() learns what a key's own text says from no other credential", () => {
    const anywhere = createPolicy(withKey(SLOW_KEY, { accept: {} }));
    const key = candidateOf(anywhere);
    const nowhere = (credential: string, state: PolicyState, verification?: Verification) =>
      ask(anywhere, { credential, target: "/nowhere" }, state, NOW, verification);
    const other = nowhere(credentialOf(1, "test", "us"), createState(), { kind: "matched", key });
    expect(other).toMatchObject({ segments: { environment: "test", region: "us" } });
    expect(nowhere(KEY, createState(VERIFIED))).toMatchObject({ key: "pos", segments: LIVE_EU });
  });
});

describe("paths that two upstreams could read differently", () => {
  const ALLOW_ALL = {
    encodedSlash: "allow",
    encodedDelimiters: "allow",
    matrixParameters: "allow",
    emptySegments: "allow",
  } as const;
  /** `/admin` is guarded, all else is public: what every bypass of the last years had in common. */
  const guarded: PolicyLiteral = {
    paths: ALLOW_ALL,
    routes: [
      { match: "* /admin/**", scopes: ["admin"] },
      { match: "GET /x/admin/**", scopes: ["admin"] },
      { match: "GET /x/{name}/edit", scopes: ["admin"] },
      { match: "* /**", public: true },
    ],
  };
  const refused = denial("target_invalid");

  const bypasses: readonly string[] = [
    "",
    "?x=1",
    "admin",
    "*",
    "http://upstream/admin",
    "//admin",
    "//evil/admin",
    "///evil/admin",
    "/%2Fevil/admin",
    "/%2Fadmin",
    "/a/../admin",
    "/a/..",
    "/a/%2e%2e/admin",
    "/a/.%2E/admin",
    "/a/..;x=1/admin",
    "/a/..;/admin",
    "/a/..%3Bx/admin",
    "/a/..%2Fadmin",
    "/a%2F..%2Fadmin",
    "/a/..%2fadmin",
    "/a/%2e%2e%2fadmin",
    "/a/b%2F..",
    "/a/..;x%2Fadmin",
    "/a/..%3Fx",
    "/a/..%23x",
    "/a/.%3Fx",
    "/a/%252e%252e/admin",
    "/a/%25%32%65%25%32%65/admin",
    "/a/%252%65%252%65/admin",
    "/%25%36%31dmin",
    "/a/..\\admin",
    "/a/%5c..%5cadmin",
    "/a%00/admin",
    "/admin%00",
    "/admin%0a",
    "/%61dmin;x=1",
    "/admin;x=1/y",
    "/admin%3Bx",
    "/admin%3Fx",
    "/admin%23x",
    "/admin%2Fx",
    "/x%2Fadmin",
    "/x%2Fadmin%3Fy",
    "/x;y%2Fadmin;z%3Fy",
    "/x/%2Fadmin",
    "/x//admin",
    "/x/a%23b/edit%3Fy",
    "/x/a%3Fb/edit%23y",
    "/%c0%ae%c0%ae/admin",
    "/%ff",
    "/\u00e9",
    "/a#/admin",
    "/a b",
    "/%",
    "/%6",
  ];
  for (const target of bypasses) {
    test(`decide() refuses ${JSON.stringify(target)} whatever the rules allow`, () => {
      expect(once(guarded, { target })).toEqual(refused);
    });
  }

  test("decide() serves what every reading agrees on", () => {
    for (const target of [
      "/a%2Fb",
      "/a;x=1",
      "/a//b",
      "/a%3Fb",
      "/a%23b/c",
      "/a%20b",
      "/%C3%A9",
      "/a.b",
      "/...",
      "/a/",
    ]) {
      expect({ target, decision: once(guarded, { target }) }).toMatchObject({ decision: { allow: "* /**" } });
    }
  });

  test("decide() refuses each variant by default", () => {
    for (const target of ["/a%2Fb", "/a;x=1", "/a%3Bx", "/a//b", "//a", "/a%3Fb", "/a%23b"]) {
      expect({ target, decision: once({ ...guarded, paths: {} }, { target }) }).toEqual({ target, decision: refused });
    }
  });

  test("decide() refuses a path whose readings need different scopes of one route", () => {
    const policy = {
      paths: ALLOW_ALL,
      routes: [{ match: "GET /{resource}/**", scopes: ["{resource}.read"] }],
      keys: [{ id: "all", credential: "secret", scopes: ["*"] }],
    };
    const read = (target: string) => once(policy, { target, credential: "secret" });
    expect(read("/bread;x=1/1")).toEqual(refused);
    expect(read("/bread%2Fcake")).toEqual(refused);
    expect(read("//bread/cake")).toEqual(refused);
    expect(read("/bread/a%2Fb;c//d")).toMatchObject({ allow: "GET /{resource}/**", key: "all" });
  });

  test("decide() folds case on both sides where paths ignore it", () => {
    const insensitive = { ...guarded, paths: { caseSensitive: false } };
    for (const target of ["/ADMIN", "/Admin/x"]) {
      expect(once(insensitive, { target })).toEqual(denial("credential_missing", { route: "* /admin/**" }));
    }
  });

  const mistakable = [
    "/ADMIN",
    "/Admin/x",
    "/%61dmin",
    "/admin.",
    "/admin%20/x",
    "/admin::$INDEX_ALLOCATION/x",
    "/%EF%BD%81dmin",
    "/admin%EF%BC%8Fx",
    "/%EF%BC%8Fadmin/",
    "/admin%20:$DATA",
    "/a/admin/",
    ...["%E2%88%95", "%E2%81%84", "%E2%88%96", "%C2%A5", "%E2%82%A9", "%EF%BC%BC"].map((slash) => `/admin${slash}x`),
    "/%C4%80dmin",
    "/adm%C4%B0n/x",
    "/adm%C4%B1n",
    "/a%CC%88dmin",
    "/%CE%B1dmin",
    "/a%C4%91min",
    "/admin%E2%88%B6$DATA",
  ];
  test.each(mistakable)(
    "decide() takes %j, which a loose upstream sees under another route, for no route",
    (target) => {
      const routes = [
        { match: "* /admin/**", scopes: ["admin"] },
        { match: "* /a/admin", scopes: ["admin"] },
        { match: "* /**", public: true },
      ] as const;
      const keys = [{ id: "k", credential: KEY, scopes: ["*"] }];
      const policy = { routes, keys };
      expect(once(policy, { target })).toEqual(denial("credential_missing"));
      expect(once(policy, { target, credential: KEY })).toMatchObject({ deny: "route_unknown", key: "k" });
      const open = { routes: [{ match: "* /**", public: true }], keys } as const;
      expect(once(open, { target })).toMatchObject({ allow: "* /**" });
    },
  );

  test("decide() keeps ordinary paths outside ASCII, where they can be taken for no other route", () => {
    const routes = [
      { match: "* /admin/**", scopes: ["admin"] },
      { match: "* /café/{id}", public: true },
      { match: "* /{resource}", public: true },
      { match: "* /日本/**", public: true },
    ] as const;
    const policy = { routes, keys: [{ id: "k", credential: KEY, scopes: ["*"] }] };
    for (const path of ["/café/1", "/café/½", "/日本/がんばれ", "/Ünïcödé", "/αβγ", "/adminé", "/Ωmega"]) {
      expect({ path, decision: once(policy, { target: encodeURI(path) }) }).toMatchObject({
        decision: { allow: expect.any(String) },
      });
    }
  });

  test("decide() keeps apart two spellings that have a route each, and minds none that asks for the same", () => {
    const routes = [
      { match: "* /Users/**", scopes: ["a"] },
      { match: "* /users/**", scopes: ["b"] },
      { match: "* /orders", authenticated: true },
      { match: "* /orders/**", authenticated: true },
    ] as const;
    const policy = { routes, keys: [{ id: "k", credential: KEY, scopes: ["b"] }] };
    expect(once(policy, { target: "/users/1", credential: KEY })).toMatchObject({ allow: "* /users/**" });
    expect(once(policy, { target: "/Users/1", credential: KEY })).toMatchObject({ deny: "scope_insufficient" });
    expect(once(policy, { target: "/orders/", credential: KEY })).toMatchObject({ allow: "* /orders/**" });
  });

  test("decide() takes a trailing slash for a path of its own", () => {
    const policy = {
      routes: [
        { match: "GET /a/{id}", public: true },
        { match: "GET /b/**", public: true },
      ],
    } as const;
    expect(once(policy, { target: "/a/1" })).toHaveProperty("allow");
    expect(once(policy, { target: "/a/1/" })).toEqual(denial("credential_missing"));
    expect(once(policy, { target: "/a/" })).toEqual(denial("credential_missing"));
    for (const target of ["/b", "/b/", "/b/c/"]) expect(once(policy, { target })).toHaveProperty("allow");
  });
});
