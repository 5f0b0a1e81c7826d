import { type KeyObject, randomBytes } from "node:crypto";
import type { Key, KeyIndex, KeyTable } from "./key.ts";
import {
  createNeedleMaker,
  DIGEST_KINDS,
  FIELD,
  findByDigest,
  findById,
  hashDigest,
  hashNeedle,
  insert,
  type KeyArea,
  type Needle,
  toWords,
} from "./key-area.ts";
import { createRecordReader, HAS, type ScopesPart, STATUSES } from "./key-record.ts";
import { HEADER, MAGIC, openKeyTable } from "./key-table.ts";
import { checksumOf } from "./keyed-hash.ts";
import { toRoomyBytes } from "./roomy.ts";

/** A table as it grows: a hundred thousand keys are added one after another, and only their bytes are kept. */
export interface KeyTableBuilder {
  /** Adds a key, unless one of the same id or the same digest is there already: that one is returned. */
  readonly add: (key: Key) => Conflict | undefined;
  readonly hasId: (id: string) => boolean;
  /** The table of all that were added; nothing is added after it. */
  readonly finish: () => KeyTable;
}

export interface Conflict {
  readonly over: "id" | "digest";
  readonly key: Key;
}

/** The slow-hashed records of one prefix. */
interface Sharing {
  readonly first: number;
  last: number;
  rounds: number;
}

interface Growing extends KeyArea {
  /** Words of the area that are written. The first is left free, since 0 is no place. */
  end: number;
  idHashes: Uint32Array;
  digestHashes: Uint32Array;
  hmacCount: number;
}

export function createKeyTableBuilder(): KeyTableBuilder {
  const area = createArea();
  const ids = createNeedleMaker();
  const digests = createNeedleMaker();
  const reader = createRecordReader(area);
  const parts = new Map<unknown, number>();
  const slow = new Map<string, Sharing>();
  const shared = (of: unknown, toText: () => string): number => {
    const known = parts.get(of);
    if (known !== undefined) return known;
    const place = writePart(area, toText());
    parts.set(of, place);
    return place;
  };
  const conflict = (over: Conflict["over"], number: number): Conflict => {
    seal(area, number);
    return { over, key: reader.read(number) };
  };
  return {
    add: (key) => {
      const id = ids.ofText(key.id);
      const digest = digests.ofDigest(key.digest);
      const kind = DIGEST_KINDS.indexOf(key.digest.kind);
      const [idHash, digestHash] = [hashNeedle(area, id), hashDigest(area, kind, digest)];
      const sameId = findById(area, id, idHash);
      if (sameId >= 0) return conflict("id", sameId);
      const sameDigest = findByDigest(area, kind, digest, digestHash);
      if (sameDigest >= 0) return conflict("digest", sameDigest);
      const scopes = shared(key.grants, () => JSON.stringify([key.scopes, [...key.grants.exact]] satisfies ScopesPart));
      const limits = shared(key.limits, () => JSON.stringify(key.limits));
      const { networks: allowed, source } = key;
      const networks = allowed === undefined ? 0 : shared(allowed, () => JSON.stringify(allowed.ranges));
      const file = shared(source.file, () => source.file);
      reserveNumber(area);
      const number = area.count;
      area.starts[number] = writeRecord(area, key, { scopes, limits, networks, file }, digest);
      area.count += 1;
      area.idHashes[number] = idHash;
      area.digestHashes[number] = digestHash;
      insert(area.idSlots, idHash, number);
      insert(area.digestSlots, digestHash, number);
      if (key.digest.kind === "bcrypt" && key.prefix !== undefined)
        link(area, slow, number, key.prefix, key.digest.cost);
      return undefined;
    },
    hasId: (id) => {
      const needle = ids.ofText(id);
      return findById(area, needle, hashNeedle(area, needle)) >= 0;
    },
    finish: () => toTable(area, slow, (prefix) => hashNeedle(area, ids.ofText(prefix))),
  };
}

/** An index of keys that are compiled already. */
export function compileKeys(keys: Iterable<Key>, pepper: KeyObject | undefined): KeyIndex {
  const builder = createKeyTableBuilder();
  for (const key of keys) builder.add(key);
  return openKeyTable(builder.finish(), pepper);
}

