import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { STEPS, toRequestFlowDiagram } from "../../scripts/request-flow-diagram.ts";
import { CHECK_OF, CHECKS } from "../../src/cli/checks.ts";
import { decide } from "../../src/policy/decide.ts";
import { DENIAL_REASONS, type DenialReason } from "../../src/policy/decision.ts";
import {
  createPolicy,
  createState,
  type KeyLiteral,
  type RequestLiteral,
  type RouteLiteral,
  toFacts,
} from "../policy/fixture.ts";
import { ROOT } from "./blocks.ts";

const read = (path: string): Promise<string> => readFile(resolve(ROOT, path), "utf8");

const NOW = 1_750_000_000_000;
const KEY = `bk_live_eu_${"1".repeat(32)}`;
const UNKNOWN = `bk_live_eu_${"2".repeat(32)}`;

/** A request and what it meets. */
interface World {
  readonly request: RequestLiteral;
  readonly route: Omit<RouteLiteral, "match">;
  readonly key: Omit<KeyLiteral, "id">;
}

/** Everything is wrong at once with this one, so that what it is refused for is what is looked at first. */
const WRONG: World = {
  request: { method: "POST", target: `/nowhere/../x?api_key=${KEY}`, secure: false, from: "198.51.100.1" },
  route: { scopes: ["orders:write"], cost: 5 },
  key: {
    credential: KEY,
    status: "revoked",
    expiresAtMs: NOW - 1,
    notBeforeMs: NOW + 1,
    readOnly: true,
    allowIps: ["203.0.113.0/24"],
    limits: ["1/hour"],
  },
};

/** Puts right the one thing that a reason names, and leaves wrong what may come after it. */
const PUT_RIGHT: Partial<Record<DenialReason, (world: World) => World>> = {
  target_invalid: (world) => asking(world, { target: `/nowhere?api_key=${KEY}` }),
  https_required: (world) => asking(world, { secure: true }),
  credential_in_url: (world) => asking(world, { target: "/nowhere" }),
  credential_missing: (world) => asking(world, { credential: "one", headers: [["X-API-Key", "another"]] }),
  credential_ambiguous: (world) => asking(world, { credential: "one", headers: [] }),
  credential_malformed: (world) => asking(world, { credential: UNKNOWN.replace("live_eu", "test_us") }),
  environment_mismatch: (world) => asking(world, { credential: UNKNOWN.replace("live_eu", "live_us") }),
  region_mismatch: (world) => asking(world, { credential: UNKNOWN }),
  key_unknown: (world) => asking(world, { credential: KEY }),
  key_revoked: (world) => holding(world, { status: "suspended" }),
  key_expired: (world) => holding(world, { expiresAtMs: NOW + 1 }),
  key_not_yet_valid: (world) => holding(world, { notBeforeMs: NOW - 1 }),
  key_suspended: (world) => holding(world, { status: "active" }),
  route_unknown: (world) => asking(world, { target: "/orders/1" }),
  scope_insufficient: (world) => holding(world, { scopes: ["orders:write"] }),
  key_read_only: (world) => holding(world, { readOnly: false }),
  address_denied: (world) => asking(world, { from: "203.0.113.7" }),
  rate_limited: (world) => ({ ...world, route: { ...world.route, cost: 1 } }),
};

function asking(world: World, request: RequestLiteral): World {
  return { ...world, request: { ...world.request, ...request } };
}

function holding(world: World, key: Partial<KeyLiteral>): World {
  return { ...world, key: { ...world.key, ...key } };
}

/** What a request is refused for, one reason after the other, until nothing is wrong with it. */
function peel(): readonly DenialReason[] {
  const reasons: DenialReason[] = [];
  let world = WRONG;
  while (reasons.length <= DENIAL_REASONS.length) {
    const policy = createPolicy({
      httpsRequired: true,
      formats: ["bk_{environment:live|test}_{region:eu|us}_{secret:hex(32)}"],
      accept: { environment: ["live"], region: ["eu"] },
      routes: [{ match: "POST /orders/**", ...world.route }],
      keys: [{ id: "pos", ...world.key }],
    });
    const decision = decide(toFacts(world.request), policy, createState(), NOW);
    if (decision.kind !== "deny") return reasons;
    reasons.push(decision.reason);
    const next = PUT_RIGHT[decision.reason]?.(world);
    if (next === undefined) return reasons;
    world = next;
  }
  return reasons;
}

describe("the picture of the request flow", () => {
  test("has the order in which decide() refuses a request with everything wrong, put right piece by piece", () => {
    const shown = STEPS.flatMap(({ reasons }) => reasons).filter((reason) => reason in PUT_RIGHT);
    expect(shown).toHaveLength(Object.keys(PUT_RIGHT).length);
    expect(peel()).toEqual(shown);
  });

  test("has the checks that `explain` tells, in its order, with the reasons it gives each", () => {
    const checks = STEPS.flatMap(({ check }) => (check === undefined ? [] : [check]));
    // The route is looked up early and told late.
    expect(checks.filter((check, index) => checks.indexOf(check) === index)).toEqual([...CHECKS]);
    for (const { check, reasons } of STEPS) {
      for (const reason of reasons) expect(CHECK_OF[reason], reason).toBe(check ?? "target");
    }
  });

  test("has every reason but those of key operations and of a defect, once", () => {
    const elsewhere: readonly DenialReason[] = ["key_conflict", "key_not_found", "keys_not_writable", "internal_error"];
    const shown = STEPS.flatMap(({ reasons }) => reasons);
    expect([...shown, ...elsewhere].toSorted()).toEqual([...DENIAL_REASONS].toSorted());
  });

  test("is the one that is checked in and shown on both pages; `npm run docs` draws it", async () => {
    expect(await read("docs/request-flow.svg")).toBe(toRequestFlowDiagram());
    expect(await read("README.md")).toContain("(docs/request-flow.svg)");
    expect(await read("docs/request-flow.md")).toContain("(request-flow.svg)");
  });
});

describe("the table of checks in docs/request-flow.md", () => {
  test("has the reasons in the same order", async () => {
    const rows = (await read("docs/request-flow.md")).match(/^\| \d+ \|.*$/gm) ?? [];
    const reasons = rows.flatMap((row) =>
      [...(row.split("|")[3] ?? "").matchAll(/`([a-z_]+)`/g)].map(([, reason]) => reason),
    );
    const told = reasons.filter((reason) => reason !== undefined && reason in PUT_RIGHT);
    expect(told).toEqual(peel());
  });
});
