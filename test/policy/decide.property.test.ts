import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BucketTable } from "../../src/policy/bucket-table.ts";
import { decide } from "../../src/policy/decide.ts";
import type { RequestFacts } from "../../src/policy/facts.ts";
import type { Key, Verification } from "../../src/policy/key.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { Principal } from "../../src/policy/principal.ts";
import { findRoute } from "../../src/policy/route.ts";
import {
  createPolicy,
  createState,
  type KeyLiteral,
  type OpenState,
  type PolicyLiteral,
  type RouteLiteral,
  toFacts,
} from "./fixture.ts";

const NOW = 1_750_000_000_000;
const SECRETS = Array.from({ length: 4 }, (_, index) => `bk_live_${String(index).repeat(8)}`);
const MALFORMED = ["opensesame", "bk_live_short", "bk_live_0000000!", "a,b", "bk_", "\u00a0", "x".repeat(600)];
const SCOPES = ["orders:read", "orders:write", "orders.read", "orders.*", "*", "{resource}.{action}"];
const ADDRESSES = ["203.0.113.7", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "::1"];
const METHODS = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PROPFIND", "get", ""];

const some = <T>(values: readonly T[]) => fc.constantFrom(...values);
const subset = (values: readonly string[]) => fc.subarray([...values]);

/** Pieces that matter to somebody's parser, in any order, and now and then anything at all. */
const target = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .array(
        some([
          "/",
          "/",
          "orders",
          "admin",
          "a",
          "1",
          "%2F",
          ";",
          "=",
          "?",
          "&",
          "//",
          "%3F",
          "%23",
          "%3B",
          ".",
          "..",
          "%2e",
          "%25",
          "32",
          "%5C",
          "%",
          "#",
          "api_key=",
          "q=",
          ...SECRETS,
        ]),
        { maxLength: 9 },
      )
      .map((pieces) => `/${pieces.join("")}`),
  },
  { weight: 2, arbitrary: some(["/orders/1", "/orders", "/open/x", "/admin", "/whoami", "/"]) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
);

const credential = fc.oneof(some(SECRETS), some(SECRETS), some(MALFORMED), fc.string({ maxLength: 30 }));

const header = fc.tuple(
  fc.oneof(some(["Authorization", "authorization", "X-API-Key", "X-Api-KEY", "Host"]), fc.string({ maxLength: 12 })),
  fc.oneof(
    credential,
    credential.map((value) => `Bearer ${value}`),
    fc.string({ unit: "binary", maxLength: 20 }),
  ),
);

const facts: fc.Arbitrary<RequestFacts> = fc
  .record({
    method: fc.oneof(some(METHODS), fc.string({ maxLength: 8 })),
    target,
    from: some(ADDRESSES),
    secure: fc.boolean(),
    headers: fc.array(header, { maxLength: 4 }),
    odd: fc.boolean(),
  })
  .map(({ headers, odd, ...request }) => {
    const made = toFacts({ ...request, headers });
    // A list of an odd length cannot come from Node, but must not break anything either.
    return odd ? { ...made, rawHeaders: [...made.rawHeaders, "X-API-Key"] } : made;
  });

const access: fc.Arbitrary<Partial<RouteLiteral>> = fc.oneof(
  fc.constant({ public: true } as const),
  fc.constant({ authenticated: true } as const),
  subset(SCOPES).map((scopes) => ({ scopes })),
  subset(SCOPES).map((anyScope) => ({ anyScope })),
);
const limits = subset(["1/second", "2/minute", "5/hour"]);
const networks = fc.option(subset(["192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0"]), { nil: undefined });

const route: fc.Arbitrary<RouteLiteral> = fc
  .record({
    methods: some(["*", "GET", "POST,DELETE", "GET,PROPFIND"]),
    path: some([
      "/**",
      "/orders/**",
      "/orders/{id}",
      "/{resource}/**",
      "/{resource}",
      "/open/**",
      "/admin",
      "/",
      "/a/",
    ]),
    access,
    limits,
    cost: fc.integer({ min: 1, max: 3 }),
    allowIps: networks,
  })
  .map(({ methods, path, access: kind, allowIps, ...rest }) => ({
    match: `${methods} ${path}`,
    ...kind,
    ...rest,
    ...(allowIps === undefined ? {} : { allowIps }),
  }));

