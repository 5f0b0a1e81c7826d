import { Counter, Histogram, type Registry } from "prom-client";
import type { AccessRecord } from "./access-record.ts";

// The proxy's own share is well under a millisecond; the rest of the range is the upstream's.
const BOUNDS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];
// No route matched: one label value for all of them, since paths are unbounded.
const NO_ROUTE = "none";

type Outcome = Pick<AccessRecord, "decision" | "reason" | "status">;
type Values = Awaited<ReturnType<Histogram<"route" | "via">["get"]>>["values"];

/** Numbers that one thread adds to. In shared memory they outlive it. */
export type Cells = Float64Array;

/** What is counted in which cells: one route's requests by one way they came, or those of them with one outcome. */
export type CountedSeries =
  | { readonly kind: "durations"; readonly route: string; readonly via: Via; readonly cells: Cells }
  | {
      readonly kind: "outcome";
      readonly route: string;
      readonly via: Via;
      readonly outcome: Outcome;
      readonly cells: Cells;
    };

type Via = "proxy" | "authorizer";

/** What was counted of one route's requests, by one way they came. */
interface RouteTally {
  readonly route: string;
  readonly via: Via;
  /**
   * Requests that took at most so long and longer than the bound before, the last of them without a bound; behind them
   * the seconds of all.
   */
  readonly cells: Cells;
  readonly outcomes: Map<string | undefined, Map<number, CountedOutcome>>;
}

interface CountedOutcome {
  readonly outcome: Outcome;
  readonly cells: Cells;
}

const SECONDS = BOUNDS_SECONDS.length + 1;

/** Where to count, and who is told of it. */
export interface CountMemory {
  readonly allocate: (count: number) => Cells;
  readonly tell: (series: CountedSeries) => void;
}

const OWN_MEMORY: CountMemory = { allocate: (count) => new Float64Array(count), tell: () => {} };

/**
 * Counts requests by outcome and by duration. Every request comes here, so they are counted in plain numbers, which
 * become the library's only when somebody asks for them.
 */
export class RequestTally {
  readonly #memory: CountMemory;
  readonly #tallies = { proxy: new Map<string, RouteTally>(), authorizer: new Map<string, RouteTally>() };

  constructor(memory: CountMemory = OWN_MEMORY) {
    this.#memory = memory;
  }

  record(record: AccessRecord): void {
    const { route = NO_ROUTE, via = "proxy", reason, status } = record;
    const tally = this.#tallies[via].get(route) ?? this.#begin(route, via);
    const { cells } = tally;
    const seconds = record.durationMs / 1000;
    let place = 0;
    while (seconds > (BOUNDS_SECONDS[place] ?? Number.POSITIVE_INFINITY)) place += 1;
    add(cells, place, 1);
    add(cells, SECONDS, seconds);
    const counted = tally.outcomes.get(reason)?.get(status) ?? this.#beginOutcome(tally, record);
    add(counted.cells, 0, 1);
  }

  /** Takes over what another thread counted, and may be counting still. */
  adopt(series: CountedSeries): void {
    const { route, via, cells } = series;
    const tallies = this.#tallies[via];
    const tally = tallies.get(route);
    if (series.kind === "durations") tallies.set(route, { route, via, cells, outcomes: new Map() });
    else if (tally !== undefined) put(tally, series);
  }

  /** Shows what was counted in a registry, as it is whenever that is asked. */
  register(registry: Registry): void {
    const all = () => [...this.#tallies.proxy.values(), ...this.#tallies.authorizer.values()];
    new Counter({
      name: "latchkey_requests_total",
      help: "Requests by route, decision, denial reason and status",
      labelNames: ["route", "decision", "reason", "status", "via"],
      registers: [registry],
      collect() {
        this.reset();
        for (const { route, via, outcomes } of all()) {
          for (const { outcome, cells } of [...outcomes.values()].flatMap((byStatus) => [...byStatus.values()])) {
            const { decision, reason = "", status } = outcome;
            this.inc({ route, decision, reason, status: String(status), via }, cells[0]);
          }
        }
      },
    });
    registry.registerMetric(new DurationHistogram(() => all().flatMap(toValues)));
  }

  #begin(route: string, via: Via): RouteTally {
    const tally = { route, via, cells: this.#memory.allocate(SECONDS + 1), outcomes: new Map() };
    this.#tallies[via].set(route, tally);
    this.#memory.tell({ kind: "durations", route, via, cells: tally.cells });
    return tally;
  }

  #beginOutcome(tally: RouteTally, { decision, reason, status }: Outcome): CountedOutcome {
    const counted = { outcome: { decision, reason, status }, cells: this.#memory.allocate(1) };
    put(tally, counted);
    this.#memory.tell({ kind: "outcome", route: tally.route, via: tally.via, ...counted });
    return counted;
  }
}

function put({ outcomes }: RouteTally, counted: CountedOutcome): void {
  const { reason, status } = counted.outcome;
  const byStatus = outcomes.get(reason);
  if (byStatus === undefined) outcomes.set(reason, new Map([[status, counted]]));
  else byStatus.set(status, counted);
}

function add(cells: Cells, at: number, amount: number): void {
  cells[at] = (cells[at] ?? 0) + amount;
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
function toValues({ route, via, cells }: RouteTally): Values {
  let sum = 0;
  const buckets = Array.from(cells.subarray(0, SECONDS), (added, place) => {
    sum += added;
    return {
      metricName: `${HISTOGRAM.name}_bucket`,
      value: sum,
      labels: { le: BOUNDS_SECONDS[place] ?? "+Inf", route, via },
    };
  });
  return [
    ...buckets,
    { metricName: `${HISTOGRAM.name}_sum`, value: cells[SECONDS] ?? 0, labels: { route, via } },
    { metricName: `${HISTOGRAM.name}_count`, value: sum, labels: { route, via } },
  ];
}
