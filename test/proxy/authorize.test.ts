import { describe, expect, test } from "vitest";
import { deny, type NeedsVerification } from "../../src/policy/decision.ts";
import type { Verification } from "../../src/policy/key.ts";
import type { PolicyState } from "../../src/policy/policy.ts";
import { type Authorizer, authorize, holdBackMs } from "../../src/proxy/authorize.ts";
import { createPolicy, createState, toFacts } from "../policy/fixture.ts";

const DIGEST = { kind: "bcrypt", text: `$2y$10$${"a".repeat(53)}`, cost: 10 } as const;
const SLOW = createPolicy({
  routes: [{ match: "GET /orders/**", authenticated: true }],
  keys: [{ id: "php", prefix: "abcd", digest: DIGEST }],
});
const FACTS = toFacts({ credential: "abcdefgh" });

/** What authorize() needs, with one part broken or slow. */
function withParts(parts: {
  readonly state?: PolicyState;
  readonly verify?: (request: NeedsVerification) => Promise<Verification>;
}): Authorizer {
  return {
    state: parts.state ?? createState(),
    clock: { now: () => 0 },
    verifier: { verify: parts.verify ?? (() => Promise.resolve({ kind: "unmatched" })) },
  };
}

const broken = (): never => {
  throw new Error("broken on purpose");
};

describe("authorize()", () => {
  test("denies with internal_error when a check throws", async () => {
    const state: PolicyState = { ...createState(), verified: { find: broken } };
    const decision = await authorize(FACTS, SLOW, withParts({ state }));
    expect(decision).toMatchObject({ kind: "deny", reason: "internal_error", principal: undefined });
    expect(decision.kind === "deny" && decision.detail).toContain("broken on purpose");
  });

  test("denies with internal_error when the slow hash fails", async () => {
    const verify = () => Promise.reject(new Error("the thread died"));
    expect(await authorize(FACTS, SLOW, withParts({ verify }))).toMatchObject({
      kind: "deny",
      reason: "internal_error",
    });
  });

  test("denies as overloaded when the queue of slow hashes is full", async () => {
    const verify = () => Promise.resolve({ kind: "overloaded" } as const);
    expect(await authorize(FACTS, SLOW, withParts({ verify }))).toMatchObject({ kind: "deny", reason: "overloaded" });
  });

  test("answers at once where nothing is slow", () => {
    const decision = authorize(toFacts({ credential: "unknown1" }), SLOW, withParts({}));
    expect(decision).not.toBeInstanceOf(Promise);
    expect(decision).toMatchObject({ kind: "deny", reason: "key_unknown" });
  });
});

describe("holdBackMs()", () => {
  const refusal = (credential: string) => authorize(toFacts({ credential }), SLOW, withParts({}));

  test("puts refused credentials on one grid, whether a hash was computed or not", async () => {
    for (const credential of ["unknown1", "abcdefgh", "malformed,"]) {
      const decision = await refusal(credential);
      for (const elapsedMs of [0, 3, 80, 249]) expect(elapsedMs + holdBackMs(decision, SLOW, elapsedMs)).toBe(250);
      expect(300 + holdBackMs(decision, SLOW, 300)).toBe(500);
    }
  });

  test("puts keys a config may disguise as unknown on the same grid", () => {
    const held = ["key_revoked", "key_expired", "key_not_yet_valid", "key_suspended"] as const;
    for (const reason of held) expect(holdBackMs(deny(reason), SLOW, 5)).toBe(245);
    expect(holdBackMs(deny("scope_insufficient"), SLOW, 5)).toBe(0);
  });

  test("widens the grid with the cost of the hashes, and with the number of keys that share a prefix", () => {
    const costing = (cost: number, count: number) =>
      createPolicy({
        keys: Array.from({ length: count }, (_, index) => ({
          id: `key-${index}`,
          prefix: "abcd",
          digest: { ...DIGEST, text: `$2y$10$${String(index).padStart(53, "a")}`, cost },
        })),
      });
    const gridOf = (cost: number, count = 1) => holdBackMs(deny("key_unknown"), costing(cost, count), 0);
    expect([gridOf(4), gridOf(10), gridOf(11), gridOf(12)]).toEqual([250, 250, 500, 1000]);
    expect([gridOf(10, 2), gridOf(10, 3), gridOf(12, 2)]).toEqual([500, 1000, 2000]);
  });

  test("holds nothing back where no key has a slow hash", async () => {
    const fast = createPolicy({ routes: [{ match: "* /**", authenticated: true }] });
    expect(holdBackMs(await authorize(FACTS, fast, withParts({})), fast, 5)).toBe(0);
  });
});
