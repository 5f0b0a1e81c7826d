import type { Path } from "./diagnostics.ts";
import {
  type Document,
  type DocumentProblem,
  MAX_DEPTH,
  type OpenRecords,
  type Position,
  type ReadDocument,
  toPosition,
} from "./document.ts";
import { createCursor, skipBlank, skipValue, type Visit } from "./json-cursor.ts";
import { findRespelt, numberAt } from "./json-numbers.ts";

/**
 * Reads JSON with the engine's own parser, which is strict and fast. One scan over the text finds what
 * that parser hides: how deep values are nested, whether a name stands twice, and where records begin.
 */
export function parseJson(text: string): ReadDocument {
  const outline = scan(text);
  if (outline.depth > MAX_DEPTH) {
    return refuse([problemAt(text, outline.deepest, `Values are nested more than ${MAX_DEPTH} deep`)]);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return refuse([toSyntaxProblem(text, error)]);
  }
  // As many colons between names and values as there are members: no name was written over.
  if (countMembers(value) !== outline.colons) {
    const problems = findBadNames(text);
    if (problems.length > 0) return refuse(problems);
  }
  const records = (value as { keys?: unknown } | null)?.keys;
  const isOutlined = Array.isArray(records) && records.length === outline.records.length;
  return {
    kind: "read",
    value,
    locate: createLocator(text, isOutlined ? outline : undefined),
    recordLine: (index) => outline.recordLines[index] ?? 0,
    respelt: findRespelt(text, outline.respelt),
  };
}

/**
 * A file that is one object with a list of records in it, read some records at a time; undefined where it is
 * anything else. Reads what `parseJson` would make of the list, and returns whether all of the text is as strict.
 */
export function openJsonRecords(text: string): OpenRecords | undefined {
  const outline = scan(text);
  const { depth, colons, records, recordLines, respelt } = outline;
  const [first, last] = [records[0], records.at(-1)];
  if (first === undefined || last === undefined || depth > MAX_DEPTH || respelt.length > 0) return undefined;
  const cursor = createCursor(text, last);
  if (!skipValue(cursor)) return undefined;
  const end = cursor.at;
  // What is left is the object around an empty list.
  const frame = parseQuietly(text.slice(0, first) + text.slice(end));
  const { keys, ...others } = Object(frame) as { readonly keys?: unknown };
  if (!Array.isArray(keys) || keys.length > 0 || Object.keys(others).some((name) => name !== "$schema"))
    return undefined;
  function* read(batch: number): Generator<readonly unknown[], boolean> {
    let members = countMembers(frame);
    for (let start = 0; start < records.length; start += batch) {
      const next = start + batch < records.length ? records[start + batch] : undefined;
      const stop = next === undefined ? end : text.lastIndexOf(",", next);
      const values = parseQuietly(`[${text.slice(records[start], stop)}]`);
      if (!Array.isArray(values) || values.length !== Math.min(batch, records.length - start)) return false;
      members += countMembers(values);
      yield values;
    }
    return members === colons;
  }
  return {
    read,
    recordLine: (index) => recordLines[index] ?? 0,
    locate: (path, part) => locate(text, path, part, outline),
  };
}

function parseQuietly(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refuse(problems: readonly DocumentProblem[]): ReadDocument {
  return { kind: "refused", problems };
}

function problemAt(text: string, offset: number, message: string, path: Path = []): DocumentProblem {
  return { position: toPosition(text, offset), path, message };
}

/** The engine's messages quote the text around the fault, which may be a secret; only the place is kept. */
function toSyntaxProblem(text: string, error: unknown): DocumentProblem {
  const position = error instanceof Error ? /position (\d+)/.exec(error.message)?.[1] : undefined;
  const offset = position === undefined ? findFault(text) : Number(position);
  const found = offset >= text.length ? "the end of the file" : `"${text.charAt(offset)}"`;
  return problemAt(text, Math.min(offset, text.length), `Invalid JSON: unexpected ${found}`);
}

/** Where the text stops being JSON, for the messages that do not say. */
function findFault(text: string): number {
  const cursor = createCursor(text);
  skipValue(cursor);
  return cursor.failedAt ?? skipBlank(text, cursor.at);
}

interface Outline {
  readonly depth: number;
  readonly deepest: number;
  readonly colons: number;
  /** Offsets, lines and columns of the objects in the top-level list `keys`. */
  readonly records: readonly number[];
  readonly recordLines: readonly number[];
  readonly recordColumns: readonly number[];
  /** Offsets of numbers that are written otherwise than the program would write them. */
  readonly respelt: readonly number[];
}

const KEYS_BEFORE = /"keys"\s*:\s*$/;
// Room for the name, the colon and some blanks; a file with more blanks there only loses line numbers.
const KEYS_BEFORE_LENGTH = 64;

const NEWLINE = 10;
const QUOTE = 34;
const MINUS = 45;
const ZERO = 48;
const NINE = 57;
const COLON = 58;
const OPEN_BRACKET = 91;
const BACKSLASH = 92;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/** One pass over the characters outside strings. It trusts nothing: the engine's parser judges the syntax. */
function scan(text: string): Outline {
  const records: number[] = [];
  const recordLines: number[] = [];
  const recordColumns: number[] = [];
  const respelt: number[] = [];
  let depth = 0;
  let maxDepth = 0;
  let deepest = 0;
  let colons = 0;
  let line = 1;
  let lineStart = 0;
  let inKeys = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    switch (code) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case NEWLINE:
        line += 1;
        lineStart = at + 1;
        break;
      case COLON:
        colons += 1;
        break;
      case OPEN_BRACE:
        if (inKeys && depth === 2) {
          records.push(at);
          recordLines.push(line);
          recordColumns.push(at - lineStart + 1);
        }
        depth += 1;
        break;
      case OPEN_BRACKET:
        if (depth === 1) inKeys = KEYS_BEFORE.test(text.slice(Math.max(0, at - KEYS_BEFORE_LENGTH), at));
        depth += 1;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        depth -= 1;
        break;
      default:
        if (code === MINUS || (code >= ZERO && code <= NINE)) {
          const number = numberAt(text, at);
          if (String(Number(number)) !== number) respelt.push(at);
          at += number.length - 1;
        }
    }
    if (depth > maxDepth) {
      maxDepth = depth;
      deepest = at;
    }
  }
  return { depth: maxDepth, deepest, colons, records, recordLines, recordColumns, respelt };
}

