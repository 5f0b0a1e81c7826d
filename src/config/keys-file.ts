import { isDeepStrictEqual } from "node:util";
import { type Document, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { appendingSplices, changingSplices, type OpenFile, type Splice, startOf } from "./keys-splices.ts";
import { definedFields, type KeyFields } from "./keys-text.ts";

export type KeysFileKind = "yaml" | "json";

/** A key record to be written, in the order of its fields. */
export type NewKeyRecord = KeyFields & { readonly id: string };

export type EditResult = { readonly kind: "edited"; readonly text: string } | EditRefusal;

export interface EditRefusal {
  readonly kind: "refused";
  readonly problem: string;
  /** Counts from 1; 0 where the whole file is meant. */
  readonly line: number;
}

/**
 * Adds a record at the end of the `keys` list of a keys file or a main file. Every byte that was
 * there stays, and the result was parsed again and holds exactly the old records and the new one.
 */
export function appendKey(text: string, fileKind: KeysFileKind, record: NewKeyRecord): EditResult {
  const file = openKeysFile(text, fileKind);
  if ("kind" in file) return file;
  if (file.records.some((item) => idOf(item) === record.id)) return refuse(`key "${record.id}" exists already`);
  return applyChecked(file, appendingSplices(file, record), (records) => [...records, definedFields(record)]);
}

/** Sets or adds fields in one record. Every byte outside that record stays, checked as for `appendKey`. */
export function changeKey(text: string, fileKind: KeysFileKind, id: string, changes: KeyFields): EditResult {
  const file = openKeysFile(text, fileKind);
  if ("kind" in file) return file;
  const [index, second] = file.records.flatMap((item, at) => (idOf(item) === id ? [at] : []));
  if (index === undefined) return refuse(`no key "${id}" in this file`);
  if (second !== undefined) {
    return refuse(`key "${id}" stands twice in this file`, file.lineOf(startOf(file.records[second])));
  }
  const record = file.records[index];
  return applyChecked(file, isMap(record) ? changingSplices(file, record, changes) : [], (records) =>
    records.map((value, at) => (at === index ? { ...toObject(value), ...definedFields(changes) } : value)),
  );
}

/** The fields of one record as they stand in the file; undefined when it has no such record. */
export function readKeyFields(text: string, fileKind: KeysFileKind, id: string): KeyFields | undefined {
  const file = openKeysFile(text, fileKind);
  if ("kind" in file) return undefined;
  const records = file.plain["keys"];
  const found = Array.isArray(records) ? records.find((record) => toObject(record)["id"] === id) : undefined;
  return found === undefined ? undefined : (toObject(found) as KeyFields);
}

function refuse(problem: string, line = 0): EditRefusal {
  return { kind: "refused", problem, line };
}

function openKeysFile(text: string, fileKind: KeysFileKind): OpenFile | EditRefusal {
  const lines = new LineCounter();
  const lineOf = (offset: number) => lines.linePos(offset).line;
  const document = parseDocument(text, { prettyErrors: false, lineCounter: lines });
  const error = document.errors[0];
  if (error !== undefined) return refuse(`the file cannot be parsed: ${error.message}`, lineOf(error.pos[0]));
  const plain = toPlain(text, fileKind, document);
  if (plain === undefined) return refuse(`the file is not valid ${fileKind === "json" ? "JSON" : "YAML"}`);

  const lineBreak = text.includes("\r\n") ? "\r\n" : "\n";
  const base = { text, fileKind, lineBreak, lineOf, plain: toObject(plain.value), records: [] };
  if (plain.value === null) return { ...base, root: undefined, keys: undefined };
  const root = document.contents;
  if (!isMap(root)) return refuse('expected a mapping with a "keys" list', 1);
  const keys = root.items.find((pair) => isScalar(pair.key) && pair.key.value === "keys");
  const list = keys?.value;
  if (isSeq(list)) return { ...base, root, keys, records: list.items };
  if (keys === undefined || list === null || (isScalar(list) && list.value === null)) return { ...base, root, keys };
  return refuse('"keys" is no list here: it names other files, which are the ones to edit', lineOf(startOf(keys.key)));
}

/** The content as plain values; undefined when there are none, as for bad JSON or a bomb of aliases. */
function toPlain(
  text: string,
  fileKind: KeysFileKind,
  parsed?: Pick<Document.Parsed, "toJS">,
): { readonly value: unknown } | undefined {
  try {
    if (fileKind === "json") return { value: text.trim() === "" ? null : JSON.parse(text) };
    if (parsed !== undefined) return { value: parsed.toJS() };
    const document = parseDocument(text, { prettyErrors: false });
    return document.errors.length > 0 ? undefined : { value: document.toJS() };
  } catch {
    return undefined;
  }
}

function idOf(item: unknown): string | undefined {
  const id = isMap(item) ? item.get("id") : undefined;
  return typeof id === "string" ? id : undefined;
}

function toObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** Splices a text and proves the outcome: a layout this module does not understand is refused, never damaged. */
function applyChecked(
  file: OpenFile,
  splices: readonly Splice[],
  toExpected: (records: readonly unknown[]) => readonly unknown[],
): EditResult {
  let text = file.text;
  for (const splice of splices.toSorted((a, b) => b.start - a.start)) {
    text = text.slice(0, splice.start) + splice.text + text.slice(splice.end);
  }
  const before = file.plain["keys"];
  const expected = { ...file.plain, keys: toExpected(Array.isArray(before) ? before : []) };
  const after = toPlain(text, file.fileKind);
  return after !== undefined && isDeepStrictEqual(after.value, expected)
    ? { kind: "edited", text }
    : refuse("the file is laid out so that this key cannot be edited without touching others; edit it by hand");
}
