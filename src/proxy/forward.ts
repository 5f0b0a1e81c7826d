import type { IncomingMessage, ServerResponse } from "node:http";
import type { Allowed, DenialReason } from "../policy/decision.ts";
import type { Clock } from "./clock.ts";
import type { BodyFraming, HeaderList } from "./request-headers.ts";

/** One allowed request on its way to the upstream. Without the permit there is no exchange to forward. */
export interface Exchange {
  readonly permit: Allowed;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderList;
  readonly framing: BodyFraming;
  readonly maxBodyBytes: number | undefined;
  /** The longest silence within the client's body; 0: no limit. */
  readonly bodyIdleTimeoutMs: number;
  readonly clock: Clock;
  /** Lines added to the upstream's response. */
  readonly responseHeaders: readonly string[];
}

/** How an exchange ended. Only after `failed` is the response still unanswered. */
export type Outcome =
  | { readonly kind: "answered"; readonly status: number }
  | { readonly kind: "failed"; readonly reason: ForwardFailure; readonly detail: string }
  /** The upstream broke off inside its body, so the client's copy was broken off too. */
  | { readonly kind: "truncated"; readonly status: number; readonly detail: string }
  | { readonly kind: "aborted" };

export type ForwardFailure = Extract<
  DenialReason,
  "upstream_unreachable" | "upstream_invalid" | "upstream_timeout" | "body_too_large" | "request_timeout" | "overloaded"
>;

/** Sends allowed requests upstream. Implementations: undici. */
export interface Forwarder {
  readonly forward: (exchange: Exchange, done: (outcome: Outcome) => void) => void;
  /** Lets what is under way finish, then closes the connections. */
  readonly close: () => Promise<void>;
  /** Ends everything now. */
  readonly destroy: () => Promise<void>;
}
