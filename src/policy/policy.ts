import type { Buckets, Limit } from "./bucket.ts";
import type { CredentialRules } from "./credential.ts";
import type { Key, KeyIndex, SlowHashes, VerifiedCredentials } from "./key.ts";
import type { KeyFormat } from "./key-format.ts";
import type { Principal } from "./principal.ts";
import type { RouteTable } from "./route.ts";
import type { PathRules } from "./target.ts";

/** Everything `decide` consults: compiled, immutable, replaced whole by a reload. */
export interface Policy {
  /** The content digest of the files it was read from. */
  readonly revision: string;
  readonly httpsRequired: boolean;
  readonly paths: PathRules;
  readonly routes: RouteTable;
  readonly credentials: CredentialRules;
  /** Empty: any visible text may be a key. */
  readonly keyFormats: readonly KeyFormat[];
  /** Values this instance serves, by segment name; a segment not listed is not judged. */
  readonly accept: ReadonlyMap<string, ReadonlySet<string>>;
  readonly keys: KeyIndex;
  /** Who passed what is judged of a credential's text. Of a key it is always the same text, so it is read once. */
  readonly principals: WeakMap<Key, Principal>;
  /** Method to action, for derived scopes. */
  readonly actions: ReadonlyMap<string, string>;
  /** Refused credentials per client address; undefined: unlimited. */
  readonly failureLimit: Limit | undefined;
}

/** What outlives a policy: spent buckets and finished verifications survive a reload. */
export interface PolicyState {
  readonly buckets: Buckets;
  readonly failures: Buckets;
  readonly verified: VerifiedCredentials;
  readonly slowHashes: SlowHashes;
}
