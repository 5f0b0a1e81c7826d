import { randomBytes } from "node:crypto";
import { Worker } from "node:worker_threads";
import type { NeedsVerification } from "../policy/decision.ts";
import type { Key, SlowHashes, Verification } from "../policy/key.ts";
import type { SlowVerifier } from "../proxy/gateway.ts";
import type { BcryptAnswer, BcryptQuestion } from "./bcrypt-worker.ts";
import { createVerifiedCache, type Verified, type VerifiedCache } from "./verified-credentials.ts";

/** A slow verifier that says what it is at. */
export interface KeyVerifier extends SlowVerifier, SlowHashes {}

/** The same with the memory of what it verified. */
export interface BcryptVerifier extends KeyVerifier {
  readonly verified: VerifiedCache;
  /** Keys the names in `verified`; for threads that are to remember the same. */
  readonly secret: Uint8Array;
  /** Which of the digests a credential verifies against, for a thread that has the keys they belong to. */
  readonly compare: (credential: string, digests: readonly string[]) => Promise<DigestVerdict>;
  /** Tells of everything verified from now on. */
  readonly subscribe: (hear: (verified: Verified) => void) => void;
  /** Computes a new digest, off the event loop too. */
  readonly hash: (credential: string, cost: number) => Promise<string>;
  readonly close: () => Promise<void>;
}

export type DigestVerdict =
  | { readonly kind: "matched"; readonly digest: string }
  | { readonly kind: "unmatched" }
  | { readonly kind: "overloaded" };

// At some 70 ms each this is ten seconds of work: a longer queue only keeps clients waiting in vain.
const MAX_QUEUED = 128;

/**
 * Verifies bcrypt digests in a worker thread, started at the first need. One hash per credential at a
 * time however many requests present it; successes are remembered under a digest keyed for this
 * process, never under the credential itself.
 */
export function createBcryptVerifier(workerUrl: URL): BcryptVerifier {
  const secret = randomBytes(32);
  const verified = createVerifiedCache(secret);
  const inFlight = new Map<string, Promise<DigestVerdict>>();
  const hearers: ((verified: Verified) => void)[] = [];
  const thread = createThread(workerUrl);

  const run = async (handle: string, credential: string, digests: readonly string[]): Promise<DigestVerdict> => {
    const answer = await thread.ask({ kind: "compare", credential, digests });
    const digest = answer.kind === "compare" ? digests[answer.matched] : undefined;
    if (digest === undefined) return { kind: "unmatched" };
    verified.remember({ handle, digest });
    for (const hear of hearers) hear({ handle, digest });
    return { kind: "matched", digest };
  };
  const compare: BcryptVerifier["compare"] = (credential, digests) => {
    const handle = verified.handleOf(credential);
    const flight = `${handle} ${digests.join(" ")}`;
    const running = inFlight.get(flight);
    if (running !== undefined) return running;
    if (inFlight.size >= MAX_QUEUED) return Promise.resolve({ kind: "overloaded" });
    const started = run(handle, credential, digests).finally(() => inFlight.delete(flight));
    inFlight.set(flight, started);
    return started;
  };
  return {
    verified,
    secret,
    compare,
    subscribe: (hear) => void hearers.push(hear),
    ...createKeyVerifier(compare),
    hash: async (credential, cost) => {
      const answer = await thread.ask({ kind: "hash", credential, cost });
      if (answer.kind !== "hash") throw new Error("the bcrypt thread answered another question");
      return answer.digest;
    },
    close: () => thread.close(),
  };
}

/**
 * Verifies keys by comparing their digests somewhere, once for all who ask the same at a time. The verdict is on digests,
 * since a reload may come between.
 */
export function createKeyVerifier(compare: BcryptVerifier["compare"]): KeyVerifier {
  const underWay = new Map<string, Promise<DigestVerdict>>();
  const begin = (name: string, { credential, candidates }: NeedsVerification): Promise<DigestVerdict> => {
    const verdict = compare(credential, candidates.map(digestText)).finally(() => underWay.delete(name));
    underWay.set(name, verdict);
    return verdict;
  };
  return {
    verify: async (request) => {
      const name = nameOf(request.credential, request.candidates);
      return toVerification(await (underWay.get(name) ?? begin(name, request)), request);
    },
    isUnderWay: (credential, candidates) => underWay.has(nameOf(credential, candidates)),
  };
}

/** No digest holds a blank. */
function nameOf(credential: string, candidates: readonly Key[]): string {
  return `${candidates.map(digestText).join(" ")} ${credential}`;
}

/** The verdict in terms of this request's own policy, whose record may say other things of the key. */
function toVerification(verdict: DigestVerdict, request: NeedsVerification): Verification {
  if (verdict.kind !== "matched") return verdict;
  const key = request.candidates.find((candidate) => digestText(candidate) === verdict.digest);
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

  // A thread says that it ended when another may long have taken its place.
  const fail = (ended: Worker, error: Error): void => {
    if (worker !== ended) return;
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
    started.on("error", (error) => fail(started, error instanceof Error ? error : new Error(String(error))));
    started.on("exit", () => fail(started, new Error("the bcrypt thread ended")));
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