const keyOf = (index: number): fc.Arbitrary<KeyLiteral> =>
  fc
    .record({
      slow: fc.boolean(),
      // Few, or nearly every key would hold "*".
      scopes: fc.subarray([...SCOPES], { maxLength: 2 }),
      limits,
      allowIps: networks,
      status: some(["active", "active", "active", "suspended", "revoked"] as const),
      readOnly: fc.boolean(),
      expiresAtMs: some([undefined, undefined, NOW, NOW + 1]),
      notBeforeMs: some([undefined, undefined, NOW, NOW + 1]),
    })
    .map(({ slow, allowIps, expiresAtMs, notBeforeMs, ...rest }) => ({
      id: `key-${index}`,
      ...(slow
        ? { digest: { kind: "bcrypt", text: `$2b$${index}`, cost: 4 } as const, prefix: `bk_live_${index}` }
        : { credential: SECRETS[index] ?? "" }),
      ...rest,
      ...(allowIps === undefined ? {} : { allowIps }),
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
      ...(notBeforeMs === undefined ? {} : { notBeforeMs }),
    }));

const variant = some(["reject", "allow"] as const);
const policyLiteral: fc.Arbitrary<PolicyLiteral> = fc
  .record({
    routes: fc.array(route, { maxLength: 5 }),
    // Two of the four secrets stay unknown to everybody.
    keys: fc.tuple(keyOf(0), keyOf(1)),
    formats: some([[], ["bk_{environment:live|test}_{secret:hex(8)}"]]),
    accept: some([{}, { environment: ["live"] }, { environment: ["test"] }]),
    inUrl: some(["reject", "strip", "ignore"] as const),
    paths: fc.record({
      encodedSlash: variant,
      encodedDelimiters: variant,
      matrixParameters: variant,
      emptySegments: variant,
      caseSensitive: fc.boolean(),
    }),
    httpsRequired: fc.boolean(),
    failures: some([undefined, "1/minute", "3/hour"]),
  })
  .map(({ failures, ...rest }) => ({ ...rest, ...(failures === undefined ? {} : { failures }) }));

const verified = subset([SECRETS[0] ?? "", SECRETS[1] ?? ""]).map(
  (list) => new Map(list.map((secret) => [secret, `$2b$${SECRETS.indexOf(secret)}`])),
);

interface Scene {
  readonly policy: Policy;
  readonly state: OpenState;
  readonly requests: readonly { readonly facts: RequestFacts; readonly nowMs: number; readonly outcome: number }[];
}

const scene: fc.Arbitrary<Scene> = fc
  .record({
    literal: policyLiteral,
    verified,
    requests: fc.array(fc.record({ facts, stepMs: fc.integer({ min: -5000, max: 60_000 }), outcome: fc.nat(3) }), {
      minLength: 1,
      maxLength: 12,
    }),
  })
  .map(({ literal, verified: known, requests }) => {
    let nowMs = NOW;
    return {
      policy: createPolicy(literal),
      state: createState(known),
      requests: requests.map(({ stepMs, ...rest }) => {
        nowMs += stepMs;
        return { ...rest, nowMs };
      }),
    };
  });

function toVerification(outcome: number, policy: Policy): Verification | undefined {
  const slow = [...policy.keys.all()].find((key) => key.digest.kind === "bcrypt");
  if (outcome === 1 && slow !== undefined) return { kind: "matched", key: slow };
  if (outcome === 2) return { kind: "unmatched" };
  return outcome === 3 ? { kind: "overloaded" } : undefined;
}

/** Every bucket that is not full again, in plain values: a full bucket is as good as none. */
function spentOf(table: BucketTable, nowMs: number): readonly string[] {
  return [...table.owners]
    .flatMap(([owner, buckets]) =>
      buckets.map(({ limitId, spentMs, atMs }) => ({ owner, limitId, spentMs: spentMs - Math.max(0, nowMs - atMs) })),
    )
    .filter(({ spentMs }) => spentMs > 0)
    .map(({ owner, limitId, spentMs }) => `${owner} ${limitId} ${spentMs.toFixed(3)}`)
    .sort();
}

