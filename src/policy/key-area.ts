import type { KeyDigest } from "./digest.ts";
import { type HashSeed, hashWords } from "./keyed-hash.ts";

/**
 * Keys as bytes: records one after another, and three open-addressing indexes into them. It is what a key
 * table is when it is open, and while it is built; all numbers are 32 bits wide and aligned.
 */
export interface KeyArea {
  readonly seed: HashSeed;
  words: Uint32Array;
  bytes: Buffer;
  data: DataView;
  count: number;
  /** Where each record begins, in words. */
  starts: Uint32Array;
  /** Slots hold the number of a record plus one, or 0; there are a power of two of them. */
  idSlots: Uint32Array;
  digestSlots: Uint32Array;
  /** The first record of each prefix that slow-hashed ones have. */
  prefixSlots: Uint32Array;
}

/** The words a record begins with; its digest and texts follow. */
export const FIELD = {
  words: 0,
  checksum: 1,
  scopes: 2,
  limits: 3,
  networks: 4,
  file: 5,
  line: 6,
  /** The number of the next record of the same prefix plus one. */
  nextOfPrefix: 7,
  /** Kind of digest, status, flags and cost, a byte each. */
  marks: 8,
  digestBytes: 9,
  notBefore: 10,
  expiresAt: 12,
  digest: 14,
} as const;

export const DIGEST_KINDS = ["sha256", "hmac-sha256", "bcrypt"] as const satisfies readonly KeyDigest["kind"][];

export const NOWHERE = -1;

export const toWords = (bytes: number): number => (bytes + 3) >>> 2;

/** A text or digest as aligned bytes, to be hashed and compared: valid until the next one is made. */
export interface Needle {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly length: number;
}

/** The numbers of the records that a needle finds. Bounded by the number of slots, whatever stands in them. */
export function findByDigest(area: KeyArea, kind: number, needle: Needle, hash: number): number {
  const { starts, words, digestSlots, count } = area;
  const mask = digestSlots.length - 1;
  let slot = hash & mask;
  for (let probes = 0; probes <= mask; probes += 1, slot = (slot + 1) & mask) {
    const number = (digestSlots[slot] ?? 0) - 1;
    if (number < 0) return NOWHERE;
    const start = number < count ? (starts[number] ?? 0) : 0;
    if ((words[start + FIELD.digestBytes] ?? 0) !== needle.length) continue;
    if (((words[start + FIELD.marks] ?? 0) & 0xff) !== kind) continue;
    if (isSame(words, start + FIELD.digest, needle)) return number;
  }
  return NOWHERE;
}

export function findById(area: KeyArea, needle: Needle, hash: number): number {
  const { starts, words, idSlots, count } = area;
  const mask = idSlots.length - 1;
  let slot = hash & mask;
  for (let probes = 0; probes <= mask; probes += 1, slot = (slot + 1) & mask) {
    const number = (idSlots[slot] ?? 0) - 1;
    if (number < 0) return NOWHERE;
    const start = number < count ? (starts[number] ?? 0) : 0;
    const at = start + FIELD.digest + toWords(words[start + FIELD.digestBytes] ?? 0);
    if (words[at] === needle.length && isSame(words, at + 1, needle)) return number;
  }
  return NOWHERE;
}

/** `prefixOf` reads a record's prefix: there are few of these, and their place in the record varies. */
export function findByPrefix(
  area: KeyArea,
  needle: Needle,
  prefix: string,
  prefixOf: (number: number) => string | undefined,
): number {
  const { prefixSlots, count } = area;
  const mask = prefixSlots.length - 1;
  let slot = hashNeedle(area, needle) & mask;
  for (let probes = 0; probes <= mask; probes += 1, slot = (slot + 1) & mask) {
    const number = (prefixSlots[slot] ?? 0) - 1;
    if (number < 0) return NOWHERE;
    if (number < count && prefixOf(number) === prefix) return number;
  }
  return NOWHERE;
}

export function hashDigest({ seed: [k0, k1] }: KeyArea, kind: number, { words, length }: Needle): number {
  return hashWords(words, 0, toWords(length), [k0 ^ kind, k1]);
}

export function hashNeedle({ seed }: KeyArea, { words, length }: Needle): number {
  return hashWords(words, 0, toWords(length), seed);
}

export function insert(slots: Uint32Array, hash: number, number: number): void {
  const mask = slots.length - 1;
  let slot = hash & mask;
  while (slots[slot] !== 0) slot = (slot + 1) & mask;
  slots[slot] = number + 1;
}

/** Digests are compared as what a look-up found, not as secrets: who can choose them chooses SHA-256's output. */
function isSame(words: Uint32Array, start: number, needle: Needle): boolean {
  const count = toWords(needle.length);
  for (let at = 0; at < count; at += 1) if (words[start + at] !== needle.words[at]) return false;
  return true;
}

export interface NeedleMaker {
  readonly ofText: (text: string) => Needle;
  readonly ofDigest: (digest: KeyDigest) => Needle;
}

// Longer than any id or digest; a longer prefix is given room of its own.
const NEEDLE_BYTES = 512;
const MAX_BYTES_PER_CHARACTER = 3;

export function createNeedleMaker(): NeedleMaker {
  const own = new ArrayBuffer(NEEDLE_BYTES);
  const ownBytes = Buffer.from(own);
  const ownWords = new Uint32Array(own);
  const write = (text: string, encoding: "utf8" | "hex"): Needle => {
    const fits = text.length * MAX_BYTES_PER_CHARACTER <= NEEDLE_BYTES - 4;
    const buffer = fits ? own : new ArrayBuffer(toWords(text.length * MAX_BYTES_PER_CHARACTER) * 4);
    const bytes = fits ? ownBytes : Buffer.from(buffer);
    const words = fits ? ownWords : new Uint32Array(buffer);
    const length = bytes.write(text, encoding);
    // What is left in the last word would make two equal texts differ.
    for (let at = length; (at & 3) !== 0; at += 1) bytes[at] = 0;
    return { bytes, words, length };
  };
  return {
    ofText: (text) => write(text, "utf8"),
    ofDigest: (digest) => (digest.kind === "bcrypt" ? write(digest.text, "utf8") : write(digest.hex, "hex")),
  };
}
