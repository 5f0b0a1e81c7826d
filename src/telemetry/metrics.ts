import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Observer } from "./access-record.ts";
import { type CountMemory, RequestTally } from "./request-tally.ts";

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
  readonly logLinesDropped: (lines: number) => void;
}

const OF_THE_PROCESS: ReadonlySet<string> = new Set(["latchkey_build_info", "nodejs_version_info"]);

/**
 * Labels are bounded: routes, reasons and statuses of the config, never a path, an address or a key. Those of a
 * `thread` are one part of the process's: what is the same for all threads is left to the supervising one. Requests are
 * counted in `memory`.
 */
export function createMetrics(version: string, scope: "process" | "thread" = "process", memory?: CountMemory): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const tally = new RequestTally(memory);
  tally.register(registry);
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
  const droppedLines = new Counter({
    name: "latchkey_log_lines_dropped_total",
    help: "Lines of the log that could not be written",
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
  // Bound children save the label look-up of every request that is compared. Outcomes, reasons and routes are few.
  const shadows = new Map<string, Map<string, Map<string, Counter.Internal>>>();
  return {
    registry,
    record: (record) => tally.record(record),
    reloaded: (result, revision, nowMs) => {
      reloads.inc({ result });
      lastSuccess.set(result === "failure" ? 0 : 1);
      if (result !== "success") return;
      lastSuccessAt.set(nowMs / 1000);
      info.reset();
      info.set({ revision }, 1);
    },
    shadowed: (outcome, reason, route) => {
      // Name by name: putting one together of the three costs as much as a check.
      const ofOutcome = childOf(childOf(shadows, outcome), reason);
      let counter = ofOutcome.get(route);
      if (counter === undefined) {
        counter = shadowDecisions.labels({ outcome, reason, route });
        ofOutcome.set(route, counter);
      }
      counter.inc();
    },
    shadowUndecided: (cause) => shadowUndecided.inc({ cause }),
    shadowActive: (active) => shadowActive.set(active ? 1 : 0),
    callRefused: (cause) => refusedCalls.inc({ cause }),
    workerRestarted: () => restarts.inc(),
    logLinesDropped: (lines) => droppedLines.inc(lines),
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

function childOf<K, V>(parents: Map<string, Map<K, V>>, name: string): Map<K, V> {
  let child = parents.get(name);
  if (child === undefined) {
    child = new Map();
    parents.set(name, child);
  }
  return child;
}
