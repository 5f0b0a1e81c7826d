import type { Key, KeyIndex } from "../policy/key.ts";
import { findStatusProblem } from "../policy/key.ts";

/** An allowed exchange that is under way, and how to end it before its time. */
export interface OpenExchange {
  readonly key: Key;
  /** By the clock that only grows. */
  readonly startedMs: number;
  readonly end: () => void;
  /** The list's own: where in it this stands, NOT_OPEN before and after. */
  place: number;
}

export const NOT_OPEN = -1;

/** What is under way now: the only thing a decision, once made, can still be taken back from. */
export interface OpenExchanges {
  readonly add: (exchange: OpenExchange) => void;
  readonly remove: (exchange: OpenExchange) => void;
  /** Ends what goes on with a key that may no longer be used; says how many that were. */
  readonly endUnusable: (keys: KeyIndex, nowMs: number, elapsedMs: number) => number;
}

// An ordinary request finishes on the policy it began with; WebSockets, event streams and downloads
// that outlive this are told at the latest one check later.
const LONG_LIVED_MS = 1_000;

/**
 * Every request comes and goes here, so this is an array and no `Set`: V8 leaves a set that has made room for itself
 * behind with a reference to the next, and once one of them is old, all that follow are kept until a full collection,
 * and every request they held with them.
 */
export function createOpenExchanges(): OpenExchanges {
  const open: OpenExchange[] = [];
  const remove = (exchange: OpenExchange): void => {
    const { place } = exchange;
    if (place === NOT_OPEN) return;
    exchange.place = NOT_OPEN;
    const last = open.pop();
    if (last === undefined || last === exchange) return;
    last.place = place;
    open[place] = last;
  };
  return {
    add: (exchange) => {
      exchange.place = open.length;
      open.push(exchange);
    },
    remove,
    endUnusable: (keys, nowMs, elapsedMs) => {
      const ended = open.filter(
        ({ key, startedMs }) => elapsedMs - startedMs >= LONG_LIVED_MS && !isUsable(key, keys, nowMs),
      );
      for (const exchange of ended) {
        remove(exchange);
        exchange.end();
      }
      return ended.length;
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
