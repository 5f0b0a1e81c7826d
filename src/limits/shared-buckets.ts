import { hash, randomBytes } from "node:crypto";
import type { Buckets, Demand, Limit, Taken } from "../policy/bucket.ts";
import { createRecent } from "../policy/recent.ts";
import { swapWord } from "./cells.ts";
import {
  LOCK_WORDS,
  NAME_WORDS,
  type Place,
  type Shelves,
  SPENT_NUMBERS,
  takeShared,
  toName,
  type Wanted,
} from "./shared-take.ts";

/** Memory for the buckets of all threads, to be sent to each of them; nothing is copied. */
export interface BucketMemory {
  readonly buffer: SharedArrayBuffer;
  readonly shape: BucketShape;
  /** Keys the digests that buckets are named by, so that nobody can choose addresses that crowd one place. */
  readonly secret: string;
}

export interface BucketShape {
  readonly shelves: number;
  readonly slotsPerShelf: number;
  readonly reach: number;
}

// A million buckets of 40 bytes; memory is used only where a bucket once stood. With half of the slots live, 128 in
// a row never are; beyond two thirds, some bucket may find no room.
const DEFAULT_SHAPE: BucketShape = { shelves: 64, slotsPerShelf: 16_384, reach: 128 };

// Holding a lock takes less than a microsecond, and these tries a few. After them, so many pauses are at least 200 ms:
// longer than a busy machine puts a thread aside, and than it takes to free the locks of one that died.
const SPINS = 100;
const PAUSES = 4_000;

export function allocateBuckets(shape: BucketShape = DEFAULT_SHAPE): BucketMemory {
  const { spentAt, slots } = layoutOf(shape);
  const bytes = spentAt + slots * SPENT_NUMBERS * Float64Array.BYTES_PER_ELEMENT;
  return { buffer: new SharedArrayBuffer(bytes), shape, secret: randomBytes(16).toString("hex") };
}

/** The buckets, as one thread takes from them: `thread` is its own number, which no other ever had. */
export function openSharedBuckets(memory: BucketMemory, thread: number, now: () => number): Buckets {
  const { shape, secret } = memory;
  const shelves: Shelves = { ...openShelves(memory), thread, now, spins: SPINS, pauses: PAUSES };
  const find = createOwnerIndex(shape, secret);
  const wantAll = (owner: Owner, limits: readonly Limit[]): readonly Wanted[] => {
    // A key's limits are the same list from one request to the next.
    if (owner.limits !== limits) {
      owner.wanted = limits.map((limit) => ({ limit, place: placeOf(owner, limit.id, shape, secret) }));
      owner.limits = limits;
    }
    return owner.wanted;
  };
  return {
    take: ({ owner, limits, cost }: Demand, nowMs): Taken => {
      if (limits.length === 0) return NOTHING_TAKEN;
      const known = find(owner);
      return takeShared(shelves, known.shelf, wantAll(known, limits), cost, nowMs);
    },
  };
}

const NOTHING_TAKEN: Taken = { kind: "taken", quotas: [] };

/** Frees what a thread that has ended left locked; says how many locks that were. Only for a thread that runs no more. */
export function freeLocks(memory: BucketMemory, thread: number): number {
  const { locks } = openShelves(memory);
  let freed = 0;
  for (let shelf = 0; shelf < memory.shape.shelves; shelf += 1) {
    if (swapWord(locks, shelf * LOCK_WORDS, thread, 0) === thread) freed += 1;
  }
  return freed;
}

function openShelves({ buffer, shape }: BucketMemory) {
  const { namesAt, spentAt, slots } = layoutOf(shape);
  return {
    locks: new Int32Array(buffer, 0, shape.shelves * LOCK_WORDS),
    names: new Int32Array(buffer, namesAt, slots * NAME_WORDS),
    spent: new Float64Array(buffer, spentAt, slots * SPENT_NUMBERS),
    slotsPerShelf: shape.slotsPerShelf,
    reach: shape.reach,
  };
}

function layoutOf({ shelves, slotsPerShelf }: BucketShape) {
  const slots = shelves * slotsPerShelf;
  const namesAt = shelves * LOCK_WORDS * Int32Array.BYTES_PER_ELEMENT;
  return { slots, namesAt, spentAt: namesAt + slots * NAME_WORDS * Int32Array.BYTES_PER_ELEMENT };
}

/** An owner's shelf, and the places on it that were asked for so far. */
interface Owner {
  readonly name: string;
  readonly shelf: number;
  readonly ids: string[];
  readonly places: Place[];
  /** What the latest request wanted, and of which limits. */
  limits: readonly Limit[];
  wanted: readonly Wanted[];
}

// Working out a place costs a digest, about half a microsecond; an owner that is remembered takes some 300 bytes.
const REMEMBERED = 5_000;

/** Remembers the owners seen of late. */
function createOwnerIndex({ shelves }: BucketShape, secret: string): (name: string) => Owner {
  const owners = createRecent<string, Owner>(REMEMBERED);
  return (name) => {
    let owner = owners.get(name);
    if (owner === undefined) {
      const shelf = digestOf(secret, name).readUInt32LE() % shelves;
      owner = { name, shelf, ids: [], places: [], limits: [], wanted: [] };
      owners.set(name, owner);
    }
    return owner;
  };
}

function placeOf({ name, ids, places }: Owner, limitId: string, { slotsPerShelf }: BucketShape, secret: string): Place {
  const known = places[ids.indexOf(limitId)];
  if (known !== undefined) return known;
  // An owner is a key id or an address, and neither holds a line feed.
  const digest = digestOf(secret, `${name}\n${limitId}`);
  const place = { home: digest.readUInt32LE() % slotsPerShelf, name: toName(digest.subarray(4)) };
  ids.push(limitId);
  places.push(place);
  return place;
}

function digestOf(secret: string, text: string): Buffer {
  return hash("sha256", `${secret}${text}`, "buffer");
}
