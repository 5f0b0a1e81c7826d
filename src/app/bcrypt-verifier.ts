import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import { Worker } from "node:worker_threads";
import { LRUCache } from "lru-cache";
import type { NeedsVerification } from "../policy/decision.ts";
import type { Key, Verification, VerifiedCredentials } from "../policy/key.ts";
import type { SlowVerifier } from "../proxy/gateway.ts";
import type { BcryptAnswer, BcryptQuestion } from "./bcrypt-worker.ts";

/** A slow verifier with the memory of what it verified. */
export interface BcryptVerifier extends SlowVerifier {
  readonly verified: VerifiedCredentials;
  /** Computes a new digest, off the event loop too. */
  readonly hash: (credential: string, cost: number) => Promise<string>;
  readonly close: () => Promise<void>;
}

// A wrong verdict of a stolen heap is worth less the shorter it lives; at this age the price is one
// slow hash per key every five minutes.
const VERIFIED_TTL_MS = 5 * 60_000;
const MAX_VERIFIED = 10_000;
// At some 70 ms each this is ten seconds of work: a longer queue only keeps clients waiting in vain.
const MAX_QUEUED = 128;

/**
 * Verifies bcrypt digests in a worker thread, started at the first need. One hash per credential at a
 * time however many requests present it; successes are remembered under a digest keyed for this
 * process, never under the credential itself.
 */
export function createBcryptVerifier(workerUrl: URL): BcryptVerifier {
  const secret = createSecretKey(randomBytes(32));
  const verified = new LRUCache<string, string>({ max: MAX_VERIFIED, ttl: VERIFIED_TTL_MS });
  const inFlight = new Map<string, Promise<Verification>>();
  const thread = createThread(workerUrl);
  const handleOf = (credential: string) => createHmac("sha256", secret).update(credential).digest("base64");

  const run = async (handle: string, request: NeedsVerification): Promise<Verification> => {
    const digests = request.candidates.map(digestText);
    const answer = await thread.ask({ kind: "compare", credential: request.credential, digests });
    const key = answer.kind === "compare" ? request.candidates[answer.matched] : undefined;
    if (key === undefined) return { kind: "unmatched" };
    verified.set(handle, digestText(key));
    return { kind: "matched", key };
  };
  return {
    verified: { find: (credential) => verified.get(handleOf(credential)) },
    verify: (request) => {
      // Candidates belong to a policy: a reload between two requests must not share a verdict.
      const handle = handleOf(request.credential);
      const flight = `${handle} ${request.candidates.map(digestText).join(" ")}`;
      const running = inFlight.get(flight);
      if (running !== undefined) return running.then((outcome) => rebind(outcome, request));
      if (inFlight.size >= MAX_QUEUED) return Promise.resolve({ kind: "overloaded" });
      const started = run(handle, request).finally(() => inFlight.delete(flight));
      inFlight.set(flight, started);
      return started;
    },
    hash: async (credential, cost) => {
      const answer = await thread.ask({ kind: "hash", credential, cost });
      if (answer.kind !== "hash") throw new Error("the bcrypt thread answered another question");
      return answer.digest;
    },
    close: () => thread.close(),
  };
}

/** The same digest in this request's own policy, whose record may say other things of the key. */
function rebind(outcome: Verification, request: NeedsVerification): Verification {
  if (outcome.kind !== "matched") return outcome;
  const digest = digestText(outcome.key);
  const key = request.candidates.find((candidate) => digestText(candidate) === digest);
  return key === undefined ? { kind: "unmatched" } : { kind: "matched", key };
}

function digestText(key: Key): string {
  return key.digest.kind === "bcrypt" ? key.digest.text : "";
}

type Unnumbered =
  | Omit<Extract<BcryptQuestion, { kind: "compare" }>, "id">
  | Omit<Extract<BcryptQuestion, { kind: "hash" }>, "id">;

interface Thread {
  readonly ask: (question: Unnumbered) => Promise<BcryptAnswer>;
  readonly close: () => Promise<void>;
}

interface Waiting {
  readonly resolve: (answer: BcryptAnswer) => void;
  readonly reject: (error: Error) => void;
}

function createThread(workerUrl: URL): Thread {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | undefined;
  let lastId = 0;

  const fail = (error: Error): void => {
    worker = undefined;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  const start = (): Worker => {
    const started = new Worker(workerUrl);
    started.unref();
    started.on("message", (answer: BcryptAnswer) => {
      waiting.get(answer.id)?.resolve(answer);
      waiting.delete(answer.id);
    });
    started.on("error", (error) => fail(error instanceof Error ? error : new Error(String(error))));
    started.on("exit", () => fail(new Error("the bcrypt thread ended")));
    return started;
  };
  return {
    ask: (question) =>
      new Promise((resolve, reject) => {
        worker ??= start();
        lastId += 1;
        waiting.set(lastId, { resolve, reject });
        worker.postMessage({ ...question, id: lastId } satisfies BcryptQuestion);
      }),
    close: async () => {
      await worker?.terminate();
    },
  };
}
