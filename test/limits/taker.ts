import { parentPort, workerData } from "node:worker_threads";
import { type BucketMemory, openSharedBuckets } from "../../src/limits/shared-buckets.ts";
import type { Limit } from "../../src/policy/bucket.ts";

/** What a thread of the stress test does: as many takes as asked for, each by the next of the owners. */
export interface Taking {
  readonly memory: BucketMemory;
  readonly thread: number;
  readonly owners: readonly string[];
  readonly limits: readonly Limit[];
  readonly takes: number;
  /** The one instant at which everything happens; undefined for the real clock. */
  readonly nowMs: number | undefined;
  /** All threads begin at the same time: each counts itself in, and waits for the others. */
  readonly gate: Int32Array;
  readonly threads: number;
}

export interface TakingResult {
  /** Admitted requests by owner. */
  readonly taken: Readonly<Record<string, number>>;
  readonly full: number;
}

const { memory, thread, owners, limits, takes, nowMs, gate, threads }: Taking = workerData;
const now = () => nowMs ?? Date.now();
const buckets = openSharedBuckets(memory, thread, now);
const taken: Record<string, number> = {};
let full = 0;

Atomics.add(gate, 0, 1);
Atomics.notify(gate, 0);
for (let here = Atomics.load(gate, 0); here < threads; here = Atomics.load(gate, 0)) Atomics.wait(gate, 0, here);

for (let index = 0; index < takes; index += 1) {
  const owner = owners[index % owners.length] ?? "";
  const { kind } = buckets.take({ owner, limits, cost: 1 }, now());
  if (kind === "taken") taken[owner] = (taken[owner] ?? 0) + 1;
  if (kind === "full") full += 1;
}
parentPort?.postMessage({ taken, full } satisfies TakingResult);
