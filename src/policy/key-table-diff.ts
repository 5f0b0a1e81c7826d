import type { Key, KeyTable } from "./key.ts";
import { FIELD, findById, hashNeedle, type KeyArea, type Needle, toWords } from "./key-area.ts";
import { createRecordReader, type RecordReader } from "./key-record.ts";
import { readHeader } from "./key-table.ts";

/** What became of one key: gone, new, or with another record, which may still mean the same. */
export type KeyDifference =
  | { readonly kind: "removed" | "added"; readonly id: string }
  | { readonly kind: "rewritten"; readonly old: Key; readonly next: Key };

/**
 * Compares two tables key by key, in the order of the old one, then what the new one has besides. Records are
 * compared as bytes and compiled only where these differ.
 */
export function* compareTables(old: KeyTable, next: KeyTable): Generator<KeyDifference> {
  const [before, after] = [open(old), open(next)];
  const isSame = createComparer(before, after);
  for (let number = 0; number < before.area.count; number += 1) {
    const other = find(after.area, idAt(before.area, number));
    if (other < 0) yield { kind: "removed", id: before.reader.idOf(number) };
    else if (!isSame(number, other)) {
      yield { kind: "rewritten", old: before.reader.read(number), next: after.reader.read(other) };
    }
  }
  for (let number = 0; number < after.area.count; number += 1) {
    if (find(before.area, idAt(after.area, number)) >= 0) continue;
    yield { kind: "added", id: after.reader.idOf(number) };
  }
}

interface Side {
  readonly area: KeyArea;
  readonly reader: RecordReader;
}

function open(table: KeyTable): Side {
  const { area } = readHeader(table);
  return { area, reader: createRecordReader(area) };
}

function find(area: KeyArea, id: Needle): number {
  return findById(area, id, hashNeedle(area, id));
}

/** The id of a record as it stands there. */
function idAt({ words, bytes, starts }: KeyArea, number: number): Needle {
  const start = starts[number] ?? 0;
  const at = start + FIELD.digest + toWords(words[start + FIELD.digestBytes] ?? 0);
  const length = words[at] ?? 0;
  return { bytes, words: words.subarray(at + 1, at + 1 + toWords(length)), length };
}

const PARTS = [FIELD.scopes, FIELD.limits, FIELD.networks] as const;
// Two places in one number, which stays exact.
const PLACES = 2 ** 26;

function createComparer(before: Side, after: Side): (number: number, other: number) => boolean {
  const known = new Map<number, boolean>();
  const isSamePart = (one: number, other: number): boolean => {
    if (one === 0 || other === 0) return one === other;
    const name = one * PLACES + other;
    let same = other < PLACES ? known.get(name) : undefined;
    if (same === undefined) {
      same = before.reader.partText(one) === after.reader.partText(other);
      known.set(name, same);
    }
    return same;
  };
  return (number, other) => {
    const [a, b] = [before.area.words, after.area.words];
    const [from, to] = [before.area.starts[number] ?? 0, after.area.starts[other] ?? 0];
    const length = a[from + FIELD.words] ?? 0;
    if (length !== b[to + FIELD.words]) return false;
    // From the marks on, a record says nothing of where it or its parts stand.
    for (let at = FIELD.marks; at < length; at += 1) if (a[from + at] !== b[to + at]) return false;
    return PARTS.every((field) => isSamePart(a[from + field] ?? 0, b[to + field] ?? 0));
  };
}
