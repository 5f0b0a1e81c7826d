import { expect, test } from "vitest";
import { giveBackMemory } from "../../src/app/give-back.ts";
import { createBucketTable } from "../../src/policy/bucket-table.ts";
import { decide } from "../../src/policy/decide.ts";
import { compileRoutes, findRoute } from "../../src/policy/route.ts";
import { createPolicy, createState, toFacts } from "../policy/fixture.ts";

const NOW = 1_750_000_000_000;
const MILLION = 1_000_000;
const ROUTES = [{ match: "* /**", authenticated: true }] as const;

function bytesInUse(): number {
  giveBackMemory();
  return process.memoryUsage().heapUsed;
}

test("a million client addresses that fail leave no more behind than the table holds", {
  timeout: 60_000,
}, (context) => {
  const policy = createPolicy({ routes: ROUTES, failures: "30/minute" });
  const table = createBucketTable();
  const state = createState(new Map(), table);
  const before = bytesInUse();
  const reasons = new Map<string, number>();
  for (let index = 0; index < MILLION; index += 1) {
    const from = `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
    // A tenth of a millisecond apart: all within two minutes, so that most are still live when the last comes.
    const decision = decide(toFacts({ from, credential: "nobody" }), policy, state, NOW + index / 10);
    const reason = decision.kind === "deny" ? decision.reason : decision.kind;
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  const mebibytes = (bytesInUse() - before) / 1024 ** 2;
  context.annotate(`${table.owners.size} addresses counted, ${mebibytes.toFixed(0)} MiB more in use`);
  expect(table.owners.size).toBeLessThanOrEqual(table.maxOwners);
  expect([...reasons.keys()].sort()).toEqual(["key_unknown"]);
  expect(mebibytes).toBeLessThan(30);
});

test("a table that is full of live addresses refuses new ones, and forgets none to make room", () => {
  const policy = createPolicy({ routes: ROUTES, failures: "1/minute" });
  const table = createBucketTable(1000);
  const state = createState(new Map(), table);
  const from = (index: number) => `10.0.${index >> 8}.${index & 255}`;
  const fail = (index: number) => decide(toFacts({ from: from(index), credential: "nobody" }), policy, state, NOW);
  for (let index = 0; index < 1000; index += 1) expect(fail(index)).toMatchObject({ reason: "key_unknown" });
  for (let index = 1000; index < 20_000; index += 1) expect(fail(index)).toMatchObject({ reason: "failures_exceeded" });
  for (let index = 0; index < 1000; index += 1) expect(fail(index)).toMatchObject({ reason: "failures_exceeded" });
  expect(table.owners.size).toBe(1000);
});

test("a full table costs a request no more than a small one does", () => {
  const policy = createPolicy({ routes: ROUTES, failures: "1/minute" });
  // Of the processor, not of the wall: what else the machine does must not count.
  const microsecondsEach = (size: number) => {
    const state = createState(new Map(), createBucketTable(size));
    const fail = (index: number) => {
      const from = `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
      decide(toFacts({ from, credential: "nobody" }), policy, state, NOW);
    };
    for (let index = 0; index < size; index += 1) fail(index);
    const before = process.cpuUsage();
    for (let index = size; index < size + 20_000; index += 1) fail(index);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 20_000;
  };
  microsecondsEach(1000);
  expect(microsecondsEach(200_000)).toBeLessThan(5 * microsecondsEach(1000));
});

test("a million unknown keys from one address leave nothing behind", { timeout: 60_000 }, (context) => {
  const policy = createPolicy({
    routes: ROUTES,
    failures: "30/minute",
    keys: [{ id: "good", credential: "good", limits: ["10/second"] }],
  });
  const state = createState();
  const before = bytesInUse();
  const startedMs = performance.now();
  for (let index = 0; index < MILLION; index += 1) {
    decide(toFacts({ credential: `lk_live_${index.toString(16).padStart(32, "0")}` }), policy, state, NOW + index);
  }
  const microseconds = ((performance.now() - startedMs) * 1000) / MILLION;
  const mebibytes = (bytesInUse() - before) / 1024 ** 2;
  context.annotate(`${microseconds.toFixed(2)} µs each, ${mebibytes.toFixed(0)} MiB more in use`);
  expect(state.failures.owners.size).toBe(1);
  expect(state.buckets.owners.size).toBe(0);
  expect(mebibytes).toBeLessThan(10);
  expect(decide(toFacts({ credential: "good" }), policy, state, NOW)).toMatchObject({ kind: "allow" });
});

test("no list of routes makes a path cost more than the routes it could match", () => {
  // Every segment may be a name or a literal, to a depth at which trying both each time would never end.
  const patterns = Array.from({ length: 500 }, (_, index) => {
    const segments = Array.from({ length: 24 }, (_, depth) => ((index >> (depth % 9)) & 1 ? "{p}" : "a"));
    return `GET /${segments.join("/")}/end${index}`;
  });
  const { routes } = createPolicy({ routes: patterns.map((match) => ({ match, public: true })) });
  const table = compileRoutes(routes.routes);
  const startedMs = performance.now();
  for (let index = 0; index < 200; index += 1) findRoute(table, "GET", Array(25).fill("a"));
  expect((performance.now() - startedMs) / 200).toBeLessThan(20);
});
