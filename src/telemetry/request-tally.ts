import { Counter, Histogram, type Registry } from "prom-client";
import type { AccessRecord } from "./access-record.ts";

// The proxy's own share is well under a millisecond; the rest of the range is the upstream's.
const BOUNDS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];
// No route matched: one label value for all of them, since paths are unbounded.
const NO_ROUTE = "none";

type Outcome = Pick<AccessRecord, "decision" | "reason" | "status">;
type Values = Awaited<ReturnType<Histogram<"route" | "via">["get"]>>["values"];

/** What was counted of one route's requests, by one way they came. */
interface RouteTally {
  readonly route: string;
  readonly via: string;
  /** Requests that took at most so long and longer than the bound before; the last entry has no bound. */
  readonly counts: number[];
  seconds: number;
  readonly outcomes: Map<string | undefined, Map<number, { readonly outcome: Outcome; count: number }>>;
}

/**
 * Counts requests by outcome and by duration. Every request comes here, so they are counted in plain numbers, which
 * become the library's only when somebody asks for them.
 */
export function createRequestTally(registry: Registry): (record: AccessRecord) => void {
  const tallies = { proxy: new Map<string, RouteTally>(), authorizer: new Map<string, RouteTally>() };
  const all = () => [...tallies.proxy.values(), ...tallies.authorizer.values()];
  new Counter({
    name: "latchkey_requests_total",
    help: "Requests by route, decision, denial reason and status",
    labelNames: ["route", "decision", "reason", "status", "via"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { route, via, outcomes } of all()) {
        for (const { outcome, count } of [...outcomes.values()].flatMap((byStatus) => [...byStatus.values()])) {
          const { decision, reason = "", status } = outcome;
          this.inc({ route, decision, reason, status: String(status), via }, count);
        }
      }
    },
  });
  registry.registerMetric(new DurationHistogram(() => all().flatMap(toValues)));
  return (record) => {
    const { route = NO_ROUTE, via = "proxy" } = record;
    let tally = tallies[via].get(route);
    if (tally === undefined) {
      tally = {
        route,
        via,
        counts: Array.from({ length: BOUNDS_SECONDS.length + 1 }, () => 0),
        seconds: 0,
        outcomes: new Map(),
      };
      tallies[via].set(route, tally);
    }
    count(tally, record);
  };
}

function count(tally: RouteTally, record: AccessRecord): void {
  const seconds = record.durationMs / 1000;
  let place = 0;
  while (seconds > (BOUNDS_SECONDS[place] ?? Number.POSITIVE_INFINITY)) place += 1;
  tally.counts[place] = (tally.counts[place] ?? 0) + 1;
  tally.seconds += seconds;
  let byStatus = tally.outcomes.get(record.reason);
  if (byStatus === undefined) {
    byStatus = new Map();
    tally.outcomes.set(record.reason, byStatus);
  }
  const { decision, reason, status } = record;
  const counted = byStatus.get(status);
  if (counted === undefined) byStatus.set(status, { outcome: { decision, reason, status }, count: 1 });
  else counted.count += 1;
}

const HISTOGRAM = {
  name: "latchkey_request_duration_seconds",
  help: "Time from a request's head to the end of its answer",
  labelNames: ["route", "via"],
  buckets: BOUNDS_SECONDS,
  registers: [],
} as const;

type Durations = Histogram<"route" | "via">;

/** A histogram whose numbers are kept elsewhere. */
class DurationHistogram extends Histogram<"route" | "via"> {
  readonly #read: () => Values;
  readonly #empty: Durations = new Histogram({ ...HISTOGRAM, buckets: [...HISTOGRAM.buckets], registers: [] });

  constructor(read: () => Values) {
    super({ ...HISTOGRAM, buckets: [...HISTOGRAM.buckets], registers: [] });
    this.#read = read;
  }

  override get(): ReturnType<Durations["get"]> {
    return this.getForPromString();
  }

  /** What the registry asks for the text form. */
  async getForPromString(): ReturnType<Durations["get"]> {
    return { ...(await this.#empty.get()), values: this.#read() };
  }
}

/** Cumulative, as the text format wants them. */
function toValues({ route, via, counts, seconds }: RouteTally): Values {
  let sum = 0;
  const buckets = counts.map((added, place) => {
    sum += added;
    return {
      metricName: `${HISTOGRAM.name}_bucket`,
      value: sum,
      labels: { le: BOUNDS_SECONDS[place] ?? "+Inf", route, via },
    };
  });
  return [
    ...buckets,
    { metricName: `${HISTOGRAM.name}_sum`, value: seconds, labels: { route, via } },
    { metricName: `${HISTOGRAM.name}_count`, value: sum, labels: { route, via } },
  ];
}
