import { type DocumentProblem, toPosition } from "./document.ts";
import { type PlainScalar, type PlainValue, readPlainValue } from "./plain-value.ts";

/** A keys file read without the YAML library, or the first line that only the library could read. */
export type PlainRecords =
  | {
      readonly kind: "records";
      readonly value: { readonly keys: readonly PlainRecord[] };
      /** Where each record's first line begins, and which line of the file that is. */
      readonly offsets: readonly number[];
      readonly lines: readonly number[];
    }
  | { readonly kind: "refused"; readonly problem: DocumentProblem }
  | { readonly kind: "beyond"; readonly line: number };

export type PlainRecord = Record<string, PlainValue | PlainScalar[] | Record<string, PlainValue>>;

/** One line that says something: `name: rest`, `- name: rest` or `- rest`. */
interface Head {
  readonly indent: number;
  /** Length of the dash and the blanks after it; 0 without one. */
  readonly dash: number;
  readonly name: string | undefined;
  /** Empty when nothing but a comment follows. */
  readonly rest: string;
}

interface Cursor {
  readonly text: string;
  /** Offset of the current line, of the next one, and the current line's number. */
  at: number;
  next: number;
  line: number;
  /** Undefined at the end of the text, or once the reading has stopped. */
  head: Head | undefined;
  stopped: "beyond" | "duplicate" | undefined;
}

