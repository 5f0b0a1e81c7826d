import { describe, expect, test } from "vitest";
import { decide } from "../../src/policy/decide.ts";
import type { Verification } from "../../src/policy/key.ts";
import { compareDecisions, createShadowBuckets, pairPolicies } from "../../src/policy/shadow.ts";
import {
  createPolicy,
  createState,
  type KeyLiteral,
  type PolicyLiteral,
  type RequestLiteral,
  toFacts,
} from "./fixture.ts";

const NOW = 1_750_000_000_000;
const ROUTES = [
  { match: "GET /orders/**", scopes: ["orders:read"] },
  { match: "POST /orders/**", scopes: ["orders:write"] },
  { match: "GET /health", public: true as const },
];
const BCRYPT = (text: string) => ({ kind: "bcrypt", text: `$2b$04$${text.padEnd(53, ".")}`, cost: 4 }) as const;

const key = (id: string, fields: Partial<KeyLiteral> = {}): KeyLiteral => ({
  id,
  credential: id,
  scopes: ["orders:read"],
  ...fields,
});

/** Both policies on the same requests, one after the other; verdicts in short. */
function observe(
  live: PolicyLiteral,
  candidate: PolicyLiteral,
  requests: readonly RequestLiteral[],
  verification?: Verification["kind"],
): readonly string[] {
  const policy = createPolicy(live);
  const pair = pairPolicies(policy, createPolicy(candidate));
  const state = createState();
  const spent = createShadowBuckets();
  return requests.map((request) => {
    const facts = toFacts(request);
    let decision = decide(facts, policy, state, NOW);
    if (decision.kind === "verify") {
      const [found] = decision.candidates;
      const matched = verification === "matched" && found !== undefined;
      decision = decide(facts, policy, state, NOW, matched ? { kind: "matched", key: found } : { kind: "unmatched" });
    }
    if (decision.kind === "verify") throw new Error("verified twice");
    const verdict = compareDecisions(facts, decision, pair, spent, NOW);
    if (verdict.kind === "undecided") return `undecided ${verdict.cause}`;
    return [verdict.outcome, verdict.reason, verdict.keyId, verdict.route]
      .filter((part) => part !== undefined)
      .join(" | ");
  });
}

const READ = { target: "/orders/1", credential: "a" };
const WRITE = { method: "POST", target: "/orders/1", credential: "a" };

