import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createKeyVerifier, type DigestVerdict } from "../../src/app/bcrypt-verifier.ts";
import { allocateBuckets, openSharedBuckets } from "../../src/limits/shared-buckets.ts";
import type { Buckets } from "../../src/policy/bucket.ts";
import { createBucketTable } from "../../src/policy/bucket-table.ts";
import { type Authorizer, authorize } from "../../src/proxy/authorize.ts";
import type { Settled } from "../../src/proxy/gateway.ts";
import { createPolicy, createState, toFacts } from "../policy/fixture.ts";

const BUDGET = 3;
const DIGEST = `$2y$10$${"a".repeat(53)}`;
const RIGHT = "abcd-right";
const CREDENTIALS = [RIGHT, ...Array.from({ length: 8 }, (_, index) => `abcd-wrong-${index}`)];
const ADDRESSES = ["203.0.113.7", "203.0.113.8"];
const POLICY = createPolicy({
  routes: [{ match: "* /**", authenticated: true }],
  keys: [{ id: "slow", prefix: "abcd", digest: { kind: "bcrypt", text: DIGEST, cost: 10 } }],
  failures: `${BUDGET}/minute`,
});

/** A slow hash that runs until the test says otherwise. */
interface Hash {
  readonly from: string;
  readonly credential: string;
  readonly end: () => void;
}

/** Threads that ask one another for nothing but slow hashes, and that count failures in the same memory. */
function startThreads(failures: readonly Buckets[]) {
  const running: Hash[] = [];
  const failed: string[] = [];
  let from = "";
  const compare = (credential: string): Promise<DigestVerdict> =>
    new Promise((resolve) => {
      const asker = from;
      const end = (): void => {
        if (credential !== RIGHT) failed.push(asker);
        resolve(credential === RIGHT ? { kind: "matched", digest: DIGEST } : { kind: "unmatched" });
      };
      running.push({ from, credential, end });
    });
  const threads = failures.map((buckets): Authorizer => {
    const verifier = createKeyVerifier(compare);
    return { state: { ...createState(), failures: buckets, slowHashes: verifier }, clock: { now: () => 0 }, verifier };
  });
  return {
    running,
    /** Hashes that an address has under way or has failed. */
    heldBy: (address: string) =>
      [...running.map((hash) => hash.from), ...failed].filter((one) => one === address).length,
    ask: (thread: number, credential: string, address: string): Settled | Promise<Settled> => {
      const authorizer = threads[thread];
      if (authorizer === undefined) throw new Error("no such thread");
      from = address;
      return authorize(toFacts({ credential, from: address }), POLICY, authorizer);
    },
    /** Ends one of the hashes, and lets everybody who waited for it go on. */
    end: async (index: number): Promise<void> => {
      const [hash] = running.splice(index % Math.max(1, running.length), 1);
      hash?.end();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

function shareFailures(count: number): readonly Buckets[] {
  const memory = allocateBuckets({ shelves: 1, slotsPerShelf: 16, reach: 16 });
  return Array.from({ length: count }, (_, index) => openSharedBuckets(memory, index + 1, () => 0));
}

function reasonOf(decision: Settled): string {
  return decision.kind === "allow" ? "allowed" : decision.reason;
}

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("ask" as const),
      thread: fc.nat(1),
      credential: fc.constantFrom(...CREDENTIALS),
      address: fc.constantFrom(...ADDRESSES),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("end" as const), index: fc.nat(20) }) },
);

describe("the budget of failures and slow hashes", () => {
  test.each([
    ["in one thread", () => [createBucketTable()]],
    ["in two", () => shareFailures(2)],
  ])("authorize() has no more of them under way and failed than the budget admits: %s", async (_, createFailures) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const failures = createFailures();
        const threads = startThreads(failures);
        const answers: { readonly address: string; readonly decided: Settled | Promise<Settled> }[] = [];
        for (const taken of steps) {
          if (taken.kind === "end") await threads.end(taken.index);
          else {
            const { thread, credential, address } = taken;
            answers.push({ address, decided: threads.ask(thread % failures.length, credential, address) });
          }
          for (const address of ADDRESSES) expect(threads.heldBy(address)).toBeLessThanOrEqual(BUDGET);
        }
        while (threads.running.length > 0) await threads.end(0);
        const settled = await Promise.all(
          answers.map(async ({ address, decided }) => ({ address, reason: reasonOf(await decided) })),
        );
        for (const address of ADDRESSES) {
          const refused = settled.filter((one) => one.address === address && one.reason === "key_unknown");
          expect(refused.length).toBeLessThanOrEqual(BUDGET);
        }
      }),
    );
  });

  test("authorize() refuses at once what the budget does not admit, the right key too", async () => {
    const { ask, running, end } = startThreads([createBucketTable()]);
    const [first = "", second = ""] = ADDRESSES;
    const guesses = CREDENTIALS.slice(1, 1 + BUDGET).map((credential) => ask(0, credential, first));
    expect(ask(0, RIGHT, first)).toMatchObject({ kind: "deny", reason: "failures_exceeded", retryAfterSeconds: 20 });
    const quiet = ask(0, RIGHT, second);
    while (running.length > 0) await end(0);
    expect(await quiet).toMatchObject({ kind: "allow" });
    for (const guess of guesses) expect(await guess).toMatchObject({ kind: "deny", reason: "key_unknown" });
  });

  test("authorize() hashes once for all who present the same key, and charges none of them", async () => {
    const { ask, running, end } = startThreads([createBucketTable()]);
    const [address = ""] = ADDRESSES;
    for (let round = 0; round < 2 * BUDGET; round += 1) {
      const asked = Array.from({ length: 10 * BUDGET }, () => ask(0, RIGHT, address));
      expect(running).toHaveLength(1);
      await end(0);
      expect(new Set((await Promise.all(asked)).map(reasonOf))).toEqual(new Set(["allowed"]));
    }
  });
});
