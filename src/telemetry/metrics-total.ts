import { AggregatorRegistry, Registry } from "prom-client";
import { type CountedSeries, RequestTally } from "./request-tally.ts";

/** The metrics of one thread, in plain values. */
export type MetricsSnapshot = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>;

/** The metrics of the whole process in the Prometheus text format: this thread's and those of the others, summed. */
export async function formatTotal(own: Registry, others: readonly MetricsSnapshot[]): Promise<string> {
  if (others.length === 0) return own.metrics();
  const mine = await own.getMetricsAsJSON();
  // This thread only supervises then, and waits for nobody; its lag would halve that of a busy one.
  const shown = mine.filter(({ name }) => !name.startsWith("nodejs_eventloop_lag")).map(withoutOmission);
  return sum([shown, ...others]).metrics();
}

/** What several threads counted, in one snapshot. Of gauges nothing is kept: they say what is now. */
export async function keepCounts(snapshots: readonly MetricsSnapshot[]): Promise<MetricsSnapshot> {
  const counted = snapshots.map((snapshot) => snapshot.filter(({ type }) => COUNTS.has(String(type))));
  return sum(counted).getMetricsAsJSON();
}

/** A thread's last snapshot, with its requests as they were counted up to its end. */
export async function withLastCounts(
  snapshot: MetricsSnapshot,
  series: readonly CountedSeries[],
): Promise<MetricsSnapshot> {
  const tally = new RequestTally();
  for (const counted of series) tally.adopt(counted);
  const registry = new Registry();
  tally.register(registry);
  const last = await registry.getMetricsAsJSON();
  const names = new Set(last.map(({ name }) => name));
  return [...snapshot.filter(({ name }) => !names.has(name)), ...last];
}

const COUNTS: ReadonlySet<string> = new Set(["counter", "histogram"]);

function sum(snapshots: readonly MetricsSnapshot[]): Registry {
  return AggregatorRegistry.aggregate([...snapshots]);
}

/** What is the same for all threads, such as the start of the process, is told by this one alone. */
function withoutOmission(metric: MetricsSnapshot[number]): MetricsSnapshot[number] {
  return metric.aggregator === "omit" ? { ...metric, aggregator: "first" } : metric;
}
