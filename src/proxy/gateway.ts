import type { Decision, NeedsVerification } from "../policy/decision.ts";
import type { Verification } from "../policy/key.ts";
import type { PolicyState } from "../policy/policy.ts";
import type { Observer } from "../telemetry/access-record.ts";
import type { Clock } from "./clock.ts";
import type { Forwarder } from "./forward.ts";
import type { Generation } from "./generation.ts";
import type { KeyOperations } from "./manage.ts";
import type { OpenExchanges } from "./open-exchanges.ts";
import type { Shadow } from "./shadow.ts";
import type { Tunnel } from "./tunnel.ts";

/** Runs slow hashes off the event loop: one per credential at a time, in a bounded queue. */
export interface SlowVerifier {
  readonly verify: (request: NeedsVerification) => Promise<Verification>;
}

/** All that answering a request needs from the process around it. */
export interface Gateway {
  /** The generation in force; a plain read, made once per request. */
  readonly current: () => Generation;
  readonly state: PolicyState;
  readonly clock: Clock;
  readonly verifier: SlowVerifier;
  /** The way to the upstream now in force; a reload may replace it. */
  readonly forwarder: () => Forwarder;
  readonly openExchanges: OpenExchanges;
  /** Connections that speak another protocol, whichever upstream they lead to, so that a drain can end them. */
  readonly tunnels: Set<Tunnel>;
  readonly keyOperations: KeyOperations;
  readonly observer: Observer;
  /** Undefined unless a candidate policy is evaluated beside the live one. */
  readonly shadow: () => Shadow | undefined;
  /** Whether the process is on its way out: connections are closed after their answer. */
  readonly isDraining: () => boolean;
  readonly createRequestId: () => string;
}

/** A decision that needs nothing more. */
export type Settled = Exclude<Decision, NeedsVerification>;
