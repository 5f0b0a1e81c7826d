import type { Key } from "./key.ts";

/** Who an allowed request is: the key's record and what the credential's own text says of itself. */
export interface Principal {
  readonly key: Key;
  /** Named segments of the credential, such as `environment` and `region`; never the secret. */
  readonly segments: ReadonlyMap<string, string>;
}
