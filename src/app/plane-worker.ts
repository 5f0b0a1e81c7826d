import { parentPort, workerData } from "node:worker_threads";
import { openSharedBuckets } from "../limits/shared-buckets.ts";
import type { KeyOperations } from "../proxy/manage.ts";
import { createLineBatches } from "../telemetry/line-batches.ts";
import { createLog } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { createAnswering } from "./answering.ts";
import { createKeyVerifier } from "./bcrypt-verifier.ts";
import { systemClock } from "./clock.ts";
import { openPlane } from "./data-plane.ts";
import { createFlag } from "./flag.ts";
import { openParcel, type Parcel } from "./parcel.ts";
import type { FromPlane, PlaneAnswer, PlaneQuestion, PlaneStart, ToPlane } from "./plane-messages.ts";
import { toShare } from "./share.ts";
import { createVerifiedCache } from "./verified-credentials.ts";

const start: PlaneStart = workerData;
const post = (message: FromPlane): void => parentPort?.postMessage(message);

// How much of its counts is lost with a thread that dies.
const COUNTS_INTERVAL_MS = 1_000;

/** A thread of the data plane: it answers requests, and asks the supervising thread for what only that one can do. */
async function run(): Promise<void> {
  const { memory, thread, inForce } = start;
  const clock = systemClock;
  const openBuckets = (of: keyof typeof memory) => openSharedBuckets(memory[of], thread, clock.now);
  const open = (parcel: Parcel) => toShare(openParcel(parcel), start.share);
  const isDue = (number: number) => () => Atomics.load(inForce, 0) >= number;

  const configuration = open(start.parcel);
  const { settings } = configuration;
  const lines = createLineBatches((bytes) => post({ kind: "log", lines: bytes }), clock.after);
  const log = createLog(settings.log.level, lines, clock.now);
  const metrics = createMetrics(start.version, "thread", {
    allocate: (count) => new Float64Array(new SharedArrayBuffer(count * Float64Array.BYTES_PER_ELEMENT)),
    tell: (series) => post({ kind: "counting", series }),
  });
  const verified = createVerifiedCache(start.secret);
  for (const one of start.verified) verified.remember(one);
  const { ask, hear } = createQuestions();
  const verifier = createKeyVerifier(async (credential, digests) => {
    const answer = await ask({ kind: "compare", credential, digests });
    return answer.kind === "compared" ? answer.verdict : { kind: "overloaded" };
  });
  const answering = createAnswering({
    configuration,
    state: { buckets: openBuckets("buckets"), failures: openBuckets("failures"), verified, slowHashes: verifier },
    shadowBuckets: { buckets: openBuckets("shadowBuckets"), failures: openBuckets("shadowFailures") },
    draining: createFlag(start.draining),
    verifier,
    keyOperations: createRemoteKeyOperations(ask),
    log,
    metrics,
    clock,
  });
  const listen = { ...settings.listen, address: start.address };
  const plane = await openPlane(answering, listen, start.tls, clock, true);
  const snapshot = () => metrics.registry.getMetricsAsJSON();
  const counting = setInterval(async () => post({ kind: "counts", metrics: await snapshot() }), COUNTS_INTERVAL_MS);
  const compareWith = (candidate: Parcel | undefined) =>
    answering.compareWith(candidate && openParcel(candidate).policy);
  compareWith(start.candidate);

  const act = async (message: ToPlane): Promise<void> => {
    switch (message.kind) {
      case "prepare":
        answering.prepare(open(message.parcel), isDue(message.number));
        post({ kind: "prepared", number: message.number });
        break;
      case "settle":
        plane.settle();
        log.level = answering.inForce.generation.configuration.settings.log.level;
        post({ kind: "settled", number: message.number });
        break;
      case "renewTls":
        plane.renewTls(message.material);
        break;
      case "compareWith":
        compareWith(message.candidate);
        break;
      case "verified":
        verified.remember(message.verified);
        break;
      case "report":
        post({
          kind: "report",
          id: message.id,
          report: { metrics: await snapshot(), shadow: answering.shadowNumbers() },
        });
        break;
      case "answer":
        hear(message.id, message.answer);
        break;
      case "drain":
        post({ kind: "drained", drained: await plane.drain(message.delayMs) });
        break;
      case "close":
        clearInterval(counting);
        await plane.close();
        lines.flush();
        post({ kind: "closed", metrics: await snapshot() });
        parentPort?.close();
        break;
      default:
        message satisfies never;
    }
  };
  parentPort?.on("message", (message: ToPlane) => void act(message));
  post({ kind: "listening", address: plane.address });
}

function createQuestions() {
  const waiting = new Map<number, (answer: PlaneAnswer) => void>();
  let lastId = 0;
  return {
    ask: (question: PlaneQuestion): Promise<PlaneAnswer> =>
      new Promise((resolve) => {
        lastId += 1;
        waiting.set(lastId, resolve);
        post({ kind: "ask", id: lastId, question });
      }),
    hear: (id: number, answer: PlaneAnswer): void => {
      waiting.get(id)?.(answer);
      waiting.delete(id);
    },
  };
}

/** The keys file has one writer, the supervising thread. */
function createRemoteKeyOperations(ask: (question: PlaneQuestion) => Promise<PlaneAnswer>): KeyOperations {
  return {
    run: async (operation, id, caller) => {
      const answer = await ask({ kind: "operate", operation, id, callerId: caller.id });
      if (answer.kind === "operated") return answer.result;
      throw new Error(answer.kind === "failed" ? answer.problem : "another question was answered");
    },
  };
}

run().catch((error: unknown) => {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  post({ kind: "failed", message: error instanceof Error ? error.message : String(error), code });
  parentPort?.close();
});
