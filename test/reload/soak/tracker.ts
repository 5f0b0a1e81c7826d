import type { Ledger } from "./ledger.ts";

/** One request on its way; how it began is what its answer is judged by. */
export interface Sent {
  readonly requestId: string;
  readonly kind: Kind;
  /** The number of the rolling key it holds; undefined for a steady one. */
  readonly rolling: number | undefined;
  readonly startedMs: number;
  /** The oldest generation it may meet. */
  readonly oldest: number;
  status: number;
  /** The generation that allowed it. */
  generation: number | undefined;
  ended: "complete" | "cut" | undefined;
}

export type Kind = "get" | "post" | "stream" | "socket";

export interface Head {
  readonly status: number;
  readonly main: number;
  readonly keys: number;
}

/** Judges every request from its beginning to its end. */
export interface Tracker {
  readonly all: readonly Sent[];
  readonly problems: string[];
  readonly begin: (kind: Kind, rolling: number | undefined) => Sent;
  readonly answered: (sent: Sent, head: Head) => void;
  /** Ended by us or as it should; `detail` tells what was wrong with what arrived, if anything. */
  readonly completed: (sent: Sent, detail?: string) => void;
  /** Ended by the other side before its time. */
  readonly cut: (sent: Sent, detail: string) => void;
  readonly excused: () => number;
  readonly outageBegins: () => void;
  readonly outageEnds: () => void;
}

interface Outage {
  readonly fromMs: number;
  toMs: number;
}

// Connections that the upstream cut are noticed late on a busy machine.
const AFTERMATH_MS = 1_000;
// An exchange is ended at the reload, or, while it is young, by a check every second.
const ENDED_WITHIN_MS = 3_000;

export function createTracker(ledger: Ledger, nowMs: () => number): Tracker {
  const all: Sent[] = [];
  const problems: string[] = [];
  const outages: Outage[] = [];
  let excused = 0;
  const complain = (sent: Sent, problem: string): void => {
    const key = sent.rolling === undefined ? "a steady key" : `key ${sent.rolling}`;
    problems.push(
      `${sent.requestId} ${sent.kind} with ${key} after ${Math.round(nowMs() - sent.startedMs)} ms: ${problem}`,
    );
  };
  const isExcused = ({ startedMs }: Sent): boolean => {
    const met = outages.some(({ fromMs, toMs }) => fromMs <= nowMs() && startedMs <= toMs + AFTERMATH_MS);
    if (met) excused += 1;
    return met;
  };
  const end = (sent: Sent, how: "complete" | "cut"): void => {
    if (sent.ended !== undefined) complain(sent, `${how} after it was ${sent.ended}`);
    sent.ended = how;
  };
  return {
    all,
    problems,
    begin: (kind, rolling) => {
      const requestId = `soak-${all.length}`;
      const sent: Sent = {
        ...{ requestId, kind, rolling, startedMs: nowMs(), oldest: ledger.oldest() },
        ...{ status: 0, generation: undefined, ended: undefined },
      };
      all.push(sent);
      return sent;
    },
    answered: (sent, { status, main, keys }) => {
      if (sent.status !== 0) complain(sent, `a second answer, ${status}`);
      sent.status = status;
      if (status === 200 || status === 101) {
        const problem = ledger.judgeAllowed(sent.oldest, sent.rolling, main, keys);
        if (problem !== undefined) complain(sent, problem);
        else {
          sent.generation = main;
          // Whoever comes after an answer of this generation must not meet an older one.
          ledger.confirm(main, nowMs());
        }
      } else if (status === 401) {
        const problem = ledger.judgeRefused(sent.oldest, sent.rolling);
        if (problem !== undefined) complain(sent, problem);
      } else if (status < 502 || status > 504 || !isExcused(sent)) complain(sent, `answered ${status}`);
    },
    completed: (sent, detail) => {
      end(sent, "complete");
      if (detail !== undefined) complain(sent, detail);
      const uselessMs = sent.rolling === undefined ? undefined : ledger.uselessSinceMs(sent.rolling);
      const lasting = sent.status === 101 || (sent.status === 200 && sent.kind === "stream");
      if (!lasting || uselessMs === undefined || nowMs() - uselessMs < ENDED_WITHIN_MS) return;
      complain(sent, `went on for ${Math.round(nowMs() - uselessMs)} ms after its key was revoked`);
    },
    cut: (sent, detail) => {
      end(sent, "cut");
      const mayEnd = sent.status !== 0 && ledger.judgeRefused(sent.oldest, sent.rolling) === undefined;
      if (!mayEnd && !isExcused(sent)) complain(sent, `cut: ${detail}`);
    },
    excused: () => excused,
    outageBegins: () => void outages.push({ fromMs: nowMs(), toMs: Number.POSITIVE_INFINITY }),
    outageEnds: () => {
      const last = outages.at(-1);
      if (last !== undefined) last.toMs = nowMs();
    },
  };
}
