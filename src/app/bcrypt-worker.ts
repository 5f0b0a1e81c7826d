import { parentPort } from "node:worker_threads";
import { compareSync } from "bcryptjs";

/** What the worker is asked: whether a credential matches one of these digests. */
export interface BcryptQuestion {
  readonly id: number;
  readonly credential: string;
  readonly digests: readonly string[];
}

export interface BcryptAnswer {
  readonly id: number;
  /** The index of the digest that matched, -1 for none. */
  readonly matched: number;
}

parentPort?.on("message", ({ id, credential, digests }: BcryptQuestion) => {
  // Every candidate is tried, so that the time does not tell which one of them matched.
  let matched = -1;
  for (const [index, digest] of digests.entries()) if (compareSync(credential, digest)) matched = index;
  parentPort?.postMessage({ id, matched } satisfies BcryptAnswer);
});
