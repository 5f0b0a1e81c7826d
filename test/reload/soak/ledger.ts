/** Which policies have existed, and from when on which of them are past. Time is in ms by any one clock. */
export interface Ledger {
  /** A sound generation is about to stand on disk; broken ones are never offered. */
  readonly offer: () => number;
  /** It is known to be in force: what begins from now on must not meet an older one. */
  readonly confirm: (generation: number, nowMs: number) => void;
  /** The oldest generation that a request beginning now may meet. */
  readonly oldest: () => number;
  readonly newest: () => number;
  /** What is wrong with a request that was allowed by this generation; undefined if nothing. */
  readonly judgeAllowed: (
    oldest: number,
    rolling: number | undefined,
    main: number,
    keys: number,
  ) => string | undefined;
  /** What is wrong with a request that was refused its key. */
  readonly judgeRefused: (oldest: number, rolling: number | undefined) => string | undefined;
  /** Since when a rolling key is known to be of no use any more. */
  readonly uselessSinceMs: (rolling: number) => number | undefined;
}

// A rolling key is added by the generation of its number, lives for this many and is then revoked.
export const LIVES = 6;
// Revoked records stand in the file for this many generations more before they go.
export const REMEMBERED = 3;

/** Whether a generation allows a rolling key. */
export const allows = (generation: number, rolling: number): boolean =>
  rolling <= generation && generation < rolling + LIVES;

export function createLedger(): Ledger {
  let newest = 1;
  let oldest = 1;
  const confirmedAtMs: number[] = [];
  const confirm = (generation: number, nowMs: number): void => {
    for (let each = oldest + 1; each <= generation; each += 1) confirmedAtMs[each] = nowMs;
    oldest = Math.max(oldest, generation);
  };
  return {
    offer: () => {
      newest += 1;
      return newest;
    },
    confirm,
    oldest: () => oldest,
    newest: () => newest,
    judgeAllowed: (from, rolling, main, keys) => {
      if (main !== keys) return `allowed by main file ${main} and keys file ${keys}`;
      if (!(main >= from && main <= newest)) return `allowed by generation ${main}, not one of ${from} to ${newest}`;
      if (rolling !== undefined && !allows(main, rolling)) return `key ${rolling} allowed by generation ${main}`;
      return undefined;
    },
    judgeRefused: (from, rolling) => {
      if (rolling === undefined) return "a key of every generation was refused";
      for (let each = from; each <= newest; each += 1) if (!allows(each, rolling)) return undefined;
      return `key ${rolling} was refused by generations ${from} to ${newest}, which all hold it`;
    },
    uselessSinceMs: (rolling) => confirmedAtMs[rolling + LIVES],
  };
}
