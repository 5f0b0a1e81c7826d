import type { Key, KeyIndex } from "../policy/key.ts";
import { findStatusProblem } from "../policy/key.ts";
import { type Entry, Roster } from "./roster.ts";

/** An allowed exchange that is under way, and how to end it before its time. */
export interface OpenExchange extends Entry {
  /** Undefined on a public route, where there is none that could be taken back. */
  readonly key: Key | undefined;
  /** By the clock that only grows. */
  readonly startedMs: number;
  readonly end: () => void;
  /** Of a stream of events: ends it as if it were whole. Undefined for what is no such stream. */
  readonly finishStream?: (() => void) | undefined;
}

/** What is under way now: the only thing a decision, once made, can still be taken back from. */
export interface OpenExchanges {
  readonly add: (exchange: OpenExchange) => void;
  readonly remove: (exchange: OpenExchange) => void;
  /** Ends what goes on with a key that may no longer be used; says how many that were. */
  readonly endUnusable: (keys: KeyIndex, nowMs: number, elapsedMs: number) => number;
  /** How many streams of events are open. */
  readonly countStreams: () => number;
  readonly finishStreams: () => void;
}

// An ordinary request finishes on the policy it began with; WebSockets, event streams and downloads
// that outlive this are told at the latest one check later.
const LONG_LIVED_MS = 1_000;

export function createOpenExchanges(): OpenExchanges {
  const open = new Roster<OpenExchange>();
  return {
    add: (exchange) => open.add(exchange),
    remove: (exchange) => open.remove(exchange),
    endUnusable: (keys, nowMs, elapsedMs) => {
      let ended = 0;
      for (const exchange of open.list()) {
        const { key, startedMs } = exchange;
        if (key === undefined || elapsedMs - startedMs < LONG_LIVED_MS || isUsable(key, keys, nowMs)) continue;
        if (!open.remove(exchange)) continue;
        exchange.end();
        ended += 1;
      }
      return ended;
    },
    countStreams: () => {
      let streams = 0;
      for (const { finishStream } of open.list()) if (finishStream !== undefined) streams += 1;
      return streams;
    },
    finishStreams: () => {
      for (const { finishStream } of open.list()) finishStream?.();
    },
  };
}

/** A record of the same id with another digest is another key: the credential that opened this is gone. */
function isUsable(key: Key, keys: KeyIndex, nowMs: number): boolean {
  const current = keys.findById(key.id);
  if (current === undefined || findStatusProblem(current, nowMs) !== undefined) return false;
  const [before, now] = [key.digest, current.digest];
  if (before.kind === "bcrypt" || now.kind === "bcrypt") {
    return before.kind === "bcrypt" && now.kind === "bcrypt" && before.text === now.text;
  }
  return before.kind === now.kind && before.hex === now.hex;
}