// Room for a few keys; it doubles whenever it is full.
const FIRST_WORDS = 1 << 10;
const FIRST_SLOTS = 1 << 4;

function createArea(): Growing {
  const random = randomBytes(8);
  const buffer = new ArrayBuffer(FIRST_WORDS * 4);
  return {
    seed: [random.readUInt32LE(0), random.readUInt32LE(4)],
    words: new Uint32Array(buffer),
    bytes: Buffer.from(buffer),
    data: new DataView(buffer),
    end: 1,
    count: 0,
    starts: new Uint32Array(FIRST_SLOTS),
    idHashes: new Uint32Array(FIRST_SLOTS),
    digestHashes: new Uint32Array(FIRST_SLOTS),
    idSlots: new Uint32Array(FIRST_SLOTS * 2),
    digestSlots: new Uint32Array(FIRST_SLOTS * 2),
    prefixSlots: new Uint32Array(1),
    hmacCount: 0,
  };
}

function reserve(area: Growing, words: number): void {
  const needed = area.end + words;
  if (needed <= area.words.length) return;
  let length = area.words.length * 2;
  while (length < needed) length *= 2;
  const buffer = new ArrayBuffer(toRoomyBytes(length * 4));
  const larger = new Uint32Array(buffer);
  larger.set(area.words.subarray(0, area.end));
  area.words = larger;
  area.bytes = Buffer.from(buffer);
  area.data = new DataView(buffer);
}

/** Makes room for one more number; slots are never more than half full, so that look-ups stay short. */
function reserveNumber(area: Growing): void {
  const { count } = area;
  if (count < area.starts.length) return;
  const grow = (numbers: Uint32Array) => {
    const larger = new Uint32Array(count * 2);
    larger.set(numbers);
    return larger;
  };
  area.starts = grow(area.starts);
  area.idHashes = grow(area.idHashes);
  area.digestHashes = grow(area.digestHashes);
  area.idSlots = new Uint32Array(count * 4);
  area.digestSlots = new Uint32Array(count * 4);
  for (let number = 0; number < count; number += 1) {
    insert(area.idSlots, area.idHashes[number] ?? 0, number);
    insert(area.digestSlots, area.digestHashes[number] ?? 0, number);
  }
}

interface Places {
  readonly scopes: number;
  readonly limits: number;
  readonly networks: number;
  readonly file: number;
}

function writeRecord(area: Growing, key: Key, places: Places, digest: Needle): number {
  const metadata = key.metadata.size === 0 ? undefined : JSON.stringify([...key.metadata]);
  const texts = [key.id, key.name, key.tenant, key.prefix, key.rotatedTo, metadata];
  reserve(
    area,
    texts.reduce((sum, text) => sum + (text === undefined ? 0 : 1 + wordsAtMost(text)), HEADROOM),
  );
  const { words, data } = area;
  const start = area.end;
  words[start + FIELD.scopes] = places.scopes;
  words[start + FIELD.limits] = places.limits;
  words[start + FIELD.networks] = places.networks;
  words[start + FIELD.file] = places.file;
  words[start + FIELD.line] = key.source.line;
  words[start + FIELD.marks] = marksOf(key, metadata !== undefined);
  words[start + FIELD.digestBytes] = digest.length;
  data.setFloat64((start + FIELD.notBefore) * 4, key.notBeforeMs ?? 0, true);
  data.setFloat64((start + FIELD.expiresAt) * 4, key.expiresAtMs ?? 0, true);
  words.set(digest.words.subarray(0, toWords(digest.length)), start + FIELD.digest);
  area.end = start + FIELD.digest + toWords(digest.length);
  for (const text of texts) if (text !== undefined) writeText(area, text);
  words[start + FIELD.words] = area.end - start;
  if (key.digest.kind === "hmac-sha256") area.hmacCount += 1;
  return start;
}

// The fields of fixed size and the longest digest there is.
const HEADROOM = FIELD.digest + 64;

function wordsAtMost(text: string): number {
  // Three bytes of UTF-8 for each UTF-16 unit.
  return toWords(text.length * 3);
}

