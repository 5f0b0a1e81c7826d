import {
  type Limit,
  type Quota,
  settle,
  spentAfter,
  type Taken,
  timeToWait,
  toQuota,
  toRetrySeconds,
} from "../policy/bucket.ts";
import { publishWord, readNumber, readWord, swapWord, waitWhile, writeNumber, writeWord } from "./cells.ts";

/**
 * Buckets of all threads, in one piece of memory. It is divided into shelves; an owner's buckets stand on one shelf,
 * and each shelf has one lock, so whoever holds it may look at all buckets of a request before changing any.
 */
export interface Shelves {
  /** One lock for each shelf: 0, or the number of the thread that holds it. */
  readonly locks: Int32Array;
  /** The digest of whose bucket it is, for each slot; of an empty one the first word is 0. */
  readonly names: Int32Array;
  /** What was spent, when, and at which interval, for each slot. */
  readonly spent: Float64Array;
  readonly slotsPerShelf: number;
  /** How many slots a bucket may stand in, from the one that its digest points at. */
  readonly reach: number;
  /** Tries for a lock at once, and then again after a pause each. */
  readonly spins: number;
  readonly pauses: number;
  /** This thread's own number. */
  readonly thread: number;
  readonly now: () => number;
}

/** Where a bucket may stand, and by which name. */
export interface Place {
  readonly home: number;
  readonly name: Int32Array;
}

/** A limit of the request, and the place of its bucket on the owner's shelf. */
export interface Wanted {
  readonly limit: Limit;
  readonly place: Place;
}

interface Found extends Wanted {
  readonly slot: number;
  /** Whether the slot holds the bucket already, and is not merely free for it. */
  readonly named: boolean;
}

// So many words apart that no two locks share a cache line, which would make holding one slow down the other.
export const LOCK_WORDS = 16;
export const NAME_WORDS = 4;
export const SPENT_NUMBERS = 3;
const AT = 1;
const INTERVAL = 2;
const FREE = 0;
const NOWHERE = -1;
// A thread that holds a lock and was put aside by the system is back after some turns of others.
const PAUSE_MS = 0.05;

/** The name of a bucket, out of a digest. No bucket has that of an empty slot. */
export function toName(digest: Buffer): Int32Array {
  const name = Int32Array.from({ length: NAME_WORDS }, (_, word) => digest.readInt32LE(4 * word));
  if (name[0] === 0) name[0] = 1;
  return name;
}

/** Takes `cost` from each bucket, or nothing at all. */
export function takeShared(
  shelves: Shelves,
  shelf: number,
  wanted: readonly Wanted[],
  cost: number,
  nowMs: number,
): Taken {
  if (!lock(shelves, shelf)) return { kind: "full" };
  try {
    const found = findAll(shelves, shelf, wanted, nowMs);
    if (found === undefined) return { kind: "full" };
    const atMs = latestOf(shelves, found, nowMs);
    const spent: number[] = [];
    let waitMs = 0;
    for (const bucket of found) {
      const spentMs = readSpent(shelves, bucket, atMs);
      spent.push(spentMs);
      waitMs = Math.max(waitMs, timeToWait(spentMs, bucket.limit, cost));
    }
    const quotas: Quota[] = [];
    for (const [index, bucket] of found.entries()) {
      const { limit } = bucket;
      const spentMs = spentAfter(spent[index] ?? 0, limit, waitMs > 0 ? 0 : cost);
      // Denied, it was told how long to wait from this instant, which must hold if the clock is set back.
      if (waitMs === 0 || bucket.named) put(shelves, bucket, spentMs, atMs);
      quotas.push(toQuota(limit, spentMs));
    }
    return waitMs > 0
      ? { kind: "denied", quotas, retryAfterSeconds: toRetrySeconds(waitMs) }
      : { kind: "taken", quotas };
  } finally {
    unlock(shelves, shelf);
  }
}

/** Gives up after a while: the holder may have died, and until its locks are freed a refusal is all that is safe. */
function lock(shelves: Shelves, shelf: number): boolean {
  const { locks, thread, spins, pauses } = shelves;
  const at = shelf * LOCK_WORDS;
  for (let tries = 0; tries < spins + pauses; tries += 1) {
    const holder = swapWord(locks, at, FREE, thread);
    if (holder === FREE) return true;
    if (tries >= spins) waitWhile(locks, at, holder, PAUSE_MS);
  }
  return false;
}

function unlock(shelves: Shelves, shelf: number): void {
  publishWord(shelves.locks, shelf * LOCK_WORDS, FREE);
}

