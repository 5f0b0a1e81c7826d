import { createBucketTable } from "../../src/policy/bucket-table.ts";
import { findUrlCredentials, readCredential } from "../../src/policy/credential.ts";
import { decide } from "../../src/policy/decide.ts";
import { sha256 } from "../../src/policy/digest.ts";
import { findKey } from "../../src/policy/key.ts";
import { isPrefixedKey, matchKeyFormat } from "../../src/policy/key-format.ts";
import { findRoute } from "../../src/policy/route.ts";
import { grantsScope } from "../../src/policy/scope.ts";
import { judgeTarget } from "../../src/policy/target.ts";
import { createPolicy, createState, type RequestLiteral, toLimit } from "../../test/policy/fixture.ts";
import { CREDENTIALS, NOW, requestsOf, TARGET, toPolicyLiteral } from "./fixture.ts";
import type { Subject } from "./measure.ts";

const policy = createPolicy(toPolicyLiteral(["orders:read", "clients:read", "orders.read"]));

/** Whole decisions, by how they end. */
export function decisions(): readonly Subject[] {
  const unknown = CREDENTIALS.map((credential) => credential.replace("bk_live_0", "bk_live_f"));
  const nonsense = CREDENTIALS.map(() => "nonsense");
  return [
    decision("allow: typical", { target: TARGET }, "allow"),
    decision("allow: without a query", { target: "/api/v1/orders/4711" }, "allow"),
    decision("allow: last route, derived scope", { target: "/api/v2/orders/4711" }, "allow"),
    decision("allow: an encoded path (%20)", { target: "/api/v1/orders/a%20b" }, "allow"),
    decision("allow: public", { target: "/health" }, "allow"),
    decision("deny: target_invalid", { target: "/api/v1/orders/../x" }, "target_invalid"),
    decision("deny: credential_malformed (over budget)", { target: TARGET }, "credential_malformed", nonsense),
    decision("deny: key_unknown (over budget)", { target: TARGET }, "key_unknown", unknown),
    decision("deny: scope_insufficient", { target: "/api/v1/stock/1" }, "scope_insufficient"),
    decision("deny: address_denied", { target: TARGET, from: "192.0.2.1" }, "address_denied"),
  ];
}

function decision(name: string, request: RequestLiteral, expected: string, presented?: readonly string[]): Subject {
  const facts = requestsOf(request, presented);
  const state = createState();
  const [first] = facts;
  const decided = first && decide(first, policy, state, NOW);
  const outcome = decided?.kind === "deny" ? decided.reason : decided?.kind;
  if (outcome !== expected) throw new Error(`${name}: ${outcome} instead of ${expected}`);
  return {
    group: "decide()",
    name,
    run: (index) => {
      const next = facts[index];
      return next && decide(next, policy, state, NOW);
    },
  };
}

/** The checks by themselves, in the order of `decide`. */
export function steps(): readonly Subject[] {
  const facts = requestsOf({ target: TARGET });
  const state = createState();
  const segments = ["api", "v1", "orders", "4711"];
  const table = createBucketTable();
  const demands = CREDENTIALS.map((_, index) => ({
    owner: `key-${index}`,
    limits: [toLimit("1000000000/minute", "a"), toLimit("1000000000/hour", "b")],
    cost: 1,
  }));
  const looksLikeKey = (text: string) => isPrefixedKey(text, policy.keyFormats);
  const keys = [...policy.keys.all()];
  const step = (name: string, run: Subject["run"]): Subject => ({ group: "its steps", name, run });
  return [
    step("judgeTarget", () => judgeTarget(TARGET, policy.paths)),
    step("findRoute", () => findRoute(policy.routes, "GET", segments)),
    step("findUrlCredentials, two parameters", () =>
      findUrlCredentials("page=2&expand=lines", policy.credentials, looksLikeKey),
    ),
    step("readCredential, 12 lines", (index) => readCredential(facts[index]?.rawHeaders ?? [], policy.credentials)),
    step("matchKeyFormat", (index) => matchKeyFormat(CREDENTIALS[index] ?? "", policy.keyFormats)),
    step("sha256", (index) => sha256(CREDENTIALS[index] ?? "")),
    step("findKey (with its sha256)", (index) => findKey(CREDENTIALS[index] ?? "", policy.keys, state.verified)),
    step("grantsScope", (index) => keys[index] && grantsScope(keys[index].grants, "orders:read")),
    step("networks.contains", (index) => facts[index] && keys[index]?.networks?.contains(facts[index].clientAddress)),
    step("take, two limits", (index) => demands[index] && table.take(demands[index], NOW)),
  ];
}
