import { createServer } from "node:net";
import { createSecureContext } from "node:tls";
import type { LoadedConfiguration } from "../config/load.ts";
import type { SocketAddress } from "../config/settings.ts";
import { allocateBuckets, freeLocks, openSharedBuckets } from "../limits/shared-buckets.ts";
import type { TlsMaterial } from "../proxy/listener.ts";
import type { LineBytes } from "../telemetry/line-batches.ts";
import { keepCounts, type MetricsSnapshot } from "../telemetry/metrics-total.ts";
import { type Answering, type AnsweringOptions, createAnswering } from "./answering.ts";
import type { BcryptVerifier } from "./bcrypt-verifier.ts";
import type { DataPlane } from "./data-plane.ts";
import { type Parcel, toParcel } from "./parcel.ts";
import type { PlaneAnswer, PlaneMemory, PlaneQuestion } from "./plane-messages.ts";
import { type PlaneThread, startPlaneThread } from "./plane-thread.ts";
import { sumShadowNumbers } from "./shadow-sum.ts";

export interface FleetOptions extends Omit<AnsweringOptions, "state" | "shadowBuckets" | "configuration"> {
  readonly first: LoadedConfiguration;
  readonly tls: TlsMaterial | undefined;
  readonly threads: number;
  readonly workerUrl: URL;
  readonly verifier: BcryptVerifier;
  /** Writes lines of other threads, as they are. */
  readonly writeLines: (lines: LineBytes) => void;
  readonly version: string;
  /** How often it is looked whether threads still say something. */
  readonly lookIntervalMs?: number;
}

/** A data plane of several threads, which a test may end. */
export interface Fleet extends DataPlane {
  /** The threads that listen now. */
  readonly threads: () => readonly PlaneThread[];
}

// This thread's own number in shared memory; those of the others follow.
const SUPERVISOR = 1;
// A thread that dies at once would otherwise be started as often as the machine can.
const MIN_LIFE_MS = 10_000;
const RESTART_DELAY_MS = 1_000;
// A thread that says nothing for so many looks hangs: nothing in it takes half a minute. Looks and not time are counted,
// since all threads of a process may stand still together.
const LOOK_INTERVAL_MS = 5_000;
const MAX_SILENT_LOOKS = 6;

/**
 * Answers requests in several threads on one port, and supervises them from this one. Buckets are in memory that all
 * share. A configuration is made ready in each of them before it is in force in any; then one number in shared memory
 * puts it in force in all, so that no two of them ever decide by different ones. A thread that ends is replaced.
 */
export async function openFleet(options: FleetOptions): Promise<Fleet> {
  const { first, draining, clock, log, metrics, verifier, workerUrl } = options;
  const memory: PlaneMemory = {
    buckets: allocateBuckets(),
    failures: allocateBuckets(),
    shadowBuckets: allocateBuckets(),
    shadowFailures: allocateBuckets(),
  };
  const own = createOwnAnswering(memory, options);
  const inForce = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const threads = new Map<number, Slot>();
  const answer = createAnswers(own, options);
  let number = 0;
  let parcel = toParcel(first);
  let candidate: Parcel | undefined;
  let { tls } = options;
  let { address } = first.configuration.settings.listen;
  let lastThread = SUPERVISOR;
  let stopping = false;
  let kept: Promise<MetricsSnapshot> = Promise.resolve([]);

  const start = (index: number): PlaneThread => {
    lastThread += 1;
    const thread = startPlaneThread({
      workerUrl,
      start: {
        thread: lastThread,
        inForce,
        draining: draining.memory,
        number,
        parcel,
        candidate,
        address,
        tls,
        share: { index, count: options.threads },
        memory,
        secret: verifier.secret,
        verified: verifier.verified.all(),
        version: options.version,
      },
      write: options.writeLines,
      answer,
    });
    const slot: Slot = { thread, index, ready: number, isListening: false, silentLooks: 0 };
    threads.set(index, slot);
    const startedMs = clock.elapsed();
    void thread.listening.then(() => {
      slot.isListening = true;
    }, ignore);
    void thread.ended.then(({ error }) => {
      for (const buckets of Object.values(memory)) freeLocks(buckets, thread.number);
      kept = kept.then(async (counts) => keepCounts([counts, await thread.counts()]));
      threads.delete(index);
      if (stopping) return;
      metrics.workerRestarted();
      log.error({ thread: index, error }, "a worker thread ended, another takes its place");
      const delayMs = clock.elapsed() - startedMs < MIN_LIFE_MS ? RESTART_DELAY_MS : 0;
      clock.after(delayMs, () => {
        if (!stopping) start(index);
      });
    });
    return thread;
  };
  const tellAll = (message: Parameters<PlaneThread["tell"]>[0]): void => {
    for (const { thread } of threads.values()) thread.tell(message);
  };
  /** Until every thread that runs has it ready: those that began meanwhile with the one before, too. */
  const prepareAll = async (next: number, parcelOfNext: Parcel): Promise<void> => {
    for (;;) {
      const behind = [...threads.values()].filter(({ ready }) => ready < next);
      if (behind.length === 0) return;
      await Promise.all(
        behind.map(async (slot) => {
          const prepared = slot.thread.hear("prepared");
          slot.thread.tell({ kind: "prepare", number: next, parcel: parcelOfNext });
          await prepared;
          slot.ready = next;
        }),
      );
    }
  };
  const listening = () => [...threads.values()].filter(({ isListening }) => isListening).map(({ thread }) => thread);

  verifier.subscribe((verified) => tellAll({ kind: "verified", verified }));
  try {
    address = await claim(address, () => start(0).listening);
    await Promise.all(Array.from({ length: options.threads - 1 }, (_, index) => start(index + 1).listening));
  } catch (error) {
    stopping = true;
    await Promise.all([...threads.values()].map(({ thread }) => thread.terminate()));
    throw error;
  }
  const looking = setInterval(() => endSilent(threads.values()), options.lookIntervalMs ?? LOOK_INTERVAL_MS);
  looking.unref();
  metrics.watchWorkers(() => listening().length);
  return {
    address,
    gateway: own.gateway,
    threads: listening,
    isListening: () => listening().length > 0,
    takeUp: async (loaded) => {
      const next = number + 1;
      const nextParcel = toParcel(loaded);
      own.prepare(loaded.configuration, () => Atomics.load(inForce, 0) >= next);
      await prepareAll(next, nextParcel);
      number = next;
      parcel = nextParcel;
      Atomics.store(inForce, 0, next);
      own.settle();
      const settled = [...threads.values()].map(({ thread }) => thread.hear("settled"));
      tellAll({ kind: "settle", number: next });
      await Promise.all(settled);
    },
    renewTls: (material) => {
      // Throws where it cannot be used, before any thread or a later one is told of it.
      createSecureContext(material);
      tls = material;
      tellAll({ kind: "renewTls", material });
    },
    compareWith: (loaded) => {
      candidate = loaded && toParcel(loaded);
      own.compareWith(loaded?.configuration.policy);
      tellAll({ kind: "compareWith", candidate });
    },
    shadowNumbers: async () => {
      const reports = await Promise.all(listening().map((thread) => thread.report()));
      return sumShadowNumbers([own.shadowNumbers(), ...reports.map((report) => report?.shadow)]);
    },
    metrics: async () => {
      const reports = await Promise.all(listening().map((thread) => thread.report()));
      return [await kept, ...reports.flatMap((report) => (report === undefined ? [] : [report.metrics]))];
    },
    drain: async (delayMs) => {
      stopping = true;
      const drained = await Promise.all([...threads.values()].map(({ thread }) => thread.drain(delayMs)));
      return drained.includes("cut") ? "cut" : "finished";
    },
    close: async () => {
      stopping = true;
      const all = [...threads.values()].map(({ thread }) => thread);
      await Promise.all(
        all.map(async (thread) => {
          const closed = thread.hear("closed");
          thread.tell({ kind: "close" });
          await closed;
          await thread.terminate();
        }),
      );
      clearInterval(looking);
      await own.close();
    },
  };
}

