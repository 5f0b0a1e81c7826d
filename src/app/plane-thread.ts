import { Worker } from "node:worker_threads";
import type { SocketAddress } from "../config/settings.ts";
import type { LineBytes } from "../telemetry/line-batches.ts";
import { type MetricsSnapshot, withLastCounts } from "../telemetry/metrics-total.ts";
import type { CountedSeries } from "../telemetry/request-tally.ts";
import type { Drained } from "./drain.ts";
import { isKind } from "./is-kind.ts";
import type { FromPlane, PlaneAnswer, PlaneQuestion, PlaneReport, PlaneStart, ToPlane } from "./plane-messages.ts";
import { MAX_YOUNG_MB } from "./young-generation.ts";

/** A thread of the data plane, as the supervising thread sees it. */
export interface PlaneThread {
  readonly number: number;
  /** Rejects where it could not listen. */
  readonly listening: Promise<SocketAddress>;
  /** Resolves when it runs no more, for whatever reason. */
  readonly ended: Promise<Ended>;
  readonly tell: (message: ToPlane) => void;
  /** Resolves when it says so; undefined when it ended first. */
  readonly hear: <K extends FromPlane["kind"]>(kind: K) => Promise<Extract<FromPlane, { kind: K }> | undefined>;
  readonly report: () => Promise<PlaneReport | undefined>;
  readonly drain: (delayMs: number) => Promise<Drained>;
  /** Whether it has said anything since this was asked last; it tells its counts every second. */
  readonly wasHeard: () => boolean;
  /** What it counted: of requests all, of the rest what it told last. */
  readonly counts: () => Promise<MetricsSnapshot>;
  readonly terminate: () => Promise<void>;
}

export interface Ended {
  readonly error: string | undefined;
}

export interface PlaneThreadOptions {
  readonly workerUrl: URL;
  readonly start: PlaneStart;
  readonly write: (lines: LineBytes) => void;
  readonly answer: (question: PlaneQuestion) => Promise<PlaneAnswer>;
}

interface Hearer {
  readonly kind: FromPlane["kind"];
  readonly hear: (message: FromPlane | undefined) => void;
}

export function startPlaneThread({ workerUrl, start, write, answer }: PlaneThreadOptions): PlaneThread {
  const worker = new Worker(workerUrl, {
    workerData: start,
    resourceLimits: { maxYoungGenerationSizeMb: MAX_YOUNG_MB },
  });
  const hearers = new Set<Hearer>();
  let counts: MetricsSnapshot = [];
  const series: CountedSeries[] = [];
  let hasEnded = false;
  let heardSince = true;
  let error: string | undefined;
  let lastId = 0;

  const tell = (message: ToPlane): void => worker.postMessage(message);
  const hear: PlaneThread["hear"] = (kind) => listen(kind, () => true);
  function listen<K extends FromPlane["kind"]>(
    kind: K,
    fits: (message: Extract<FromPlane, { kind: K }>) => boolean,
  ): Promise<Extract<FromPlane, { kind: K }> | undefined> {
    return new Promise((resolve) => {
      if (hasEnded) {
        resolve(undefined);
        return;
      }
      const hearer: Hearer = {
        kind,
        hear: (message) => {
          if (message !== undefined && !(isKind(message, kind) && fits(message))) return;
          hearers.delete(hearer);
          resolve(message);
        },
      };
      hearers.add(hearer);
    });
  }
  const listening = Promise.race([hear("listening"), hear("failed")]).then((message) => {
    if (message?.kind === "listening") return message.address;
    const failure = new Error(message?.message ?? error ?? "the thread ended before it listened");
    throw message?.code === undefined ? failure : Object.assign(failure, { code: message.code });
  });
  // Whoever waits for it hears of it; nobody need.
  listening.catch(() => {});
  const ended = new Promise<Ended>((resolve) => {
    worker.on("error", (cause) => {
      error = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    });
    worker.on("exit", () => {
      hasEnded = true;
      for (const hearer of hearers) hearer.hear(undefined);
      resolve({ error });
    });
  });
  worker.on("message", (message: FromPlane) => {
    heardSince = true;
    if (message.kind === "log") write(message.lines);
    if (message.kind === "counting") series.push(message.series);
    if (message.kind === "counts" || message.kind === "closed") counts = message.metrics;
    if (message.kind === "report") counts = message.report.metrics;
    if (message.kind === "ask") {
      const { id, question } = message;
      void answer(question).then((reply) => tell({ kind: "answer", id, answer: reply }));
    }
    for (const hearer of hearers) if (hearer.kind === message.kind) hearer.hear(message);
  });
  return {
    number: start.thread,
    listening,
    ended,
    tell,
    hear,
    report: async () => {
      lastId += 1;
      const id = lastId;
      const heard = listen("report", (message) => message.id === id);
      tell({ kind: "report", id });
      return (await heard)?.report;
    },
    drain: async (delayMs) => {
      const heard = hear("drained");
      tell({ kind: "drain", delayMs });
      return (await heard)?.drained ?? "cut";
    },
    wasHeard: () => {
      const was = heardSince;
      heardSince = false;
      return was;
    },
    counts: () => withLastCounts(counts, series),
    terminate: async () => {
      await worker.terminate();
    },
  };
}