function marksOf(key: Key, hasMetadata: boolean): number {
  const { digest } = key;
  const flags =
    (key.name === undefined ? 0 : HAS.name) |
    (key.tenant === undefined ? 0 : HAS.tenant) |
    (key.prefix === undefined ? 0 : HAS.prefix) |
    (key.rotatedTo === undefined ? 0 : HAS.rotatedTo) |
    (hasMetadata ? HAS.metadata : 0) |
    (key.readOnly ? HAS.readOnly : 0) |
    (key.notBeforeMs === undefined ? 0 : HAS.notBefore) |
    (key.expiresAtMs === undefined ? 0 : HAS.expiresAt);
  const cost = digest.kind === "bcrypt" ? digest.cost : 0;
  return DIGEST_KINDS.indexOf(digest.kind) | (STATUSES.indexOf(key.status) << 8) | (flags << 16) | (cost << 24);
}

/** A text with its length before it; there is room for it. */
function writeText(area: Growing, text: string): void {
  const length = writeCharacters(area.bytes, text, (area.end + 1) * 4);
  area.words[area.end] = length;
  area.end += 1 + toWords(length);
}

// A call into the runtime costs as much as so many characters.
const SHORT = 64;

function writeCharacters(bytes: Buffer, text: string, at: number): number {
  if (text.length > SHORT) return bytes.write(text, at, "utf8");
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) {
      return bytes.write(text, at, "utf8");
    }
    bytes[at + index] = code;
  }
  return text.length;
}

function writePart(area: Growing, text: string): number {
  reserve(area, 2 + wordsAtMost(text));
  const place = area.end;
  const length = area.bytes.write(text, (place + 2) * 4, "utf8");
  area.end = place + 2 + toWords(length);
  area.words[place + 1] = length;
  area.words[place] = checksumOf(area.words, place + 1, area.end);
  return place;
}

/** Records of one prefix follow one another in the order they were added. */
function link(area: Growing, slow: Map<string, Sharing>, number: number, prefix: string, cost: number): void {
  const rounds = 2 ** cost;
  const sharing = slow.get(prefix);
  if (sharing === undefined) {
    slow.set(prefix, { first: number, last: number, rounds });
    return;
  }
  area.words[(area.starts[sharing.last] ?? 0) + FIELD.nextOfPrefix] = number + 1;
  sharing.last = number;
  sharing.rounds += rounds;
}

/** Gives a record its checksum: when nothing is added any more, or when it is read before. */
function seal({ words, starts }: Growing, number: number): void {
  const start = starts[number] ?? 0;
  const end = start + (words[start + FIELD.words] ?? 0);
  words[start + FIELD.checksum] = checksumOf(words, start + FIELD.scopes, end);
}

function toTable(area: Growing, slow: ReadonlyMap<string, Sharing>, hashOf: (prefix: string) => number): KeyTable {
  const prefixSlots = new Uint32Array(slotsFor(slow.size));
  for (const [prefix, { first }] of slow) insert(prefixSlots, hashOf(prefix), first);
  for (let number = 0; number < area.count; number += 1) seal(area, number);
  const lengths = Uint32Array.from(new Set([...slow.keys()].map((prefix) => prefix.length)));
  const parts = [
    lengths,
    prefixSlots,
    area.digestSlots,
    area.idSlots,
    area.starts.subarray(0, area.count),
    area.words.subarray(0, area.end),
  ];
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, HEADER.words * 4);
  const table = new SharedArrayBuffer(toRoomyBytes(bytes));
  const all = new Uint32Array(table, 0, bytes / 4);
  all[HEADER.magic] = MAGIC;
  all[HEADER.totalWords] = all.length;
  all[HEADER.count] = area.count;
  all.set(area.seed, HEADER.seed);
  all[HEADER.hmacCount] = area.hmacCount;
  const rounds = [...slow.values()].reduce((most, sharing) => Math.max(most, sharing.rounds), 0);
  new DataView(table).setFloat64(HEADER.slowRounds * 4, rounds, true);
  all.set(
    [lengths.length, prefixSlots.length, area.digestSlots.length, area.idSlots.length, area.end],
    HEADER.prefixLengths,
  );
  all[HEADER.checksum] = checksumOf(all, HEADER.totalWords, HEADER.words);
  let next: number = HEADER.words;
  for (const part of parts) {
    all.set(part, next);
    next += part.length;
  }
  return table;
}

/** A power of two of which at most half is taken, and one at least. */
function slotsFor(count: number): number {
  return count === 0 ? 1 : 2 ** Math.ceil(Math.log2(count * 2));
}
