import type { KeyObject } from "node:crypto";
import type { Limit } from "./bucket.ts";
import { BCRYPT_MAX_BYTES, hmacSha256, type KeyDigest, sha256 } from "./digest.ts";
import type { NetworkSet } from "./network.ts";
import type { Source } from "./route.ts";
import type { Grants } from "./scope.ts";

/** A registered API key, compiled. Never holds the credential. */
export interface Key {
  readonly id: string;
  readonly name: string | undefined;
  readonly tenant: string | undefined;
  readonly digest: KeyDigest;
  readonly prefix: string | undefined;
  readonly scopes: readonly string[];
  readonly grants: Grants;
  readonly limits: readonly Limit[];
  readonly networks: NetworkSet | undefined;
  readonly notBeforeMs: number | undefined;
  readonly expiresAtMs: number | undefined;
  readonly status: "active" | "suspended" | "revoked";
  readonly readOnly: boolean;
  readonly rotatedTo: string | undefined;
  readonly metadata: ReadonlyMap<string, string>;
  readonly source: Source;
}

/** All keys of a policy in one piece of memory, which threads share without copying. Never holds a credential. */
export type KeyTable = SharedArrayBuffer;

/** Keys by what can be computed from a credential: never a scan, never a comparison of secrets. */
export interface KeyIndex {
  /** What all of it stands in, for other threads to open. */
  readonly table: KeyTable;
  readonly size: number;
  readonly pepper: KeyObject | undefined;
  readonly hmacCount: number;
  readonly slowPrefixLengths: readonly number[];
  /** The most rounds of bcrypt that a credential may take to verify: all keys of a prefix are tried. */
  readonly slowRounds: number;
  readonly hasId: (id: string) => boolean;
  readonly findById: (id: string) => Key | undefined;
  readonly findByDigest: (digest: KeyDigest) => Key | undefined;
  /** The slow-hashed keys of exactly that prefix. */
  readonly findByPrefix: (prefix: string) => readonly Key[];
  /** Every key, in the order of the files. None is kept, so a large table is best gone through once. */
  readonly all: () => Iterable<Key>;
  readonly ids: () => Iterable<string>;
}

/** Credentials that a slow hash already verified in this process, by the digest they verified against. */
export interface VerifiedCredentials {
  readonly find: (credential: string) => string | undefined;
}

/** The slow hashes that run now. */
export interface SlowHashes {
  /** Whether a request that presents this again waits for one that runs, and begins none of its own. */
  readonly isUnderWay: (credential: string, candidates: readonly Key[]) => boolean;
}

/** The outcome of a slow verification of this very request's credential. */
export type Verification = {
  /** Whether it was counted as a failure before it was known to be one. Left out: it was not. */
  readonly isCounted?: boolean;
} & (
  | { readonly kind: "matched"; readonly key: Key }
  | { readonly kind: "unmatched" }
  | { readonly kind: "overloaded" }
);

export type FoundKey =
  | { readonly kind: "key"; readonly key: Key }
  | { readonly kind: "unverified"; readonly candidates: readonly Key[] }
  | { readonly kind: "unknown" };

/** Finds the key a credential belongs to, by digest or among the few slow-hashed ones with its prefix. */
export function findKey(credential: string, keys: KeyIndex, verified: VerifiedCredentials): FoundKey {
  const bySha256 = keys.findByDigest({ kind: "sha256", hex: sha256(credential) });
  if (bySha256 !== undefined) return { kind: "key", key: bySha256 };
  if (keys.pepper !== undefined && keys.hmacCount > 0) {
    const byHmac = keys.findByDigest({ kind: "hmac-sha256", hex: hmacSha256(credential, keys.pepper) });
    if (byHmac !== undefined) return { kind: "key", key: byHmac };
  }
  const candidates = slowCandidates(credential, keys);
  if (candidates.length === 0) return { kind: "unknown" };
  const digest = verified.find(credential);
  const key = candidates.find((candidate) => candidate.digest.kind === "bcrypt" && candidate.digest.text === digest);
  return key === undefined ? { kind: "unverified", candidates } : { kind: "key", key };
}

function slowCandidates(credential: string, keys: KeyIndex): readonly Key[] {
  if (credential.length > BCRYPT_MAX_BYTES) return [];
  return keys.slowPrefixLengths.flatMap((length) => keys.findByPrefix(credential.slice(0, length)));
}

/** Why a verified key may not be used at this instant; undefined when it may. */
export function findStatusProblem(
  key: Key,
  nowMs: number,
): "key_revoked" | "key_expired" | "key_not_yet_valid" | "key_suspended" | undefined {
  if (key.status === "revoked") return "key_revoked";
  if (key.expiresAtMs !== undefined && nowMs >= key.expiresAtMs) return "key_expired";
  if (key.notBeforeMs !== undefined && nowMs < key.notBeforeMs) return "key_not_yet_valid";
  if (key.status === "suspended") return "key_suspended";
  return undefined;
}
