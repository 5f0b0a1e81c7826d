import { parentPort } from "node:worker_threads";
import { compareSync, hashSync } from "bcryptjs";

/** What the worker is asked: which of these digests a credential matches, or its digest at a cost. */
export type BcryptQuestion = { readonly id: number; readonly credential: string } & (
  | { readonly kind: "compare"; readonly digests: readonly string[] }
  | { readonly kind: "hash"; readonly cost: number }
);

export type BcryptAnswer =
  /** The index of the digest that matched, -1 for none. */
  | { readonly id: number; readonly kind: "compare"; readonly matched: number }
  | { readonly id: number; readonly kind: "hash"; readonly digest: string };

parentPort?.on("message", (question: BcryptQuestion) => parentPort?.postMessage(answer(question)));

function answer(question: BcryptQuestion): BcryptAnswer {
  const { id, credential } = question;
  if (question.kind === "hash") return { id, kind: "hash", digest: hashSync(credential, question.cost) };
  // Every candidate is tried, so that the time does not tell which one of them matched.
  let matched = -1;
  for (const [index, digest] of question.digests.entries()) if (compareSync(credential, digest)) matched = index;
  return { id, kind: "compare", matched };
}