describe("decide(), whatever the request and the policy", () => {
  test("decide() never throws, allows nobody unverified and takes from key buckets only what it allows", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(scene, ({ policy, state, requests }) => {
        for (const { facts: request, nowMs, outcome } of requests) {
          const before = spentOf(state.buckets, nowMs);
          const decision = decide(request, policy, state, nowMs, toVerification(outcome, policy));
          const after = spentOf(state.buckets, nowMs);
          seen.add(decision.kind === "deny" ? decision.reason : decision.kind);
          if (decision.kind !== "allow") expect(after).toEqual(before);
          if (decision.kind === "verify") expect(outcome).not.toBeOneOf([1, 2, 3]);
          if (decision.kind === "allow") {
            expect(decision.principal === undefined).toBe(decision.route.access.kind === "public");
            if (decision.principal !== undefined) {
              const { key } = decision.principal;
              expect([...policy.keys.all()]).toContainEqual(key);
              expect(key.status).toBe("active");
              expect(key.networks?.contains(request.clientAddress)).not.toBe(false);
            }
            expect(decision.route.networks?.contains(request.clientAddress)).not.toBe(false);
          }
          if (decision.kind === "deny" && decision.retryAfterSeconds !== undefined) {
            expect(Number.isInteger(decision.retryAfterSeconds)).toBe(true);
            expect(decision.retryAfterSeconds).toBeGreaterThanOrEqual(1);
          }
        }
      }),
      { numRuns: 4000 },
    );
    // A generator that never gets past the first checks would prove nothing.
    const reached = ["allow", "verify", "target_invalid", "credential_in_url", "credential_missing", "key_unknown"];
    const denied = ["credential_malformed", "environment_mismatch", "credential_ambiguous", "failures_exceeded"];
    const known = [
      "key_revoked",
      "key_suspended",
      "route_unknown",
      "scope_insufficient",
      "address_denied",
      "rate_limited",
    ];
    for (const kind of [...reached, ...denied, ...known]) expect(seen).toContain(kind);
  });

  test("decide() admits what it announced: after the wait, a limited request passes", () => {
    fc.assert(
      fc.property(scene, ({ policy, state, requests }) => {
        for (const { facts: request, nowMs } of requests) {
          const decision = decide(request, policy, state, nowMs);
          if (decision.kind !== "deny" || decision.reason !== "rate_limited") continue;
          // A cost above a limit's capacity never passes; the config loader is to refuse it.
          const cost = decision.route?.cost ?? 1;
          if (decision.quotas.some(({ limit }) => limit.capacity < cost)) continue;
          const laterMs = nowMs + 1000 * (decision.retryAfterSeconds ?? 0);
          const later = decide(request, policy, state, laterMs);
          expect(later).not.toMatchObject({ reason: "rate_limited" });
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("decide() decides as if it had read no key before, whatever it has read", () => {
    let repeated = 0;
    fc.assert(
      fc.property(scene, ({ policy, requests }) => {
        const [state, other] = [createState(), createState()];
        for (const { facts: request, nowMs, outcome } of [...requests, ...requests]) {
          const verification = toVerification(outcome, policy);
          const unread = { ...policy, principals: new WeakMap<Key, Principal>() };
          const decision = decide(request, policy, state, nowMs, verification);
          expect(decision).toEqual(decide(request, unread, other, nowMs, verification));
          const { key } = (decision.kind === "verify" ? undefined : decision.principal) ?? {};
          if (key !== undefined && policy.principals.has(key)) repeated += 1;
        }
      }),
      { numRuns: 2000 },
    );
    expect(repeated).toBeGreaterThan(10);
  });

  test("decide() gives an unknown and a malformed credential the same shape, without a principal", () => {
    const unknown = some(SECRETS.slice(2));
    fc.assert(
      fc.property(policyLiteral, facts, unknown, some(MALFORMED), (literal, request, secret, malformed) => {
        const policy = createPolicy({
          ...literal,
          formats: ["bk_{environment:live|test}_{secret:hex(8)}"],
          accept: {},
        });
        const present = (value: string) => ({ ...request, rawHeaders: ["X-API-Key", value] });
        const first = decide(present(secret), policy, createState(), NOW);
        const second = decide(present(malformed), policy, createState(), NOW);
        if (first.kind !== "deny" || first.reason !== "key_unknown") {
          expect(second).toEqual(first);
          return;
        }
        expect(first.principal).toBeUndefined();
        expect(second).toEqual({ ...first, reason: "credential_malformed" });
      }),
      { numRuns: 1000 },
    );
  });

  test("decide() says the same of a wrong secret under a slow-hashed prefix as of an unknown key", () => {
    fc.assert(
      fc.property(policyLiteral, facts, (literal, request) => {
        const policy = createPolicy(literal);
        const present = (value: string) => ({ ...request, rawHeaders: ["X-API-Key", value] });
        const wrong = decide(present("bk_live_0000000f"), policy, createState(), NOW, { kind: "unmatched" });
        const unknown = decide(present("bk_live_ffffffff"), policy, createState(), NOW);
        expect(wrong).toEqual(unknown);
      }),
      { numRuns: 1000 },
    );
  });
});

/** How upstreams are known to read a path; undefined where such an upstream answers 400 of its own. */
const UPSTREAMS: Readonly<Record<string, (target: string) => string | undefined>> = {
  "takes the bytes as they are": (text) => text.split("?")[0],
  "decodes each segment": (text) =>
    resolved(text.split("?")[0])
      ?.split("/")
      .map((segment) => decoded(segment))
      .join("/"),
  "decodes, then resolves dots": (text) => resolved(decoded(text.split("?")[0])),
  "decodes everything, then looks for the query": (text) => resolved(decoded(text)?.split("?")[0]),
  "decodes everything, then looks for the fragment": (text) => resolved(decoded(text.split("?")[0])?.split("#")[0]),
  "decodes everything, then looks for either": (text) => resolved(decoded(text)?.split(/[?#]/)[0]),
  "resolves against a base, as new URL does": (text) => pathname(text),
  "resolves against a base, then decodes": (text) => decoded(pathname(text)),
  "decodes, then resolves against a base": (text) => pathname(decoded(text)),
  "cuts parameters, then decodes and resolves dots": (text) => resolved(decoded(cut(text.split("?")[0]))),
  "decodes, cuts parameters and resolves dots": (text) => resolved(cut(decoded(text.split("?")[0]))),
  "decodes, resolves dots and merges slashes": (text) => merged(resolved(decoded(text.split("?")[0]))),
  "merges slashes, then resolves dots": (text) => resolved(merged(decoded(text.split("?")[0]))),
  "decodes twice": (text) => resolved(decoded(decoded(text.split("?")[0]))),
};

function decoded(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function pathname(text: string | undefined): string | undefined {
  return text !== undefined && URL.canParse(text, "http://upstream")
    ? new URL(text, "http://upstream").pathname
    : undefined;
}

function merged(path: string | undefined): string | undefined {
  return path?.replace(/\/{2,}/g, "/");
}

function cut(path: string | undefined): string | undefined {
  return path?.replace(/;[^/]*/g, "");
}

function resolved(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  const kept: string[] = [];
  for (const segment of path.split("/").slice(1)) {
    if (segment === "..") kept.pop();
    else if (segment !== ".") kept.push(segment);
  }
  return `/${kept.join("/")}`;
}

describe("decide(), whatever upstream reads the path", () => {
  const routes: readonly RouteLiteral[] = [
    { match: "* /admin/**", scopes: ["admin"] },
    { match: "* /a/admin", scopes: ["admin"] },
    { match: "* /a/{name}/1", scopes: ["admin"] },
    { match: "* /**", public: true },
  ];
  const rules = fc.record({
    encodedSlash: variant,
    encodedDelimiters: variant,
    matrixParameters: variant,
    emptySegments: variant,
  });

  // Few and telling pieces, so that a traversal of five of them is found within seconds.
  const separators = some(["/", "/", "/", "%2F", "//", ";", "%3F", "%23", "/;"]);
  const names = some([
    "admin",
    "admin",
    "a",
    "1",
    "",
    "..",
    "..",
    "%2e%2e",
    ".%2E",
    "%252e%252e",
    "%25%32%65%2e",
    "%61dmin",
  ]);
  const crooked = fc
    .array(fc.tuple(separators, names), { minLength: 1, maxLength: 4 })
    .map((pieces) => `/${pieces.flat().join("").replace(/^\//, "")}`);

  for (const [name, read] of Object.entries(UPSTREAMS)) {
    test(`decide() allows no path that is another route to an upstream that ${name}`, () => {
      let allowed = 0;
      fc.assert(
        fc.property(rules, fc.oneof(crooked, crooked, target), (paths, text) => {
          const policy = createPolicy({ routes, paths });
          const decision = decide(toFacts({ target: text }), policy, createState(), NOW);
          if (decision.kind !== "allow") return;
          const path = read(text);
          if (path === undefined) return;
          allowed += 1;
          const route = findRoute(policy.routes, "GET", path.slice(1).split("/"));
          expect({ text, path, route: route?.match }).toEqual({ text, path, route: decision.route.match });
        }),
        { numRuns: 10_000 },
      );
      expect(allowed).toBeGreaterThan(500);
    });
  }
});
