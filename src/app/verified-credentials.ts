import { createHmac, createSecretKey } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { VerifiedCredentials } from "../policy/key.ts";

/** What slow hashes verified of late. */
export interface VerifiedCache extends VerifiedCredentials {
  /** The name under which a credential is remembered; nothing can be learnt from it without the secret. */
  readonly handleOf: (credential: string) => string;
  readonly remember: (verified: Verified) => void;
  readonly all: () => readonly Verified[];
}

/** That the credential of this handle verifies against this digest. */
export interface Verified {
  readonly handle: string;
  readonly digest: string;
}

// A wrong verdict of a stolen heap is worth less the shorter it lives; at this age the price is one
// slow hash per key every five minutes.
const VERIFIED_TTL_MS = 5 * 60_000;
const MAX_VERIFIED = 10_000;

/** Bounded in number and age. Threads with the same secret may tell each other what they remember. */
export function createVerifiedCache(secret: Uint8Array): VerifiedCache {
  const key = createSecretKey(secret);
  const verified = new LRUCache<string, string>({ max: MAX_VERIFIED, ttl: VERIFIED_TTL_MS });
  const handleOf = (credential: string) => createHmac("sha256", key).update(credential).digest("base64");
  return {
    handleOf,
    find: (credential) => verified.get(handleOf(credential)),
    remember: ({ handle, digest }) => void verified.set(handle, digest),
    all: () => [...verified.entries()].map(([handle, digest]) => ({ handle, digest })),
  };
}
