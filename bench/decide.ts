/**
 * Nanoseconds per `decide` for a typical request: 1,000 SHA-256 keys, 20 routes, two limits, 12
 * header lines. Run with `node bench/decide.ts`; the shares come from timing each step by itself.
 */
import { createBucketTable } from "../src/policy/bucket-table.ts";
import { findUrlCredentials, readCredential } from "../src/policy/credential.ts";
import { decide } from "../src/policy/decide.ts";
import { sha256 } from "../src/policy/digest.ts";
import type { RequestFacts } from "../src/policy/facts.ts";
import { findKey } from "../src/policy/key.ts";
import { isPrefixedKey, matchKeyFormat } from "../src/policy/key-format.ts";
import { findRoute } from "../src/policy/route.ts";
import { grantsScope } from "../src/policy/scope.ts";
import { judgeTarget } from "../src/policy/target.ts";
import { createPolicy, createState, type RequestLiteral, toFacts, toLimit } from "../test/policy/fixture.ts";

const NOW = 1_750_000_000_000;
const KEYS = 1000;
const WARM_UP_MS = 400;
const ROUND_MS = 150;
const ROUNDS = 9;

const credentials = Array.from({ length: KEYS }, (_, index) => `bk_live_${index.toString(16).padStart(32, "0")}`);
const resources = ["orders", "clients", "invoices", "items", "reports", "users", "tills", "shifts", "stock"];
const policy = createPolicy({
  formats: ["bk_{environment:live|test}_{secret:hex(32)}"],
  accept: { environment: ["live"] },
  failures: "30/minute",
  routes: [
    { match: "GET /health", public: true },
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
    scopes: ["orders:read", "clients:read", "orders.read"],
    limits: ["1000000000/minute", "1000000000/hour"],
    allowIps: index % 2 === 0 ? ["203.0.113.0/24"] : ["198.51.100.0/24", "203.0.113.0/24"],
  })),
});

const BROWSER_LINES: readonly (readonly [string, string])[] = [
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

/** One request by each key in turn, so that no cache of one credential flatters the figure. */
function requestsOf(request: RequestLiteral, presented: readonly string[] = credentials): readonly RequestFacts[] {
  return presented.map((credential) => toFacts({ credential, headers: BROWSER_LINES, ...request }));
}

/** Milliseconds of processor time this thread has had: on a busy machine the wall clock measures the neighbours. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Median over rounds of the nanoseconds one call takes, after warming up until the compiler is done. */
function measure(run: (index: number) => unknown): { readonly median: number; readonly least: number } {
  let sink = 0;
  const timed = (forMs: number): number => {
    let calls = 0;
    const start = cpuMs();
    let elapsed = 0;
    for (; elapsed < forMs; elapsed = cpuMs() - start) {
      for (let batch = 0; batch < KEYS; batch += 1) if (run(batch) !== undefined) sink += 1;
      calls += KEYS;
    }
    return (elapsed * 1e6) / calls;
  };
  timed(WARM_UP_MS);
  const rounds = Array.from({ length: ROUNDS }, () => timed(ROUND_MS)).sort((one, other) => one - other);
  if (sink < 0) throw new Error("unreachable; keeps the calls from being optimised away");
  return { median: rounds[ROUNDS >> 1] ?? 0, least: rounds[0] ?? 0 };
}

function report(name: string, run: (index: number) => unknown): void {
  const { median, least } = measure(run);
  process.stdout.write(`${name.padEnd(52)}${median.toFixed(0).padStart(8)}${least.toFixed(0).padStart(8)}\n`);
}

function reportDecision(name: string, request: RequestLiteral, expected: string, presented?: readonly string[]): void {
  const facts = requestsOf(request, presented);
  const state = createState();
  const first = facts[0];
  const decision = first && decide(first, policy, state, NOW);
  const outcome = decision?.kind === "deny" ? decision.reason : decision?.kind;
  if (outcome !== expected) throw new Error(`${name}: ${outcome} instead of ${expected}`);
  report(name, (index) => {
    const next = facts[index];
    return next && decide(next, policy, state, NOW);
  });
}

const TARGET = "/api/v1/orders/4711?page=2&expand=lines";
const unknown = credentials.map((credential) => credential.replace("bk_live_0", "bk_live_f"));

process.stdout.write(`${"decide()".padEnd(52)}  median   least   (ns)\n`);
reportDecision("allow: typical", { target: TARGET }, "allow");
reportDecision("allow: without a query", { target: "/api/v1/orders/4711" }, "allow");
reportDecision("allow: last route, derived scope", { target: "/api/v2/orders/4711" }, "allow");
reportDecision("allow: an encoded path (%20)", { target: "/api/v1/orders/a%20b" }, "allow");
reportDecision("allow: public", { target: "/health" }, "allow");
reportDecision("deny: target_invalid", { target: "/api/v1/orders/../x" }, "target_invalid");
reportDecision(
  "deny: credential_malformed (over budget)",
  { target: TARGET },
  "credential_malformed",
  credentials.map(() => "nonsense"),
);
reportDecision("deny: key_unknown (over budget)", { target: TARGET }, "key_unknown", unknown);
reportDecision("deny: scope_insufficient", { target: "/api/v1/stock/1" }, "scope_insufficient");
reportDecision("deny: address_denied", { target: TARGET, from: "192.0.2.1" }, "address_denied");

const facts = requestsOf({ target: TARGET });
const state = createState();
const segments = ["api", "v1", "orders", "4711"];
const table = createBucketTable();
const demands = credentials.map((_, index) => ({
  owner: `key-${index}`,
  limits: [toLimit("1000000000/minute", "a"), toLimit("1000000000/hour", "b")],
  cost: 1,
}));
const looksLikeKey = (text: string) => isPrefixedKey(text, policy.keyFormats);

process.stdout.write(`\n${"step".padEnd(52)}  median   least   (ns)\n`);
report("judgeTarget", () => judgeTarget(TARGET, policy.paths));
report("findRoute", () => findRoute(policy.routes, "GET", segments));
report("findUrlCredentials, two parameters", () =>
  findUrlCredentials("page=2&expand=lines", policy.credentials, looksLikeKey),
);
report("readCredential, 12 lines", (index) => readCredential(facts[index]?.rawHeaders ?? [], policy.credentials));
report("matchKeyFormat", (index) => matchKeyFormat(credentials[index] ?? "", policy.keyFormats));
report("sha256", (index) => sha256(credentials[index] ?? ""));
report("findKey (with its sha256)", (index) => findKey(credentials[index] ?? "", policy.keys, state.verified));
report("grantsScope", (index) => policy.keys.all[index] && grantsScope(policy.keys.all[index].grants, "orders:read"));
report(
  "networks.contains",
  (index) => facts[index] && policy.keys.all[index]?.networks?.contains(facts[index].clientAddress),
);
report("take, two limits", (index) => demands[index] && table.take(demands[index], NOW));