/** The offset of the closing quote of the string that opens at `at`. */
function endOfString(text: string, at: number): number {
  let end = text.indexOf('"', at + 1);
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end === -1 ? text.length : end;
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1;
  return slashes % 2 === 1;
}

/** How many members all objects have; NaN, which equals no count, where one is called `__proto__`. */
function countMembers(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) count += countMembers(item);
    return count;
  }
  if (Object.hasOwn(value, "__proto__")) return Number.NaN;
  for (const member of Object.values(value)) count += 1 + countMembers(member);
  return count;
}

function findBadNames(text: string): readonly DocumentProblem[] {
  const problems: DocumentProblem[] = [];
  const seen = new Set<string>();
  skipValue(
    createCursor(text, 0, (path, nameAt) => {
      const name = path.at(-1);
      const key = JSON.stringify(path);
      if (nameAt === undefined) return false;
      if (name === "__proto__")
        problems.push(problemAt(text, nameAt, "The name __proto__ is not allowed", path.slice(0, -1)));
      else if (seen.has(key)) {
        problems.push(problemAt(text, nameAt, `The name ${JSON.stringify(name)} stands twice here`, path));
      }
      seen.add(key);
      return false;
    }),
  );
  return problems;
}

/**
 * Finds paths by walking the text again: within a record from where that record begins, and within any other list of
 * the top level from where its entry does, which one walk finds for all of them.
 */
function createLocator(text: string, outline: Outline | undefined): Document["locate"] {
  const entriesOf = new Map<string, readonly number[]>();
  return (path, part) => {
    const [list, index] = path;
    if (typeof list !== "string" || typeof index !== "number") return locate(text, path, part, outline);
    if (list === "keys" && outline?.records[index] !== undefined) return locate(text, path, part, outline);
    let entries = entriesOf.get(list);
    if (entries === undefined) {
      entries = findEntries(text, list);
      entriesOf.set(list, entries);
    }
    const start = entries[index];
    const found = start === undefined ? undefined : findOffset(text, start, path.slice(2), part);
    return found === undefined ? undefined : toPosition(text, found);
  };
}

/** Where each entry of a list of the top level begins. */
function findEntries(text: string, list: string): readonly number[] {
  const entries: number[] = [];
  skipValue(
    createCursor(text, skipBlank(text, 0), ([name, index, ...deeper], _, valueAt) => {
      if (name === list && typeof index === "number" && deeper.length === 0) entries.push(valueAt);
      return false;
    }),
  );
  return entries;
}

/** Finds a path by walking the text again; within a record, from where that record begins. */
function locate(text: string, path: Path, part: "value" | "name", outline: Outline | undefined): Position | undefined {
  const index = path[0] === "keys" && typeof path[1] === "number" ? path[1] : -1;
  const start = outline?.records[index];
  if (start === undefined) {
    const found = findOffset(text, skipBlank(text, 0), path, part);
    return found === undefined ? undefined : toPosition(text, found);
  }
  const found = findOffset(text, start, path.slice(2), part);
  if (found === undefined) return undefined;
  const within = toPosition(text.slice(start, found), found - start);
  const line = (outline?.recordLines[index] ?? 1) + within.line - 1;
  return { line, column: within.line === 1 ? (outline?.recordColumns[index] ?? 1) + within.column - 1 : within.column };
}

function findOffset(text: string, start: number, path: Path, part: "value" | "name"): number | undefined {
  if (path.length === 0) return start;
  let found: number | undefined;
  const visit: Visit = (visited, nameAt, valueAt) => {
    if (visited.length !== path.length || visited.some((step, index) => step !== path[index])) return false;
    found = part === "name" ? (nameAt ?? valueAt) : valueAt;
    return true;
  };
  skipValue(createCursor(text, start, visit));
  return found;
}
