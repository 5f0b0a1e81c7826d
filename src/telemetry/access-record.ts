import type { DenialReason } from "../policy/decision.ts";

/** One request as it was decided and as it ended: the single source of its log line and its metrics. */
export interface AccessRecord {
  /** Set where a gateway asked the authoriser; what Latchkey itself would have forwarded has none. */
  readonly via?: "authorizer";
  readonly requestId: string;
  readonly method: string;
  /** Without the query, and with anything that looks like a key taken out. */
  readonly path: string;
  /** The route as written in the config; undefined when none matched. */
  readonly route: string | undefined;
  /** Undefined until a credential was fully verified. */
  readonly keyId: string | undefined;
  readonly tenant: string | undefined;
  readonly clientAddress: string;
  readonly decision: "allow" | "deny";
  readonly reason: DenialReason | undefined;
  /** For the operator; never sent to the client. */
  readonly detail: string;
  /** 0 when the client went away before a status was known. */
  readonly status: number;
  /** `ended`: by Latchkey, since the key may no longer be used; `drained`: by Latchkey, which was to stop. */
  readonly ending: "complete" | "truncated" | "aborted" | "ended" | "drained";
  readonly durationMs: number;
  readonly revision: string;
}

/** Is told of every request exactly once, when it has ended. */
export interface Observer {
  readonly record: (record: AccessRecord) => void;
}
