import { isCollection, isNode, isScalar, isSeq, type Pair, type YAMLMap, type YAMLSeq } from "yaml";
import {
  definedFields,
  type FieldValue,
  type FlowValue,
  type KeyFields,
  requote,
  toBlockLines,
  toFlowText,
  toJsonLines,
} from "./keys-text.ts";

/** A piece of text to take out of a file and what to put in its place. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** A parsed file; the ranges of its nodes point into `text`. */
export interface OpenFile {
  readonly text: string;
  readonly fileKind: "yaml" | "json";
  readonly lineBreak: string;
  readonly lineOf: (offset: number) => number;
  /** The whole content as plain values. */
  readonly plain: Readonly<Record<string, unknown>>;
  /** Undefined for a file with nothing but comments. */
  readonly root: YAMLMap | undefined;
  readonly keys: Pair | undefined;
  readonly records: readonly unknown[];
}

/** Where to write a new record: below the last one, in that one's style. */
export function appendingSplices(file: OpenFile, record: KeyFields): readonly Splice[] {
  const { text, root, keys } = file;
  const fields = definedFields(record);
  if (root === undefined && file.fileKind === "json") {
    return [{ start: 0, end: text.length, text: toFresh(file, { keys: [fields] }) + file.lineBreak }];
  }
  if (root === undefined) return [insertLines(file, text.length, ["keys:", ...toItemLines(fields, 2, 2)])];
  if (keys === undefined) return addKeysList(file, root, fields);
  const list = keys.value;
  if (!isSeq(list) || list.items.length === 0) return [fillKeysList(file, root, keys, fields)].flat();
  return list.flow === true ? addFlowItem(file, list, fields) : [addBlockItem(file, list, fields)];
}

/** Where to write the changed fields of a record: over the old values, the new ones after its last. */
export function changingSplices(file: OpenFile, record: YAMLMap, changes: KeyFields): readonly Splice[] {
  const splices: Splice[] = [];
  const added: [string, FieldValue][] = [];
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) continue;
    const pair = record.items.find(({ key }) => isScalar(key) && key.value === name);
    if (pair === undefined) added.push([name, value]);
    else splices.push(replaceValue(file, pair, value, record.flow === true));
  }
  const fields = Object.fromEntries(added);
  if (added.length === 0) return splices;
  return [
    ...splices,
    ...(record.flow === true ? addMembers(file, record, fields) : [addBlockFields(file, record, fields)]),
  ];
}

function addKeysList(file: OpenFile, root: YAMLMap, record: KeyFields): readonly Splice[] {
  if (root.flow === true) return addMembers(file, root, { keys: [record] });
  const indent = " ".repeat(columnOf(file.text, startOf(root)));
  const lines = ["keys:", ...toItemLines(record, 2, 2)].map((line) => indent + line);
  return [insertLines(file, file.text.length, lines)];
}

/** `keys: []`, `keys: null` or `keys:`, in block style turned into a list below the line it stands on. */
function fillKeysList(file: OpenFile, root: YAMLMap, keys: Pair, record: KeyFields): Splice | readonly Splice[] {
  const { text } = file;
  const { start, end } = rangeOf(keys.value) ?? { start: endOf(keys.key), end: endOf(keys.key) };
  const old = text.slice(start, end);
  if (root.flow === true) {
    const indent = indentBefore(text, startOf(keys.key));
    return { start, end, text: toFlowItem(file, [record], indent, indent !== undefined) };
  }
  // Brackets around comments stay as they are.
  if (old.includes("#")) return insert(start + 1, ` ${toFlowText(record, "yaml")}`);
  const lines = toItemLines(record, columnOf(text, startOf(keys.key)) + 2, 2);
  const added = insertLines(file, afterLine(text, end), lines);
  const blanks = /[ \t]*$/.exec(text.slice(0, start))?.[0].length ?? 0;
  return old === "" ? added : [{ start: start - blanks, end, text: "" }, added];
}

function addBlockItem(file: OpenFile, list: YAMLSeq, record: KeyFields): Splice {
  const { text } = file;
  const last = list.items.at(-1);
  const dashColumn = columnOf(text, startOf(list));
  const onDashLine = /^ *- +$/.test(text.slice(lineStart(text, startOf(last)), startOf(last)));
  const lines = toItemLines(record, dashColumn, onDashLine ? columnOf(text, startOf(last)) - dashColumn : 2);
  const spaced = list.items.length > 1 && hasBlankLineAbove(text, startOf(last));
  return insertLines(file, afterBlock(text, endOf(last), dashColumn), spaced ? ["", ...lines] : lines);
}

function addBlockFields(file: OpenFile, record: YAMLMap, fields: KeyFields): Splice {
  const column = columnOf(file.text, startOf(record));
  const lines = toBlockLines(fields).map((line) => " ".repeat(column) + line);
  return insertLines(file, afterBlock(file.text, endOf(record), column - 1), lines);
}

function addFlowItem(file: OpenFile, list: YAMLSeq, record: KeyFields): readonly Splice[] {
  const last = rangeOf(list.items.at(-1)) ?? { start: startOf(list), end: endOf(list) };
  const multiline = file.text.slice(last.start, last.end).includes("\n");
  return addToFlow(file, last, toFlowItem(file, record, indentBefore(file.text, last.start), multiline));
}

