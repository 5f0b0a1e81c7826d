/**
 * Nanoseconds that a candidate policy adds to a request: deciding once more, comparing and counting.
 * 1,000 SHA-256 keys, 20 routes, two limits, 12 header lines, as in `bench/decide.ts`. Run with
 * `node bench/shadow.ts`.
 */
import { decide } from "../src/policy/decide.ts";
import { createShadowBuckets } from "../src/policy/shadow.ts";
import { createComparison, type ShadowRequest } from "../src/proxy/shadow.ts";
import { createMetrics } from "../src/telemetry/metrics.ts";
import { createPolicy, createState, type PolicyLiteral, type RequestLiteral, toFacts } from "../test/policy/fixture.ts";

const NOW = 1_750_000_000_000;
const KEYS = 1000;
const WARM_UP_MS = 400;
// Many short rounds: on a busy machine the least of them is the one that had the processor to itself.
const ROUND_MS = 20;
const ROUNDS = 61;

const credentials = Array.from({ length: KEYS }, (_, index) => `bk_live_${index.toString(16).padStart(32, "0")}`);
const resources = ["orders", "clients", "invoices", "items", "reports", "users", "tills", "shifts", "stock"];
const literal = (scopes: readonly string[], more: NonNullable<PolicyLiteral["routes"]> = []): PolicyLiteral => ({
  formats: ["bk_{environment:live|test}_{secret:hex(32)}"],
  accept: { environment: ["live"] },
  failures: "30/minute",
  routes: [
    { match: "GET /health", public: true },
    ...more,
    ...resources.flatMap((resource) => [
      { match: `GET /api/v1/${resource}/**`, scopes: [`${resource}:read`] },
      { match: `POST,PUT,PATCH,DELETE /api/v1/${resource}/**`, scopes: [`${resource}:write`] },
    ]),
    { match: "* /api/v2/{resource}/**", scopes: ["{resource}.{action}"] },
  ],
  // Limits that this many requests at one instant never spend: it is the passing that is timed.
  keys: credentials.map((credential, index) => ({
    id: `key-${index}`,
    credential,
    scopes,
    limits: ["1000000000/minute", "1000000000/hour"],
    allowIps: index % 2 === 0 ? ["203.0.113.0/24"] : ["198.51.100.0/24", "203.0.113.0/24"],
  })),
});
const live = createPolicy(literal(["orders:read", "clients:read"]));
const equal = createPolicy(literal(["orders:read", "clients:read"]));
const rerouted = createPolicy(literal(["orders:read", "clients:read"], [{ match: "GET /new", authenticated: true }]));
const stricter = createPolicy(literal(["clients:read"]));

const HEADER_LINES: readonly (readonly [string, string])[] = [
  ["User-Agent", "pos-client/4.1 (linux; x64) node/26"],
  ["Accept", "application/json"],
  ["Accept-Encoding", "gzip, deflate, br"],
  ["Accept-Language", "en-GB,en;q=0.9"],
  ["Connection", "keep-alive"],
  ["X-Request-Id", "0f6b9c3e-5d2a-4b3c-9f7e-1a2b3c4d5e6f"],
  ["X-Forwarded-For", "203.0.113.7"],
  ["X-Forwarded-Proto", "https"],
  ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  ["Cache-Control", "no-cache"],
];

/** Milliseconds of processor time this thread has had: on a busy machine the wall clock measures the neighbours. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function report(name: string, run: (index: number) => unknown): void {
  let sink = 0;
  const timed = (forMs: number): number => {
    let calls = 0;
    const start = cpuMs();
    let elapsed = 0;
    for (; elapsed < forMs; elapsed = cpuMs() - start) {
      for (let index = 0; index < KEYS; index += 1) if (run(index) !== undefined) sink += 1;
      calls += KEYS;
    }
    return (elapsed * 1e6) / calls;
  };
  timed(WARM_UP_MS);
  const rounds = Array.from({ length: ROUNDS }, () => timed(ROUND_MS)).sort((one, other) => one - other);
  if (sink === 0) throw new Error("nothing was run");
  const [median, least] = [rounds[ROUNDS >> 1] ?? 0, rounds[0] ?? 0];
  process.stdout.write(`${name.padEnd(52)}${median.toFixed(0).padStart(8)}${least.toFixed(0).padStart(8)}\n`);
}

const factsOf = (request: RequestLiteral) =>
  credentials.map((credential) => toFacts({ credential, headers: HEADER_LINES, ...request }));
const state = createState();
const metrics = createMetrics("bench");

process.stdout.write(`${"".padEnd(52)}  median   least   (ns)\n`);
for (const [name, target] of [
  ["typical", "/api/v1/orders/4711?page=2&expand=lines"],
  ["without a query", "/api/v1/orders/4711"],
  ["refused by both", "/api/v1/stock/1"],
  ["public", "/health"],
] as const) {
  const facts = factsOf({ target });
  const decided = facts.map((each) => {
    const decision = decide(each, live, state, NOW);
    if (decision.kind === "verify") throw new Error("no key here is slow");
    return decision;
  });
  for (const [kind, candidate] of [
    ["an equal candidate", equal],
    ["a stricter candidate", stricter],
    ["another route", rerouted],
  ] as const) {
    const comparison = createComparison(live, candidate, createShadowBuckets(), {
      compared: metrics.shadowed,
      undecided: metrics.shadowUndecided,
      sample: () => {},
    });
    const requests = facts.flatMap((each, index): ShadowRequest[] => {
      const decision = decided[index];
      return decision === undefined ? [] : [{ facts: each, live, decision, requestId: "r", nowMs: NOW }];
    });
    report(`shadow, ${name}, ${kind}`, (index) => {
      const request = requests[index];
      if (request !== undefined) comparison.compare(request);
      return request;
    });
  }
  report(`decide, ${name}, for comparison`, (index) => facts[index] && decide(facts[index], live, state, NOW));
}
