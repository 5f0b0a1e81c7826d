import type { Address } from "./network.ts";

/** What `decide` is told of a request: plain values, so that it is tested with literals. */
export interface RequestFacts {
  readonly method: string;
  /** The request target exactly as received, undecoded. */
  readonly target: string;
  /** Header lines exactly as received: name, value, name, value … */
  readonly rawHeaders: readonly string[];
  readonly clientAddress: Address;
  /** Whether the client's own connection was encrypted, as far as a trusted hop can say. */
  readonly secure: boolean;
}