function addMembers(
  file: OpenFile,
  map: YAMLMap,
  members: Readonly<Record<string, FieldValue | undefined | readonly KeyFields[]>>,
): readonly Splice[] {
  const last = map.items.at(-1);
  const start = last === undefined ? startOf(map) : startOf(last.key);
  const indent = indentBefore(file.text, start);
  const texts = Object.entries(members).map(([name, value]) => {
    const label = file.fileKind === "json" ? JSON.stringify(name) : name;
    const item = toFlowItem(file, value ?? "", indent, indent !== undefined && Array.isArray(value));
    return `${label}:${isCompact(file) ? "" : " "}${item}`;
  });
  if (last === undefined) return [insert(startOf(map) + 1, texts.join(", "))];
  const separator = indent === undefined ? inlineComma(file) : `,${file.lineBreak}${indent}`;
  return addToFlow(file, { start, end: rangeOf(last.value)?.end ?? endOf(last.key) }, texts.join(separator));
}

/** Puts an item behind the last one in brackets: on a line of its own where the last one has one. */
function addToFlow(file: OpenFile, last: { start: number; end: number }, item: string): readonly Splice[] {
  const { text, lineBreak } = file;
  const indent = indentBefore(text, last.start);
  const rest = /^[ \t]*(,?)[ \t]*(?:#[^\r\n]*)?(?=\r?\n)/.exec(text.slice(last.end));
  if (indent === undefined || rest === null) return [insert(last.end, inlineComma(file) + item)];
  // A comment behind the last item stays behind it, and a list written with a last comma keeps one.
  const comma = rest[1] ?? "";
  const line = lineBreak + indent + item + comma;
  if (rest[0] === "") return [insert(last.end, `,${line}`)];
  const below = insert(last.end + rest[0].length, line);
  return comma === "" ? [insert(last.end, ","), below] : [below];
}

function replaceValue(file: OpenFile, pair: Pair, value: FieldValue, inFlow: boolean): Splice {
  const { text } = file;
  const node = pair.value;
  const { start, end } = rangeOf(node) ?? { start: endOf(pair.key), end: endOf(pair.key) };
  if (start === end) {
    const before = /\s/.test(text.charAt(start - 1)) ? "" : " ";
    return insert(start, before + requote(value, undefined) + (text.charAt(end) === "#" ? " " : ""));
  }
  // The range of a block ends behind its line break, which stays.
  const contentEnd = start + text.slice(start, end).trimEnd().length;
  if (isCollection(node) && node.flow !== true) {
    return { start: endOf(pair.key), end: contentEnd, text: `: ${requote(value, undefined)}` };
  }
  const written = inFlow ? toFlowText(value, file.fileKind) : requote(value, isScalar(node) ? node.type : undefined);
  return { start, end: contentEnd, text: written };
}

function toItemLines(record: KeyFields, dashColumn: number, offset: number): readonly string[] {
  return toBlockLines(record).map((line, index) => {
    const lead = index === 0 ? "-".padEnd(offset) : " ".repeat(offset);
    return " ".repeat(dashColumn) + lead + line;
  });
}

function toFlowItem(file: OpenFile, value: FlowValue, indent: string | undefined, multiline: boolean): string {
  if (file.fileKind === "yaml") return toFlowText(value, "yaml");
  if (isCompact(file)) return JSON.stringify(value);
  return multiline ? toJsonLines(value, indent ?? "", unitOf(file), file.lineBreak) : toFlowText(value, "json");
}

function toFresh(file: OpenFile, content: { readonly keys: readonly KeyFields[] }): string {
  return JSON.stringify(content, null, 2).replaceAll("\n", file.lineBreak);
}

function isCompact(file: OpenFile): boolean {
  return file.fileKind === "json" && !/[:,] /.test(file.text) && !file.text.trim().includes("\n");
}

function inlineComma(file: OpenFile): string {
  return isCompact(file) ? "," : ", ";
}

/** The indentation a JSON file is written with. */
function unitOf(file: OpenFile): string {
  return /\n([ \t]+)/.exec(file.text)?.[1] ?? "  ";
}

function insert(at: number, text: string): Splice {
  return { start: at, end: at, text };
}

/** Whole lines at the start of a line, or after a last line that lacks its line break. */
function insertLines(file: OpenFile, at: number, lines: readonly string[]): Splice {
  const body = lines.join(file.lineBreak);
  const atLineStart = at === 0 || file.text.charAt(at - 1) === "\n";
  return insert(at, atLineStart ? body + file.lineBreak : file.lineBreak + body);
}

/** The line after a block's last content and after the comments indented deeper than `column`. */
function afterBlock(text: string, end: number, column: number): number {
  let next = afterLine(text, text.slice(0, end).trimEnd().length);
  for (;;) {
    const line = /^( *)#[^\n]*(?:\n|$)/.exec(text.slice(next));
    if (line?.[1] === undefined || line[1].length <= column) return next;
    next += line[0].length;
  }
}

function hasBlankLineAbove(text: string, offset: number): boolean {
  const above = text.slice(0, lineStart(text, offset)).split("\n").slice(0, -1);
  return above.findLast((line) => !/^\s*#/.test(line))?.trim() === "";
}

function afterLine(text: string, offset: number): number {
  const lineBreak = text.indexOf("\n", offset);
  return lineBreak === -1 ? text.length : lineBreak + 1;
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf("\n", offset - 1) + 1;
}

function columnOf(text: string, offset: number): number {
  return text.slice(lineStart(text, offset), offset).replace(/^\uFEFF/, "").length;
}

/** The blanks before a node that is the first on its line; undefined for any other. */
function indentBefore(text: string, offset: number): string | undefined {
  const before = text.slice(lineStart(text, offset), offset);
  return before.trim() === "" && offset > before.length ? before : undefined;
}

export function startOf(node: unknown): number {
  return rangeOf(node)?.start ?? 0;
}

function endOf(node: unknown): number {
  return rangeOf(node)?.end ?? 0;
}

function rangeOf(node: unknown): { readonly start: number; readonly end: number } | undefined {
  return isNode(node) && node.range ? { start: node.range[0], end: node.range[1] } : undefined;
}
