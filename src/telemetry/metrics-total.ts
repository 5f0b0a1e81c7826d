import { AggregatorRegistry, type Registry } from "prom-client";

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

const COUNTS: ReadonlySet<string> = new Set(["counter", "histogram"]);

function sum(snapshots: readonly MetricsSnapshot[]): Registry {
  return AggregatorRegistry.aggregate([...snapshots]);
}

/** What is the same for all threads, such as the start of the process, is told by this one alone. */
function withoutOmission(metric: MetricsSnapshot[number]): MetricsSnapshot[number] {
  return metric.aggregator === "omit" ? { ...metric, aggregator: "first" } : metric;
}