// YAML 1.2 §7.4.2 ends a name beside its colon at 1024 characters; no field here is a tenth as long.
const LINE = /^( *)(?:(- +)?([A-Za-z][A-Za-z0-9_-]{0,99}):(?: +(.*))?|(- +)(.+))$/;
const BLANK = /^ *(?:#.*)?$/;
// Characters that the YAML library takes for line breaks, blanks or nothing, each in its own way.
const UNUSUAL = /[\t\r\u0085\u2028\u2029\ufeff]/;

/** One record as it is read, before anybody knows whether the rest can be. */
export interface PlainEntry {
  readonly record: PlainRecord;
  readonly offset: number;
  readonly line: number;
}

/**
 * Reads a keys file of one plain record after another, many times faster than the YAML library and to the
 * same value; a test compares the two. It understands little and guesses nothing: at the first line that
 * is not obviously plain it gives up.
 */
export function readPlainRecords(text: string): PlainRecords {
  const keys: PlainRecord[] = [];
  const offsets: number[] = [];
  const lines: number[] = [];
  const stream = streamPlainRecords(text);
  for (;;) {
    const step = stream.next();
    if (step.done !== true) {
      keys.push(step.value.record);
      offsets.push(step.value.offset);
      lines.push(step.value.line);
    } else if (step.value.kind !== "end") return step.value;
    else return keys.length > 0 ? { kind: "records", value: { keys }, offsets, lines } : step.value.empty;
  }
}

/** The same, one record at a time. Its end says whether the file held nothing else. */
export function* streamPlainRecords(
  text: string,
): Generator<PlainEntry, Exclude<PlainRecords, { kind: "records" }> | { kind: "end"; empty: PlainRecords }> {
  const unusual = UNUSUAL.exec(text)?.index;
  if (unusual !== undefined) return { kind: "beyond", line: toPosition(text, unusual).line };
  const cursor: Cursor = { text, at: 0, next: 0, line: 0, head: undefined, stopped: undefined };
  advance(cursor);
  const top = cursor.head;
  if (top?.name !== "keys" || top.indent !== 0 || top.dash !== 0 || top.rest !== "") return beyond(cursor);
  advance(cursor);
  const indent = cursor.head?.indent;
  let count = 0;
  while (cursor.head !== undefined) {
    if (cursor.head.dash === 0 || cursor.head.indent !== indent) return beyond(cursor);
    const { at: offset, line } = cursor;
    const record = readRecord(cursor, cursor.head);
    count += 1;
    if (cursor.stopped === undefined) yield { record, offset, line };
  }
  if (cursor.stopped === "duplicate") return refuseDuplicate(cursor, count - 1);
  return cursor.stopped === undefined ? { kind: "end", empty: beyond(cursor) } : beyond(cursor);
}

function beyond({ line }: Cursor): Extract<PlainRecords, { kind: "beyond" }> {
  return { kind: "beyond", line };
}

function refuseDuplicate({ text, at }: Cursor, index: number): Extract<PlainRecords, { kind: "refused" }> {
  const name = LINE.exec(text.slice(at, endOfLine(text, at)))?.[3] ?? "";
  const position = toPosition(text, at + text.slice(at).indexOf(name));
  const message = `The name ${JSON.stringify(name)} stands twice here`;
  return { kind: "refused", problem: { position, path: ["keys", index, name], message } };
}

/** Moves to the next line that says something. */
function advance(cursor: Cursor): void {
  const { text } = cursor;
  while (cursor.next < text.length) {
    cursor.at = cursor.next;
    const end = endOfLine(text, cursor.at);
    cursor.next = end + 1;
    cursor.line += 1;
    const line = text.slice(cursor.at, end);
    if (BLANK.test(line)) continue;
    const [, blanks, nameDash, name, rest, dash, item] = LINE.exec(line) ?? [];
    if (blanks === undefined) {
      stop(cursor, "beyond");
      return;
    }
    const written = rest ?? item ?? "";
    const dashLength = (nameDash ?? dash ?? "").length;
    cursor.head = { indent: blanks.length, dash: dashLength, name, rest: written.startsWith("#") ? "" : written };
    return;
  }
  cursor.head = undefined;
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end;
}

function stop(cursor: Cursor, why: "beyond" | "duplicate"): void {
  cursor.head = undefined;
  cursor.stopped ??= why;
}

function readRecord(cursor: Cursor, first: Head): PlainRecord {
  const record: PlainRecord = {};
  const column = first.indent + first.dash;
  for (let head: Head | undefined = first; head !== undefined; ) {
    const { name, rest } = head;
    if (name === undefined) stop(cursor, "beyond");
    else if (Object.hasOwn(record, name)) stop(cursor, "duplicate");
    else if (rest === "") {
      advance(cursor);
      record[name] = readBlock(cursor, column);
    } else {
      record[name] = readInline(cursor, rest);
    }
    head = continues(cursor, column) ? cursor.head : undefined;
  }
  return record;
}

/** Whether the current line is one more field of the map whose names stand in this column. */
function continues({ head }: Cursor, column: number): boolean {
  return head !== undefined && head.dash === 0 && head.indent === column;
}

function readInline(cursor: Cursor, rest: string): PlainValue {
  const value = readPlainValue(rest);
  if (value === undefined) {
    stop(cursor, "beyond");
    return null;
  }
  advance(cursor);
  return value;
}

/** What stands under a name without a value beside it: a list, a map, or nothing. */
function readBlock(cursor: Cursor, column: number): PlainScalar[] | Record<string, PlainValue> | null {
  const { head } = cursor;
  if (head === undefined || head.indent < column) return null;
  if (head.dash > 0) return readList(cursor, head.indent);
  return head.indent > column ? readMap(cursor, head.indent) : null;
}

function readList(cursor: Cursor, indent: number): PlainScalar[] {
  const items: PlainScalar[] = [];
  while (cursor.head !== undefined && cursor.head.dash > 0 && cursor.head.indent === indent) {
    const item = cursor.head.name === undefined ? readInline(cursor, cursor.head.rest) : undefined;
    if (item === undefined || typeof item === "object") {
      stop(cursor, "beyond");
      break;
    }
    items.push(item);
  }
  return items;
}

function readMap(cursor: Cursor, column: number): Record<string, PlainValue> {
  const map: Record<string, PlainValue> = {};
  while (cursor.head !== undefined && continues(cursor, column)) {
    const { name, rest } = cursor.head;
    if (name === undefined || rest === "" || Object.hasOwn(map, name)) {
      stop(cursor, name !== undefined && Object.hasOwn(map, name) ? "duplicate" : "beyond");
    } else map[name] = readInline(cursor, rest);
  }
  return map;
}
