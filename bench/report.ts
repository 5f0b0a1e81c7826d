/** What a run found, as it is written to JSON; tables, charts and the documentation are made of it alone. */
export interface Report {
  readonly circumstances: Circumstances;
  readonly contenders?: readonly ContenderFigures[];
  readonly checks?: ChecksFigures;
  readonly growth?: readonly Growth[];
  readonly start?: readonly StartFigures[];
  readonly micro?: readonly MicroFigures[];
}

/** Where and how the figures were taken. */
export interface Circumstances {
  readonly takenAt: string;
  readonly revision: string;
  readonly node: string;
  readonly kernel: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  /** Of the last minute, before anything was measured. */
  readonly loadAverage: number;
  /** Why the figures should not be quoted; undefined when nothing speaks against them. */
  readonly preliminary: string | undefined;
  readonly settings: Settings;
}

export interface Settings {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly connections: number;
  readonly keys: number;
  readonly answerBytes: number;
}

export interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

export interface Round extends Percentiles {
  readonly perSecond: number;
  readonly cpuUs: number;
}

/** An open loop: latency counts from when a request was due. */
export interface Paced extends Percentiles {
  readonly perSecond: number;
  /** The 99th percentile of what the client's own turns took: latencies below it are the client's as much as the proxy's. */
  readonly clientMs: number;
}

export interface ContenderFigures {
  readonly name: string;
  readonly label: string;
  readonly job: string;
  readonly version: string;
  /** Medians over `rounds`, of each figure by itself. */
  readonly saturated: Round;
  readonly rounds: readonly Round[];
  readonly halfLoad: Paced;
  readonly commonRate: Paced;
  readonly idleRssMb: number;
  readonly busyRssMb: number;
  readonly downCpuMs: number;
  readonly upCpuMs: number;
}

/** What checks cost of throughput, by several starts of each: instances of one program differ by more than is asked for. */
export interface ChecksFigures {
  /** Of each start, in percent of what the same routes take when they are public. */
  readonly starts: readonly number[];
  readonly meanPercent: number;
  /** The standard error of that mean. */
  readonly errorPercent: number;
}

/** What a request costs as one thing grows and all else stays. */
export interface Growth {
  readonly of: "keys" | "routes" | "connections" | "body";
  readonly points: readonly { readonly at: number; readonly cpuUs: number; readonly rssMb: number }[];
}

export interface StartFigures {
  readonly variant: string;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly rssMb: number;
}

export interface MicroFigures {
  readonly group: string;
  readonly name: string;
  readonly medianNs: number;
  readonly leastNs: number;
  readonly bytes: number;
}
