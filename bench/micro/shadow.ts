import { decide } from "../../src/policy/decide.ts";
import { createShadowBuckets } from "../../src/policy/shadow.ts";
import { createComparison, type ShadowRequest } from "../../src/proxy/shadow.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createPolicy, createState } from "../../test/policy/fixture.ts";
import { NOW, requestsOf, TARGET, toPolicyLiteral } from "./fixture.ts";
import type { Subject } from "./measure.ts";

/** What a candidate policy adds to a request: deciding once more, comparing and counting. */
export function shadows(): readonly Subject[] {
  const live = createPolicy(toPolicyLiteral(["orders:read", "clients:read"]));
  const state = createState();
  const metrics = createMetrics("bench");
  const targets = [
    ["typical", TARGET],
    ["without a query", "/api/v1/orders/4711"],
    ["refused by both", "/api/v1/stock/1"],
    ["public", "/health"],
  ] as const;
  const candidates = [
    ["an equal candidate", createPolicy(toPolicyLiteral(["orders:read", "clients:read"]))],
    ["a stricter candidate", createPolicy(toPolicyLiteral(["clients:read"]))],
    ["another route", createPolicy(toPolicyLiteral(["orders:read"], [{ match: "GET /new", authenticated: true }]))],
  ] as const;
  return targets.flatMap(([name, target]) => {
    const decided = requestsOf({ target }).map((facts): ShadowRequest => {
      const decision = decide(facts, live, state, NOW);
      if (decision.kind === "verify") throw new Error("no key here is slow");
      return { facts, live, decision, requestId: "r", nowMs: NOW };
    });
    return candidates.map(([kind, candidate]): Subject => {
      const comparison = createComparison(live, candidate, createShadowBuckets(), {
        compared: metrics.shadowed,
        undecided: metrics.shadowUndecided,
        sample: () => {},
      });
      return {
        group: "shadow policy",
        name: `${name}, ${kind}`,
        run: (index) => {
          const request = decided[index];
          if (request !== undefined) comparison.compare(request);
          return request;
        },
      };
    });
  });
}
