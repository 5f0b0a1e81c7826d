import { workerData } from "node:worker_threads";
import "../../src/app/plane-worker.ts";

// The first thread of a fleet, and no later one, stands still once it listens and has been heard.
const FIRST = 2;
if (workerData.thread === FIRST) {
  setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 1_000);
}