/**
 * The slots of all the buckets, no slot twice; undefined where one of them has no room. Those that hold their bucket come
 * first: it may be full again, and would be given to another limit of the same request.
 */
function findAll(
  shelves: Shelves,
  shelf: number,
  wanted: readonly Wanted[],
  nowMs: number,
): readonly Found[] | undefined {
  const slots: number[] = [];
  for (const { place } of wanted) slots.push(findNamed(shelves, shelf, place));
  const found: Found[] = [];
  for (const { limit, place } of wanted) {
    let slot = slots[found.length] ?? NOWHERE;
    const named = slot !== NOWHERE;
    if (!named) slot = findFree(shelves, shelf, place, slots, nowMs);
    if (slot === NOWHERE) return undefined;
    slots[found.length] = slot;
    found.push({ limit, place, slot, named });
  }
  return found;
}

/**
 * The slot that holds the bucket. A slot that was used once is never empty again, so a bucket stands before the first
 * empty slot of its reach or nowhere.
 */
function findNamed(shelves: Shelves, shelf: number, place: Place): number {
  for (let step = 0; step < shelves.reach; step += 1) {
    const slot = slotAt(shelves, shelf, place, step);
    const word = readWord(shelves.names, slot * NAME_WORDS);
    if (word === place.name[0] && isNamed(shelves, slot, place)) return slot;
    if (word === 0) return NOWHERE;
  }
  return NOWHERE;
}

/**
 * The first slot that is empty or holds a bucket that is full again, and is not one of `given`: a full bucket is as good
 * as none. A live one is never given away.
 */
function findFree(shelves: Shelves, shelf: number, place: Place, given: readonly number[], nowMs: number): number {
  const { names, spent, reach } = shelves;
  for (let step = 0; step < reach; step += 1) {
    const slot = slotAt(shelves, shelf, place, step);
    if (given.includes(slot)) continue;
    if (readWord(names, slot * NAME_WORDS) === 0) return slot;
    const at = slot * SPENT_NUMBERS;
    if (readNumber(spent, at) <= nowMs - readNumber(spent, at + AT)) return slot;
  }
  return NOWHERE;
}

/** Of the slots that a bucket may stand in, the one so many steps on. */
function slotAt({ slotsPerShelf }: Shelves, shelf: number, { home }: Place, step: number): number {
  return shelf * slotsPerShelf + ((home + step) % slotsPerShelf);
}

function isNamed({ names }: Shelves, slot: number, { name }: Place): boolean {
  for (let word = 0; word < NAME_WORDS; word += 1) {
    if (readWord(names, slot * NAME_WORDS + word) !== name[word]) return false;
  }
  return true;
}

/**
 * The instant to count from. Another thread may have taken at a later one than this request was told: then it is
 * later than that by now, and counting from the earlier one would refill the time between twice. Only a clock
 * that is still behind when asked again was set back.
 */
function latestOf(shelves: Shelves, found: readonly Found[], nowMs: number): number {
  for (const { slot, named } of found) {
    if (!named) continue;
    if (readNumber(shelves.spent, slot * SPENT_NUMBERS + AT) > nowMs) return Math.max(nowMs, shelves.now());
  }
  return nowMs;
}

function readSpent({ spent }: Shelves, { limit, slot, named }: Found, nowMs: number): number {
  if (!named) return 0;
  const at = slot * SPENT_NUMBERS;
  const spentMs = readNumber(spent, at);
  const atMs = readNumber(spent, at + AT);
  const intervalMs = readNumber(spent, at + INTERVAL);
  return settle({ spentMs, atMs, intervalMs }, limit, nowMs);
}

/** A thread may end between any two of these steps. What it leaves counts as emptier than it was, never as fuller. */
function put({ names, spent }: Shelves, { limit, place, slot, named }: Found, spentMs: number, atMs: number): void {
  const at = slot * SPENT_NUMBERS;
  writeNumber(spent, at + AT, atMs);
  if (readNumber(spent, at + INTERVAL) !== limit.intervalMs) {
    writeNumber(spent, at, Number.POSITIVE_INFINITY);
    writeNumber(spent, at + INTERVAL, limit.intervalMs);
  }
  writeNumber(spent, at, spentMs);
  if (named) return;
  // Last, so that no bucket bears a name before what was spent of it is there.
  for (let word = 0; word < NAME_WORDS; word += 1) writeWord(names, slot * NAME_WORDS + word, place.name[word] ?? 0);
}
