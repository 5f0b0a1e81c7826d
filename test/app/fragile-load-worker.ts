import { parentPort } from "node:worker_threads";
import type { LoadAnswer, LoadQuestion } from "../../src/app/load-worker.ts";

const REJECTED: LoadAnswer = { kind: "rejected", diagnostics: [], files: [], digests: new Map() };

// Loads, if nothing good, and dies of making a copy.
parentPort?.on("message", ({ kind }: LoadQuestion) => {
  if (kind === "keep") throw new Error("the thread died on purpose");
  parentPort?.postMessage(REJECTED);
});