interface Slot {
  readonly thread: PlaneThread;
  readonly index: number;
  /** The number of the latest configuration it has ready. */
  ready: number;
  isListening: boolean;
  /** How often it was looked at in a row without having said anything. */
  silentLooks: number;
}

const ignore = (): void => {};

/** Ends threads that hang, to be replaced like any that ended: a reload waits for all of them. */
function endSilent(slots: Iterable<Slot>): void {
  for (const slot of slots) {
    slot.silentLooks = slot.thread.wasHeard() ? 0 : slot.silentLooks + 1;
    if (slot.silentLooks >= MAX_SILENT_LOOKS) void slot.thread.terminate();
  }
}

/** What this thread decides by itself: what the authoriser is asked. It spends from the same buckets. */
function createOwnAnswering(memory: PlaneMemory, options: FleetOptions): Answering {
  const open = (of: keyof PlaneMemory) => openSharedBuckets(memory[of], SUPERVISOR, options.clock.now);
  return createAnswering({
    ...options,
    configuration: options.first.configuration,
    state: {
      buckets: open("buckets"),
      failures: open("failures"),
      verified: options.verifier.verified,
      slowHashes: options.verifier,
    },
    shadowBuckets: { buckets: open("shadowBuckets"), failures: open("shadowFailures") },
  });
}

/** Answers what threads cannot do by themselves. */
function createAnswers(own: Answering, { verifier, keyOperations }: FleetOptions) {
  const answer = async (question: PlaneQuestion): Promise<PlaneAnswer> => {
    switch (question.kind) {
      case "compare": {
        const { credential, digests } = question;
        // Verified for another thread, which told this one late.
        const known = verifier.verified.find(credential);
        if (known !== undefined && digests.includes(known)) {
          return { kind: "compared", verdict: { kind: "matched", digest: known } };
        }
        return { kind: "compared", verdict: await verifier.compare(credential, digests) };
      }
      case "operate": {
        const { operation, id, callerId } = question;
        const caller = own.gateway.current().configuration.policy.keys.findById(callerId);
        if (caller === undefined) {
          const detail = "the caller's key is gone";
          return { kind: "operated", result: { kind: "refused", reason: "key_not_found", detail, scopes: [] } };
        }
        return { kind: "operated", result: await keyOperations.run(operation, id, caller) };
      }
      default:
        return question satisfies never;
    }
  };
  return (question: PlaneQuestion): Promise<PlaneAnswer> =>
    answer(question).catch((error: unknown) => ({ kind: "failed", problem: String(error) }));
}

/**
 * Threads may share an address, and so might another process of the same user without either knowing. Bound alone for
 * a moment, the address is known to be free.
 */
async function claim(address: SocketAddress, listen: () => Promise<SocketAddress>): Promise<SocketAddress> {
  if (address.kind === "tcp" && address.port !== 0) {
    const { host, port } = address;
    const probe = createServer();
    await new Promise<void>((resolve, reject) => {
      probe.once("error", reject);
      probe.listen({ host, port }, () => probe.close(() => resolve()));
    });
  }
  return listen();
}
