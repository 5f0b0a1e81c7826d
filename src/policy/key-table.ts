import type { KeyObject } from "node:crypto";
import type { KeyDigest } from "./digest.ts";
import type { Key, KeyIndex, KeyTable } from "./key.ts";
import {
  createNeedleMaker,
  DIGEST_KINDS,
  FIELD,
  findByDigest,
  findById,
  findByPrefix,
  hashDigest,
  hashNeedle,
  type KeyArea,
} from "./key-area.ts";
import { createRecordReader } from "./key-record.ts";
import { checksumOf } from "./keyed-hash.ts";
import { createRecent } from "./recent.ts";

/** What the words at the beginning of a table say; the parts follow in this order. */
export const HEADER = {
  magic: 0,
  checksum: 1,
  totalWords: 2,
  count: 3,
  seed: 4,
  hmacCount: 6,
  /** The most work that the keys of any one prefix are to verify, in rounds of bcrypt: a double. */
  slowRounds: 7,
  prefixLengths: 9,
  prefixSlots: 10,
  digestSlots: 11,
  idSlots: 12,
  areaWords: 13,
  words: 14,
} as const;

/** "LKT1"; another layout gets another number. */
export const MAGIC = 0x4c4b5431;

// What a request needs of a key stays compiled for as many keys as are in use at a time: some kilobytes each at most.
const MAX_RECENT = 4_096;

/** Opens a table. Throws where it is not whole; a record that is not as it was written is found when it is read. */
export function openKeyTable(table: KeyTable, pepper: KeyObject | undefined): KeyIndex {
  const { area, lengths, hmacCount, slowRounds } = readHeader(table);
  const reader = createRecordReader(area);
  const needles = createNeedleMaker();
  const byNumber = createRecent<number, Key>(MAX_RECENT);
  const bySha256 = createRecent<string, Key>(MAX_RECENT);
  const byHmac = createRecent<string, Key>(MAX_RECENT);
  const read = (number: number): Key => {
    const known = byNumber.get(number);
    if (known !== undefined) return known;
    const key = reader.read(number);
    byNumber.set(number, key);
    return key;
  };
  const readFound = (number: number): Key | undefined => (number < 0 ? undefined : read(number));
  const numberOf = (id: string): number => {
    const needle = needles.ofText(id);
    return findById(area, needle, hashNeedle(area, needle));
  };
  const findDigest = (digest: KeyDigest): Key | undefined => {
    const needle = needles.ofDigest(digest);
    const kind = DIGEST_KINDS.indexOf(digest.kind);
    return readFound(findByDigest(area, kind, needle, hashDigest(area, kind, needle)));
  };
  return {
    table,
    size: area.count,
    pepper,
    hmacCount,
    slowRounds,
    slowPrefixLengths: lengths,
    hasId: (id) => numberOf(id) >= 0,
    findById: (id) => readFound(numberOf(id)),
    findByDigest: (digest) => {
      if (digest.kind === "bcrypt") return findDigest(digest);
      const recent = digest.kind === "sha256" ? bySha256 : byHmac;
      const known = recent.get(digest.hex);
      if (known !== undefined) return known;
      const key = findDigest(digest);
      // Only what is there is remembered: what is not could be anything.
      if (key !== undefined) recent.set(digest.hex, key);
      return key;
    },
    findByPrefix: (prefix) => {
      const keys: Key[] = [];
      let number = findByPrefix(area, needles.ofText(prefix), prefix, reader.prefixOf);
      while (number >= 0 && keys.length < area.count) {
        keys.push(read(number));
        number = (area.words[(area.starts[number] ?? 0) + FIELD.nextOfPrefix] ?? 0) - 1;
      }
      return keys;
    },
    *all() {
      for (let number = 0; number < area.count; number += 1) yield reader.read(number);
    },
    *ids() {
      for (let number = 0; number < area.count; number += 1) yield reader.idOf(number);
    },
  };
}

interface Opened {
  readonly area: KeyArea;
  readonly lengths: readonly number[];
  readonly hmacCount: number;
  readonly slowRounds: number;
}

/** The parts of a table, each within it. */
export function readHeader(table: KeyTable): Opened {
  const all = new Uint32Array(table, 0, table.byteLength >>> 2);
  const at = (field: number) => all[field] ?? 0;
  const isHeader =
    at(HEADER.magic) === MAGIC && checksumOf(all, HEADER.totalWords, HEADER.words) === at(HEADER.checksum);
  if (!isHeader || at(HEADER.totalWords) > all.length) throw new Error("the table of keys is not whole");
  let next: number = HEADER.words;
  const take = (count: number) => {
    const part = all.subarray(next, next + count);
    next += count;
    return part;
  };
  const lengths = [...take(at(HEADER.prefixLengths))];
  const prefixSlots = take(at(HEADER.prefixSlots));
  const digestSlots = take(at(HEADER.digestSlots));
  const idSlots = take(at(HEADER.idSlots));
  const starts = take(at(HEADER.count));
  const offset = next * 4;
  const words = take(at(HEADER.areaWords));
  if (next !== at(HEADER.totalWords)) throw new Error("the table of keys is not whole");
  const area = {
    seed: [at(HEADER.seed), at(HEADER.seed + 1)],
    words,
    bytes: Buffer.from(table, offset, words.byteLength),
    data: new DataView(table, offset, words.byteLength),
    count: at(HEADER.count),
    starts,
    prefixSlots,
    digestSlots,
    idSlots,
  } as const;
  const slowRounds = new DataView(table).getFloat64(HEADER.slowRounds * 4, true);
  return { area, lengths, hmacCount: at(HEADER.hmacCount), slowRounds };
}
