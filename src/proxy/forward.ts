import type { Socket } from "node:net";
import type { FieldText } from "../http1/fields.ts";
import type { BodyFraming } from "../http1/framing.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import type { Allowed, DenialReason } from "../policy/decision.ts";
import type { ClientExchange } from "./client-exchange.ts";
import type { ResponseAdditions } from "./response-headers.ts";

/** One allowed request on its way to the upstream. Without the permit there is no exchange to forward. */
export interface Exchange {
  readonly permit: Allowed;
  readonly client: ClientExchange;
  readonly method: string;
  readonly target: string;
  readonly framing: BodyFraming;
  readonly maxBodyBytes: number | undefined;
  readonly additions: ResponseAdditions;
  /** What it asks to switch to; undefined where it asks for an answer alone. */
  readonly protocol: string | undefined;
  /** Called in place of `done` when the upstream did switch: its socket, paused, and what came on it already. */
  readonly switched: (head: ResponseHead, upstream: Socket, first: Buffer) => void;
  /** Called once, when it has ended. */
  readonly done: (outcome: Outcome) => void;
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
  | "upstream_unreachable"
  | "upstream_invalid"
  | "upstream_timeout"
  | "body_too_large"
  | "request_invalid"
  | "request_timeout"
  | "overloaded"
>;

/** Sends allowed requests upstream. */
export interface Forwarder {
  /** `fields`: the request's field lines but for its framing. */
  readonly forward: (exchange: Exchange, fields: FieldText) => void;
  /** Lets what is under way finish, then closes the connections. */
  readonly close: () => Promise<void>;
  /** Ends everything now. */
  readonly destroy: () => Promise<void>;
}
