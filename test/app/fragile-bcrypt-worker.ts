import { parentPort, threadId } from "node:worker_threads";
import type { BcryptAnswer, BcryptQuestion } from "../../src/app/bcrypt-worker.ts";

/** The credential that ends the thread it is hashed in. */
const FATAL = "fatal";

// For a digest it tells which thread was asked.
parentPort?.on("message", ({ id, credential }: BcryptQuestion) => {
  if (credential === FATAL) throw new Error("the thread died on purpose");
  parentPort?.postMessage({ kind: "hash", id, digest: String(threadId) } satisfies BcryptAnswer);
});
