import type { Limit } from "./bucket.ts";
import type { KeyDigest } from "./digest.ts";
import type { Key } from "./key.ts";
import { DIGEST_KINDS, FIELD, type KeyArea, toWords } from "./key-area.ts";
import { checksumOf } from "./keyed-hash.ts";
import { compileNetworks, type NetworkSet } from "./network.ts";
import { createRecent } from "./recent.ts";
import { type Grants, toGrants } from "./scope.ts";

export const STATUSES = ["active", "suspended", "revoked"] as const satisfies readonly Key["status"][];

/** What a record has; the texts follow one another in this order. */
export const HAS = {
  name: 1,
  tenant: 2,
  prefix: 4,
  rotatedTo: 8,
  metadata: 16,
  readOnly: 32,
  notBefore: 64,
  expiresAt: 128,
} as const;

/** What many records share stands once, as JSON; a record names its place in words. */
export type ScopesPart = readonly [scopes: readonly string[], exact: readonly string[]];

export interface RecordReader {
  /** The key of that number, compiled. Throws where a byte of it is not what was written. */
  readonly read: (number: number) => Key;
  readonly prefixOf: (number: number) => string | undefined;
  readonly idOf: (number: number) => string;
  /** The text of a shared part; 0 is none. */
  readonly partText: (place: number) => string;
}

interface Parts {
  readonly grants: Pick<Key, "scopes" | "grants">;
  readonly limits: readonly Limit[];
  readonly networks: NetworkSet;
  readonly file: string;
}

// Compiled parts are shared by the keys that are in use; a network list takes some kilobytes.
const MAX_PARTS = 2_048;

const NO_METADATA: ReadonlyMap<string, string> = new Map();

export function createRecordReader(area: KeyArea): RecordReader {
  const partText = (place: number): string => {
    const length = area.words[place + 1] ?? 0;
    const end = place + 2 + toWords(length);
    const isWhole = place > 0 && end <= area.words.length;
    if (!isWhole || checksumOf(area.words, place + 1, end) !== area.words[place]) throw damaged();
    return textAt(area, place + 2, length);
  };
  const remember = <T>(make: (text: string) => T) => {
    const known = createRecent<number, T>(MAX_PARTS);
    return (place: number): T => {
      const before = known.get(place);
      if (before !== undefined) return before;
      const made = make(partText(place));
      known.set(place, made);
      return made;
    };
  };
  const parts: { readonly [Name in keyof Parts]: (place: number) => Parts[Name] } = {
    grants: remember(toScopes),
    limits: remember((text) => JSON.parse(text) as readonly Limit[]),
    networks: remember((text) => compileNetworks(JSON.parse(text) as readonly string[])),
    file: remember((text) => text),
  };
  return {
    read: (number) => readRecord(area, startOf(area, number), parts),
    prefixOf: (number) => readTexts(area, startOf(area, number)).prefix,
    idOf: (number) => readTexts(area, startOf(area, number)).id,
    partText,
  };
}

function damaged(): Error {
  return new Error("the table of keys is damaged");
}

/** Where a record begins, once all of it is as it was written. */
function startOf({ words, starts, count }: KeyArea, number: number): number {
  const start = number < count ? (starts[number] ?? 0) : 0;
  const end = start + (words[start + FIELD.words] ?? 0);
  const isWhole = start > 0 && end > start + FIELD.digest && end <= words.length;
  if (!isWhole || checksumOf(words, start + FIELD.scopes, end) !== words[start + FIELD.checksum]) throw damaged();
  return start;
}

function readRecord(
  area: KeyArea,
  start: number,
  parts: { readonly [Name in keyof Parts]: (place: number) => Parts[Name] },
): Key {
  const { words, data } = area;
  const at = (field: number) => words[start + field] ?? 0;
  const marks = at(FIELD.marks);
  const has = (flag: number) => ((marks >>> 16) & flag) !== 0;
  const networks = at(FIELD.networks);
  const instant = (field: number) => data.getFloat64((start + field) * 4, true);
  const status = STATUSES[(marks >>> 8) & 0xff];
  if (status === undefined) throw damaged();
  return {
    ...readTexts(area, start),
    digest: readDigest(area, start),
    ...parts.grants(at(FIELD.scopes)),
    limits: parts.limits(at(FIELD.limits)),
    networks: networks === 0 ? undefined : parts.networks(networks),
    notBeforeMs: has(HAS.notBefore) ? instant(FIELD.notBefore) : undefined,
    expiresAtMs: has(HAS.expiresAt) ? instant(FIELD.expiresAt) : undefined,
    status,
    readOnly: has(HAS.readOnly),
    source: { file: parts.file(at(FIELD.file)), line: at(FIELD.line) },
  };
}

type Texts = Pick<Key, "id" | "name" | "tenant" | "prefix" | "rotatedTo" | "metadata">;

function readTexts(area: KeyArea, start: number): Texts {
  const { words } = area;
  const flags = (words[start + FIELD.marks] ?? 0) >>> 16;
  let next = start + FIELD.digest + toWords(words[start + FIELD.digestBytes] ?? 0);
  const read = (): string => {
    const at = next + 1;
    const length = words[next] ?? 0;
    next = at + toWords(length);
    return textAt(area, at, length);
  };
  const id = read();
  const name = flags & HAS.name ? read() : undefined;
  const tenant = flags & HAS.tenant ? read() : undefined;
  const prefix = flags & HAS.prefix ? read() : undefined;
  const rotatedTo = flags & HAS.rotatedTo ? read() : undefined;
  const metadata = flags & HAS.metadata ? new Map(JSON.parse(read()) as [string, string][]) : NO_METADATA;
  return { id, name, tenant, prefix, rotatedTo, metadata };
}

function readDigest(area: KeyArea, start: number): KeyDigest {
  const { words, bytes } = area;
  const marks = words[start + FIELD.marks] ?? 0;
  const kind = DIGEST_KINDS[marks & 0xff];
  const from = (start + FIELD.digest) * 4;
  const to = from + (words[start + FIELD.digestBytes] ?? 0);
  switch (kind) {
    case "sha256":
    case "hmac-sha256":
      return { kind, hex: bytes.toString("hex", from, to) };
    case "bcrypt":
      return { kind, text: bytes.toString("latin1", from, to), cost: marks >>> 24 };
    case undefined:
      throw damaged();
    default:
      return kind satisfies never;
  }
}

function textAt({ bytes }: KeyArea, word: number, length: number): string {
  return bytes.toString("utf8", word * 4, word * 4 + length);
}

function toScopes(text: string): { readonly scopes: readonly string[]; readonly grants: Grants } {
  const [scopes, exact] = JSON.parse(text) as ScopesPart;
  return { scopes, grants: toGrants(exact) };
}
