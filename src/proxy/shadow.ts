import type { Allowed, Denial } from "../policy/decision.ts";
import type { RequestFacts } from "../policy/facts.ts";
import { redactKeys } from "../policy/key-format.ts";
import type { Policy } from "../policy/policy.ts";
import {
  compareDecisions,
  pairPolicies,
  type ShadowBuckets,
  type ShadowOutcome,
  type ShadowPair,
  type ShadowVerdict,
} from "../policy/shadow.ts";

/** A request that the live policy has decided, for the candidate to decide again. */
export interface ShadowRequest {
  readonly facts: RequestFacts;
  readonly live: Policy;
  readonly decision: Allowed | Denial;
  readonly requestId: string;
  readonly nowMs: number;
}

/** Is told of every decision while a candidate is in place; costs the request no more than being remembered. */
export interface Shadow {
  readonly observe: (request: ShadowRequest) => void;
}

export type UndecidedCause = "live" | "slow_hash" | "reloaded" | "overflow" | "error";

/** Where a comparison is told of: counted always, described the first few times it differs in the same way. */
export interface ShadowSink {
  readonly compared: (outcome: ShadowOutcome, reason: string, route: string) => void;
  readonly undecided: (cause: UndecidedCause) => void;
  readonly sample: (sample: ShadowSample) => void;
}

export interface ShadowSample {
  readonly outcome: Exclude<ShadowOutcome, "same">;
  readonly reason: string;
  readonly route: string;
  readonly keyId: string | undefined;
  readonly requestId: string;
  readonly method: string;
  /** Without the query, and with anything that looks like a key taken out. */
  readonly path: string;
  readonly clientAddress: string;
  readonly detail: string;
}

/** One way in which requests of one key to one route would be decided otherwise. */
export interface ShadowRow {
  readonly outcome: Exclude<ShadowOutcome, "same">;
  readonly keyId: string | undefined;
  readonly route: string;
  readonly reason: string;
  readonly count: number;
  readonly latestMs: number;
}

export interface ShadowTotals {
  readonly same: number;
  readonly wouldAllow: number;
  readonly wouldDeny: number;
  readonly undecided: number;
}

/** What a comparison came to, in plain values. */
export interface ShadowNumbers {
  readonly totals: ShadowTotals;
  /** The most frequent first. */
  readonly rows: readonly ShadowRow[];
  /** Differing requests that no row counts, since there were too many rows. */
  readonly beyondRows: number;
}

/** The comparison of two policies on the traffic since both are in place. */
export interface ShadowComparison {
  readonly pair: ShadowPair;
  readonly compare: (request: ShadowRequest) => void;
  readonly undecided: (cause: UndecidedCause) => void;
  readonly totals: () => ShadowTotals;
  /** The most frequent first. */
  readonly rows: () => readonly ShadowRow[];
  /** Differing requests that no row counts, since there were too many rows. */
  readonly beyondRows: () => number;
}

// A row is some 200 bytes; keys times routes beyond this are no table that anybody reads.
const MAX_ROWS = 10_000;
// The first few of a kind show what it is; the metric says how many there are.
const SAMPLES_PER_ROW = 3;
const NO_ROUTE = "none";

interface CountedRow extends ShadowRow {
  count: number;
  latestMs: number;
}

/** Compares, counts and tells. Nothing it does can reach the request: an exception is counted and dropped. */
export function createComparison(
  live: Policy,
  candidate: Policy,
  spent: ShadowBuckets,
  sink: ShadowSink,
): ShadowComparison {
  const pair = pairPolicies(live, candidate);
  const rows = new Map<string, CountedRow>();
  const totals = { same: 0, wouldAllow: 0, wouldDeny: 0, undecided: 0 };
  let beyondRows = 0;

  const undecided = (cause: UndecidedCause): void => {
    totals.undecided += 1;
    sink.undecided(cause);
  };
  const count = (request: ShadowRequest, verdict: Extract<ShadowVerdict, { kind: "compared" }>): void => {
    const { outcome, keyId, reason = "", route = NO_ROUTE } = verdict;
    sink.compared(outcome, reason, route);
    if (outcome === "same") {
      totals.same += 1;
      return;
    }
    totals[outcome === "would_allow" ? "wouldAllow" : "wouldDeny"] += 1;
    // Only a route holds blanks, so the parts cannot be taken for one another.
    const name = `${outcome} ${reason} ${keyId ?? ""} ${route}`;
    let row = rows.get(name);
    if (row === undefined) {
      if (rows.size >= MAX_ROWS) {
        beyondRows += 1;
        return;
      }
      row = { outcome, keyId, route, reason, count: 0, latestMs: 0 };
      rows.set(name, row);
    }
    row.count += 1;
    row.latestMs = request.nowMs;
    if (row.count <= SAMPLES_PER_ROW) sink.sample(toSample(request, row, verdict.detail, pair));
  };
  return {
    pair,
    compare: (request) => {
      try {
        // A request under way during a reload was decided by a policy that is no longer one of the two.
        if (request.live !== live) {
          undecided("reloaded");
          return;
        }
        const verdict = compareDecisions(request.facts, request.decision, pair, spent, request.nowMs);
        if (verdict.kind === "undecided") undecided(verdict.cause);
        else count(request, verdict);
      } catch {
        undecided("error");
      }
    },
    undecided,
    totals: () => ({ ...totals }),
    rows: () => [...rows.values()].sort((one, other) => other.count - one.count),
    beyondRows: () => beyondRows,
  };
}

function toSample(
  { facts, requestId }: ShadowRequest,
  { outcome, reason, route, keyId }: ShadowRow,
  detail: string,
  { live, candidate }: ShadowPair,
): ShadowSample {
  const path = facts.target.split("?", 1)[0] ?? "";
  // The candidate may know keys by a format that the live policy does not.
  const redact = (text: string) => redactKeys(redactKeys(text, live.keyFormats), candidate.keyFormats);
  return {
    outcome,
    reason,
    route,
    keyId,
    requestId,
    method: facts.method,
    path: redact(path),
    clientAddress: facts.clientAddress.text,
    detail: redact(detail),
  };
}
