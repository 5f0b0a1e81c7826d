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

/** Keys by what can be computed from a credential: never a scan, never a comparison of secrets. */
export interface KeyIndex {
  readonly all: readonly Key[];
  readonly byId: ReadonlyMap<string, Key>;
  readonly bySha256: ReadonlyMap<string, Key>;
  readonly byHmac: ReadonlyMap<string, Key>;
  readonly pepper: KeyObject | undefined;
  readonly slowByPrefix: ReadonlyMap<string, readonly Key[]>;
  readonly slowPrefixLengths: readonly number[];
}

/** Credentials that a slow hash already verified in this process, by the digest they verified against. */
export interface VerifiedCredentials {
  readonly find: (credential: string) => string | undefined;
}

/** The outcome of a slow verification of this very request's credential. */
export type Verification =
  | { readonly kind: "matched"; readonly key: Key }
  | { readonly kind: "unmatched" }
  | { readonly kind: "overloaded" };

export type FoundKey =
  | { readonly kind: "key"; readonly key: Key }
  | { readonly kind: "unverified"; readonly candidates: readonly Key[] }
  | { readonly kind: "unknown" };

/** An index as it grows: a hundred thousand keys are added a batch at a time. */
export interface KeyIndexBuilder {
  readonly add: (key: Key) => void;
  /** Always that of the keys added so far. */
  readonly index: KeyIndex;
}

export function createKeyIndexBuilder(pepper: KeyObject | undefined): KeyIndexBuilder {
  const all: Key[] = [];
  const byId = new Map<string, Key>();
  const bySha256 = new Map<string, Key>();
  const byHmac = new Map<string, Key>();
  const slowByPrefix = new Map<string, Key[]>();
  const slowPrefixLengths: number[] = [];
  const add = (key: Key): void => {
    all.push(key);
    byId.set(key.id, key);
    switch (key.digest.kind) {
      case "sha256":
        bySha256.set(key.digest.hex, key);
        break;
      case "hmac-sha256":
        byHmac.set(key.digest.hex, key);
        break;
      case "bcrypt": {
        // A bcrypt record without a prefix can be reached by nobody; the config loader refuses it.
        if (key.prefix === undefined) break;
        const sharing = slowByPrefix.get(key.prefix);
        if (sharing !== undefined) sharing.push(key);
        else {
          slowByPrefix.set(key.prefix, [key]);
          if (!slowPrefixLengths.includes(key.prefix.length)) slowPrefixLengths.push(key.prefix.length);
        }
        break;
      }
      default:
        key.digest satisfies never;
    }
  };
  return { add, index: { all, byId, bySha256, byHmac, pepper, slowByPrefix, slowPrefixLengths } };
}

export function compileKeys(keys: readonly Key[], pepper: KeyObject | undefined): KeyIndex {
  const { add, index } = createKeyIndexBuilder(pepper);
  for (const key of keys) add(key);
  return index;
}

/** Finds the key a credential belongs to, by digest or among the few slow-hashed ones with its prefix. */
export function findKey(credential: string, keys: KeyIndex, verified: VerifiedCredentials): FoundKey {
  const bySha256 = keys.bySha256.get(sha256(credential));
  if (bySha256 !== undefined) return { kind: "key", key: bySha256 };
  if (keys.pepper !== undefined && keys.byHmac.size > 0) {
    const byHmac = keys.byHmac.get(hmacSha256(credential, keys.pepper));
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
  return keys.slowPrefixLengths.flatMap((length) => keys.slowByPrefix.get(credential.slice(0, length)) ?? []);
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
