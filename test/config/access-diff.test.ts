import { describe, expect, test } from "vitest";
import { diffAccess } from "../../src/config/access-diff.ts";
import { createPolicy, type KeyLiteral, type PolicyLiteral } from "../policy/fixture.ts";

const NOW = 1_750_000_000_000;

const ORDERS = [
  { match: "GET /orders/**", scopes: ["orders:read"] },
  { match: "POST /orders/**", scopes: ["orders:write"] },
];

/** One line for each caller whose access changes. */
function compare(old: PolicyLiteral, next: PolicyLiteral): readonly string[] {
  return diffAccess(createPolicy(old), createPolicy(next), NOW).map(({ keyId, gained, lost, lostAll }) =>
    [
      keyId ?? "nobody",
      ...lost.map((text) => `${lostAll ? "--" : "-"} ${text}`),
      ...gained.map((text) => `+ ${text}`),
    ].join(" | "),
  );
}

const key = (id: string, fields: Partial<KeyLiteral> = {}): KeyLiteral => ({
  id,
  credential: id,
  scopes: ["orders:read"],
  ...fields,
});

describe("diffAccess()", () => {
  test("says nothing of two policies that let the same callers do the same", () => {
    const policy = { routes: ORDERS, keys: [key("a")] };
    expect(compare(policy, policy)).toEqual([]);
    expect(compare(policy, { routes: [...ORDERS].reverse(), keys: [key("a", { limits: ["1/minute"] })] })).toEqual([]);
  });

  test("tells what a key with other scopes gains and loses", () => {
    const old = { routes: ORDERS, keys: [key("a"), key("b")] };
    const next = { routes: ORDERS, keys: [key("a", { scopes: ["orders:write"] }), key("b", { scopes: ["*"] })] };
    expect(compare(old, next)).toEqual(["a | - GET /orders/** | + POST /orders/**", "b | + POST /orders/**"]);
  });

  test("tells that a removed, suspended or expired key loses everything", () => {
    const old = { routes: ORDERS, keys: [key("a"), key("b"), key("c"), key("d")] };
    const next = {
      routes: ORDERS,
      keys: [key("a"), key("b", { status: "suspended" }), key("c", { expiresAtMs: NOW })],
    };
    const lost = "-- GET /orders/**";
    expect(compare(old, next)).toEqual([`b | ${lost}`, `c | ${lost}`, `d | ${lost}`]);
  });

  test("counts neither the scopes of a key that may not be used, nor its coming back to nothing", () => {
    const revoked = { status: "revoked" } as const;
    const old = { routes: ORDERS, keys: [key("a", revoked)] };
    const next = { routes: ORDERS, keys: [key("a", { ...revoked, scopes: ["*"] })] };
    expect(compare(old, next)).toEqual([]);
  });

  test("tells which part of a route an earlier one now takes", () => {
    const old = { routes: ORDERS, keys: [key("a")] };
    const next = { routes: [{ match: "GET /orders/export", scopes: ["orders:admin"] }, ...ORDERS], keys: [key("a")] };
    expect(compare(old, next)).toEqual(["a | - GET /orders/** (only GET /orders/export)"]);
  });

  test("tells of callers without a key when a route is opened or closed to them", () => {
    const old = { routes: [{ match: "GET /docs/**", public: true as const }] };
    const next = { routes: [{ match: "GET /docs/**", authenticated: true as const }], keys: [key("a")] };
    expect(compare(old, next)).toEqual(["nobody | -- GET /docs/**"]);
    expect(compare(next, old)).toEqual(["nobody | + GET /docs/**"]);
  });

  test("asks for every scope that a derived scope can become with the words anybody's scopes hold", () => {
    const routes = [{ match: "* /api/{resource}/**", scopes: ["{resource}.{action}"], aliases: { "*s": "*" } }];
    const old = { routes, keys: [key("a", { scopes: ["client.*"] }), key("b", { scopes: ["invoice.read"] })] };
    const next = { routes, keys: [key("a", { scopes: ["client.read"] }), key("b", { scopes: ["*"] })] };
    const [a, b] = compare(old, next);
    expect(a).toBe(
      ["create", "update", "delete"].reduce(
        (text, action) => `${text} | - * /api/{resource}/** (client.${action})`,
        "a",
      ),
    );
    // What no word names is asked for once.
    expect(b).toContain("+ * /api/{resource}/** (any-value.read)");
    expect(b).toContain("+ * /api/{resource}/** (client.read)");
    expect(b).not.toContain("(invoice.read)");
  });

  test("tells a read-only key's loss of the methods that write", () => {
    const routes = [{ match: "* /things", authenticated: true as const }];
    const old = { routes, keys: [key("a")] };
    const next = { routes, keys: [key("a", { readOnly: true })] };
    expect(compare(old, next)).toEqual([
      "a | - * /things (only POST /things, PUT /things, PATCH /things, DELETE /things)",
    ]);
  });

  test("compares many keys, of which most have the same scopes", () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => key(`key-${index}`));
    expect(compare({ routes: ORDERS, keys }, { routes: ORDERS, keys: keys.slice(1) })).toHaveLength(1);
  });
});