describe("compareDecisions()", () => {
  test("finds an equal candidate to decide the same, allowed and refused", () => {
    const policy = { routes: ROUTES, keys: [key("a")] };
    const requests = [
      READ,
      WRITE,
      { target: "/health" },
      { target: "/orders/1", credential: "unknown" },
      { target: "/x/../y" },
    ];
    expect(observe(policy, policy, requests)).toEqual([
      "same | a | GET /orders/**",
      "same | scope_insufficient | a | POST /orders/**",
      "same | GET /health",
      "same | key_unknown | GET /orders/**",
      "same | target_invalid",
    ]);
  });

  test("tells whom a candidate would refuse and whom it would allow, with the reason of the one that refuses", () => {
    const live = { routes: ROUTES, keys: [key("a")] };
    const candidate = { routes: ROUTES, keys: [key("a", { scopes: ["orders:write"] })] };
    expect(observe(live, candidate, [READ, WRITE])).toEqual([
      "would_deny | scope_insufficient | a | GET /orders/**",
      "would_allow | scope_insufficient | a | POST /orders/**",
    ]);
  });

  test("compares keys, formats, networks, status and routes, not scopes alone", () => {
    const live = { routes: ROUTES, keys: [key("a")] };
    const refusing = (candidate: PolicyLiteral) =>
      observe(live, candidate, [{ ...READ, secure: false }])[0]?.split(" | ")[1];
    expect(refusing({ routes: ROUTES, keys: [key("b")] })).toBe("key_unknown");
    expect(refusing({ routes: ROUTES, keys: [key("a", { status: "suspended" })] })).toBe("key_suspended");
    expect(refusing({ routes: ROUTES, keys: [key("a", { allowIps: ["192.0.2.0/24"] })] })).toBe("address_denied");
    expect(refusing({ routes: [], keys: [key("a")] })).toBe("route_unknown");
    expect(refusing({ routes: ROUTES, keys: [key("a")], formats: ["lk_{secret:hex(32)}"] })).toBe(
      "credential_malformed",
    );
    expect(refusing({ routes: ROUTES, keys: [key("a")], httpsRequired: true })).toBe("https_required");
  });

  test("takes from buckets of its own, and never from the live ones", () => {
    const live = { routes: ROUTES, keys: [key("a", { limits: ["3/minute"] })] };
    const candidate = { routes: ROUTES, keys: [key("a", { limits: ["2/minute"] })] };
    const verdicts = observe(live, candidate, [READ, READ, READ, READ]);
    expect(verdicts.map((verdict) => verdict.split(" | ").slice(0, 2).join(" "))).toEqual([
      "same a",
      "same a",
      "would_deny rate_limited",
      "same rate_limited",
    ]);
  });

  test("knows a key that was verified slowly by its digest, and never asks for a slow hash", () => {
    const slow = { digest: BCRYPT("a"), prefix: "lk_" };
    const { credential: _, ...bare } = key("a");
    const live = { routes: ROUTES, keys: [{ ...bare, ...slow }] };
    const request = [{ target: "/orders/1", credential: "lk_secret" }];
    expect(observe(live, live, request, "matched")).toEqual(["same | a | GET /orders/**"]);
    expect(observe(live, live, request, "unmatched")).toEqual(["same | key_unknown | GET /orders/**"]);
    // Another slow digest that nobody has tried.
    const candidate = { routes: ROUTES, keys: [{ ...bare, ...slow, digest: BCRYPT("b") }] };
    expect(observe(live, candidate, request, "matched")).toEqual(["undecided slow_hash"]);
    expect(observe(live, candidate, request, "unmatched")).toEqual(["undecided slow_hash"]);
  });

  test("finds by its own means a key that the live policy does not know", () => {
    const live = { routes: ROUTES, keys: [] };
    expect(observe(live, { routes: ROUTES, keys: [key("a")] }, [READ])).toEqual([
      "would_allow | key_unknown | a | GET /orders/**",
    ]);
    expect(observe({ routes: [], keys: [key("a")] }, { routes: ROUTES, keys: [key("a")] }, [READ])).toEqual([
      "would_allow | route_unknown | a | GET /orders/**",
    ]);
  });

  test("decides as the candidate alone would, whatever it takes over from the live decision", () => {
    const keys = [key("a", { scopes: ["orders:read", "new:read"] })];
    const strict = [{ match: "GET /orders/1", scopes: ["orders:admin"] }, ...ROUTES];
    const derived = [{ match: "GET /{resource}/**", scopes: ["{resource}:read"] }];
    const policies = [ROUTES, strict, derived, [{ match: "GET /NEW", scopes: ["x"] }, ...derived], []].flatMap(
      (routes) =>
        [{}, { matrixParameters: "allow", encodedSlash: "allow" }, { caseSensitive: false }].map(
          (paths) => ({ routes, keys, paths }) as PolicyLiteral,
        ),
    );
    const targets = [
      "/orders/1",
      "/orders/1?x=%2e",
      "/ORDERS/1",
      "/orders/%31",
      "/orders/1;a=b",
      "/orders%2F1",
      "/new",
    ];
    const outcomes = new Set<string>();
    for (const live of policies) {
      for (const candidate of policies) {
        for (const target of targets) {
          const alone = decide(toFacts({ target, credential: "a" }), createPolicy(candidate), createState(), NOW);
          const [verdict = ""] = observe(live, candidate, [{ target, credential: "a" }]);
          const lived = decide(toFacts({ target, credential: "a" }), createPolicy(live), createState(), NOW);
          const expected = lived.kind === alone.kind ? "same" : alone.kind === "allow" ? "would_allow" : "would_deny";
          expect(`${target}: ${verdict.split(" | ")[0]}`).toBe(`${target}: ${expected}`);
          outcomes.add(expected);
        }
      }
    }
    expect([...outcomes].sort()).toEqual(["same", "would_allow", "would_deny"]);
  });
});
