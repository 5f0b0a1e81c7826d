import { describe, expect, test } from "vitest";
import { decide } from "../../src/policy/decide.ts";
import { createShadowBuckets } from "../../src/policy/shadow.ts";
import { createComparison, type ShadowRequest, type ShadowSample } from "../../src/proxy/shadow.ts";
import { createPolicy, createState, type RequestLiteral, toFacts } from "../policy/fixture.ts";

const NOW = 1_750_000_000_000;
const ROUTES = [{ match: "GET /orders/**", authenticated: true as const }];
const keys = Array.from({ length: 3 }, (_, index) => ({
  id: `key-${index}`,
  credential: `lk_${"0".repeat(31)}${index}`,
}));
const live = createPolicy({ routes: ROUTES, keys, formats: ["lk_{secret:hex(32)}"] });
const candidate = createPolicy({ routes: ROUTES, keys: keys.slice(0, 1), formats: ["lk_{secret:hex(32)}"] });

function createFixture() {
  const told: string[] = [];
  const samples: ShadowSample[] = [];
  const comparison = createComparison(live, candidate, createShadowBuckets(), {
    compared: (outcome, reason, route) => told.push([outcome, reason, route].join(" ")),
    undecided: (cause) => told.push(`undecided ${cause}`),
    sample: (sample) => samples.push(sample),
  });
  const ask = (request: RequestLiteral, change: Partial<ShadowRequest> = {}) => {
    const facts = toFacts({ target: "/orders/1", ...request });
    const decision = decide(facts, live, createState(), NOW);
    if (decision.kind === "verify") throw new Error("no key here is slow");
    comparison.compare({ facts, live, decision, requestId: "r", nowMs: NOW, ...change });
  };
  return { comparison, told, samples, ask };
}

const KEY_1 = { credential: keys[1]?.credential ?? "" };

describe("createComparison()", () => {
  test("counts all, and keeps a row for each way in which a key's requests to a route differ", () => {
    const { comparison, told, ask } = createFixture();
    ask({ credential: keys[0]?.credential ?? "" });
    for (let time = 0; time < 5; time += 1) ask(KEY_1);
    ask({ credential: keys[2]?.credential ?? "" });
    expect(comparison.totals()).toEqual({ same: 1, wouldAllow: 0, wouldDeny: 6, undecided: 0 });
    const row = { outcome: "would_deny", route: "GET /orders/**", reason: "key_unknown", latestMs: NOW };
    expect(comparison.rows()).toEqual([
      { ...row, keyId: "key-1", count: 5 },
      { ...row, keyId: "key-2", count: 1 },
    ]);
    expect(told.slice(0, 2)).toEqual(["same  GET /orders/**", "would_deny key_unknown GET /orders/**"]);
  });

  test("describes the first three of a kind, without a query or anything that looks like a key", () => {
    const { samples, ask } = createFixture();
    for (let time = 0; time < 5; time += 1) ask({ ...KEY_1, target: `/orders/${KEY_1.credential}?page=1` });
    expect(samples).toHaveLength(3);
    expect(samples[0]).toMatchObject({ keyId: "key-1", requestId: "r", method: "GET", reason: "key_unknown" });
    expect(JSON.stringify(samples)).not.toContain(KEY_1.credential);
    expect(JSON.stringify(samples)).not.toContain("page");
  });

  test("compares nothing that another policy decided", () => {
    const { comparison, told, ask } = createFixture();
    ask(KEY_1, { live: candidate });
    expect(told).toEqual(["undecided reloaded"]);
    expect(comparison.totals().undecided).toBe(1);
  });

  test("counts an exception and goes on", () => {
    const { told, ask } = createFixture();
    // Facts that break an invariant stand for a defect of the comparison itself.
    const rawHeaders: readonly string[] = new Proxy([], {
      get: () => {
        throw new Error("broken");
      },
    });
    ask({}, { facts: { ...toFacts({ target: "/orders/1" }), rawHeaders } });
    ask(KEY_1);
    expect(told).toEqual(["undecided error", "would_deny key_unknown GET /orders/**"]);
  });
});
