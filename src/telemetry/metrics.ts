import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { AccessRecord, Observer } from "./access-record.ts";

/** What the process counts, in the names of docs/operations.md. */
export interface Metrics extends Observer {
  readonly registry: Registry;
  /** `unchanged` is a success too: the files on disk are the policy in force again. */
  readonly reloaded: (result: "success" | "unchanged" | "failure", revision: string, nowMs: number) => void;
  readonly shadowed: (outcome: string, reason: string, route: string) => void;
  readonly shadowUndecided: (cause: string) => void;
  readonly shadowActive: (active: boolean) => void;
  /** A call to the authoriser by somebody who may not ask. */
  readonly callRefused: (cause: string) => void;
  readonly watchUpgrades: (read: () => number) => void;
  readonly watchWorkers: (read: () => number) => void;
  readonly workerRestarted: () => void;
}

// The proxy's own share is well under a millisecond; the rest of the range is the upstream's.
const DURATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];
const OF_THE_PROCESS: ReadonlySet<string> = new Set(["latchkey_build_info", "nodejs_version_info"]);
// No route matched: one label value for all of them, since paths are unbounded.
const NO_ROUTE = "none";

/**
 * Labels are bounded: routes, reasons and statuses of the config, never a path, an address or a key. Those of a
 * `thread` are one part of the process's: what is the same for all threads is left to the supervising one.
 */
export function createMetrics(version: string, scope: "process" | "thread" = "process"): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Counter({
    name: "latchkey_requests_total",
    help: "Requests by route, decision, denial reason and status",
    labelNames: ["route", "decision", "reason", "status", "via"],
    registers,
  });
  const duration = new Histogram({
    name: "latchkey_request_duration_seconds",
    help: "Time from a request's head to the end of its answer",
    labelNames: ["route", "via"],
    buckets: DURATION_BUCKETS_SECONDS,
    registers,
  });
  const reloads = new Counter({
    name: "latchkey_config_reloads_total",
    help: "Reloads by result",
    labelNames: ["result"],
    registers,
  });
  const lastSuccess = new Gauge({
    name: "latchkey_config_last_reload_success",
    help: "1 when the files on disk are the policy in force, 0 when the last good one was kept",
    registers,
  });
  const lastSuccessAt = new Gauge({
    name: "latchkey_config_last_reload_success_timestamp_seconds",
    help: "When the policy in force was loaded",
    registers,
  });
  const info = new Gauge({
    name: "latchkey_config_info",
    help: "The revision of the policy in force",
    labelNames: ["revision"],
    registers,
  });
  const restarts = new Counter({
    name: "latchkey_worker_restarts_total",
    help: "Threads that answered requests, ended by themselves and were replaced",
    registers,
  });
  new Gauge({ name: "latchkey_build_info", help: "The version that runs", labelNames: ["version"], registers }).set(
    { version },
    1,
  );
  if (scope === "thread") {
    for (const { name } of registry.getMetricsAsArray()) {
      if (name.startsWith("process_") || OF_THE_PROCESS.has(name)) registry.removeSingleMetric(name);
    }
  }
  const refusedCalls = new Counter({
    name: "latchkey_authorizer_refused_calls_total",
    help: "Calls to the authoriser that were not believed, by cause",
    labelNames: ["cause"],
    registers,
  });
  const shadowDecisions = new Counter({
    name: "latchkey_shadow_decisions_total",
    help: "Requests by what the candidate policy would have made of them",
    labelNames: ["outcome", "reason", "route"],
    registers,
  });
  const shadowUndecided = new Counter({
    name: "latchkey_shadow_undecided_total",
    help: "Requests the candidate policy was not compared on, by cause",
    labelNames: ["cause"],
    registers,
  });
  const shadowActive = new Gauge({
    name: "latchkey_shadow_active",
    help: "1 while a candidate policy is evaluated beside the live one",
    registers,
  });
  // Bound children save the label look-up on the hot path. Routes, reasons and statuses are few.
  const counters = new Map<string, Counter.Internal>();
  const timers = new Map<string, Histogram.Internal<"route" | "via">>();
  const shadows = new Map<string, Counter.Internal>();
  return {
    registry,
    record: (record) => {
      const labels = toLabels(record);
      const handle = `${labels.via} ${labels.status} ${labels.reason} ${labels.route}`;
      let counter = counters.get(handle);
      if (counter === undefined) {
        counter = requests.labels(labels);
        counters.set(handle, counter);
      }
      counter.inc();
      const { route, via } = labels;
      let timer = timers.get(`${via} ${route}`);
      if (timer === undefined) {
        timer = duration.labels({ route, via });
        timers.set(`${via} ${route}`, timer);
      }
      timer.observe(record.durationMs / 1000);
    },
    reloaded: (result, revision, nowMs) => {
      reloads.inc({ result });
      lastSuccess.set(result === "failure" ? 0 : 1);
      if (result !== "success") return;
      lastSuccessAt.set(nowMs / 1000);
      info.reset();
      info.set({ revision }, 1);
    },
    shadowed: (outcome, reason, route) => {
      const handle = `${outcome} ${reason} ${route}`;
      let counter = shadows.get(handle);
      if (counter === undefined) {
        counter = shadowDecisions.labels({ outcome, reason, route });
        shadows.set(handle, counter);
      }
      counter.inc();
    },
    shadowUndecided: (cause) => shadowUndecided.inc({ cause }),
    shadowActive: (active) => shadowActive.set(active ? 1 : 0),
    callRefused: (cause) => refusedCalls.inc({ cause }),
    workerRestarted: () => restarts.inc(),
    watchWorkers: (read) => {
      new Gauge({
        name: "latchkey_workers",
        help: "Threads that answer requests now",
        registers,
        collect() {
          this.set(read());
        },
      });
    },
    watchUpgrades: (read) => {
      new Gauge({
        name: "latchkey_upgraded_connections_open",
        help: "Upgraded connections open now",
        registers,
        collect() {
          this.set(read());
        },
      });
    },
  };
}

function toLabels(record: AccessRecord) {
  return {
    route: record.route ?? NO_ROUTE,
    decision: record.decision,
    reason: record.reason ?? "",
    status: String(record.status),
    via: record.via ?? "proxy",
  };
}
