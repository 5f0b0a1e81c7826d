import { createRequestIds } from "../../src/app/request-ids.ts";
import { parseConfiguration } from "../../src/config/load.ts";
import { decide } from "../../src/policy/decide.ts";
import { findOrigin, type Peer } from "../../src/proxy/client-address.ts";
import { createGeneration } from "../../src/proxy/generation.ts";
import { toLimitFields } from "../../src/proxy/limit-headers.ts";
import { buildRequestFields } from "../../src/proxy/request-headers.ts";
import { buildResponseFields } from "../../src/proxy/response-headers.ts";
import { createAccessLog } from "../../src/telemetry/access-log.ts";
import type { AccessRecord } from "../../src/telemetry/access-record.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { snapshotOf } from "../../test/config/snapshot-of.ts";
import { createPolicy, createState } from "../../test/policy/fixture.ts";
import { NOW, requestsOf, TARGET, toPolicyLiteral } from "./fixture.ts";
import type { Subject } from "./measure.ts";

// Any configuration: header rules, identity headers and limit headers are those by default.
const CONFIG = `{"upstream": "http://127.0.0.1:3000", "routes": [{"match": "GET /**", "authenticated": true}], "keys": []}`;
const ANSWER = ["Server", "nginx", "Date", "Sun, 22 Nov 2026 10:00:00 GMT", "Content-Type", "application/json"].concat([
  "Content-Length",
  "204",
  "Connection",
  "keep-alive",
  "Cache-Control",
  "no-store",
]);

/** What is done around a decision: headers both ways, the line of the access log, the metrics. */
export function around(): readonly Subject[] {
  const loaded = parseConfiguration(snapshotOf(CONFIG));
  if (loaded.kind === "rejected") throw new Error(JSON.stringify(loaded.diagnostics));
  const generation = createGeneration(loaded.configuration);
  const policy = createPolicy(toPolicyLiteral(["orders:read"]));
  const state = createState();
  const facts = requestsOf({ target: TARGET });
  const permits = facts.map((each) => {
    const decision = decide(each, policy, state, NOW);
    if (decision.kind !== "allow") throw new Error(`${decision.kind} instead of allow`);
    return decision;
  });
  const createRequestId = createRequestIds();
  const requestId = createRequestId();
  const records = permits.map((permit, index) => toRecord(permit.principal?.key.id, index, requestId));
  const log = createLog("info", { write: () => {}, flush: () => {} }, () => NOW);
  const accessLog = createAccessLog(log, () => ({ ...loaded.configuration.settings.log, requests: "all" }));
  const metrics = createMetrics("bench");
  const { limitHeaders, listen } = loaded.configuration.settings;
  const subject = (name: string, run: Subject["run"]): Subject => ({ group: "around it", name, run });
  return [
    subject("request headers, 12 lines, identity set", (index) => {
      const [fact, permit] = [facts[index], permits[index]];
      if (fact === undefined || permit === undefined) return undefined;
      const peer: Peer = { address: fact.clientAddress, encrypted: false };
      const origin = findOrigin(peer, fact.rawHeaders, listen.trustedProxies);
      return buildRequestFields(fact.rawHeaders, permit, origin, peer, requestId, generation);
    }),
    subject("response headers, 6 lines", () => buildResponseFields(200, ANSWER, { ietf: "", legacy: "", requestId })),
    subject("limit headers, two limits", (index) =>
      toLimitFields(permits[index]?.quotas ?? [], limitHeaders, () => NOW),
    ),
    subject("a request id", createRequestId),
    subject("the access log's line, not written", (index) => record(accessLog.record, records[index])),
    subject("metrics", (index) => record(metrics.record, records[index])),
  ];
}

function record(take: (record: AccessRecord) => void, taken: AccessRecord | undefined): AccessRecord | undefined {
  if (taken !== undefined) take(taken);
  return taken;
}

function toRecord(keyId: string | undefined, index: number, requestId: string): AccessRecord {
  return {
    requestId,
    method: "GET",
    path: "/api/v1/orders/4711",
    route: "GET /api/v1/orders/**",
    keyId,
    tenant: `tenant-${index % 500}`,
    clientAddress: "203.0.113.7",
    decision: "allow",
    reason: undefined,
    detail: "",
    status: 200,
    ending: "complete",
    durationMs: (index % 40) / 10,
    revision: "0123456789ab",
  };
}
