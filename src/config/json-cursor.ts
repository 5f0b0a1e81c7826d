import type { Path } from "./diagnostics.ts";

/** Told each member's name and place as it is met; returning true stops the walk there. */
export type Visit = (path: Path, nameAt: number | undefined, valueAt: number) => boolean;

/** A walk over a JSON text from one value's beginning. */
export interface Cursor {
  readonly text: string;
  at: number;
  failedAt: number | undefined;
  readonly visit: Visit | undefined;
}

export function createCursor(text: string, at = 0, visit?: Visit): Cursor {
  return { text, at, failedAt: undefined, visit };
}

export function skipBlank(text: string, at: number): number {
  let next = at;
  while (/[ \t\r\n]/.test(text.charAt(next))) next += 1;
  return next;
}

// RFC 8259 §6 and §7: a string, a number or one of the three names.
const SCALAR =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in strings
  /(?:"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;

/** Walks over one value; false when it met a fault or was told to stop. */
export function skipValue(cursor: Cursor, path: Path = []): boolean {
  cursor.at = skipBlank(cursor.text, cursor.at);
  const first = cursor.text.charAt(cursor.at);
  if (first === "{" || first === "[") return skipContainer(cursor, path, first === "{");
  SCALAR.lastIndex = cursor.at;
  const matched = SCALAR.exec(cursor.text);
  if (matched === null) return fail(cursor);
  cursor.at += matched[0].length;
  return true;
}

function skipContainer(cursor: Cursor, path: Path, isObject: boolean): boolean {
  const close = isObject ? "}" : "]";
  cursor.at = skipBlank(cursor.text, cursor.at + 1);
  if (cursor.text.charAt(cursor.at) === close) {
    cursor.at += 1;
    return true;
  }
  for (let index = 0; ; index += 1) {
    cursor.at = skipBlank(cursor.text, cursor.at);
    const nameAt = isObject ? cursor.at : undefined;
    const step = isObject ? readName(cursor) : index;
    if (step === undefined) return false;
    cursor.at = skipBlank(cursor.text, cursor.at);
    if (cursor.visit?.([...path, step], nameAt, cursor.at) === true) return false;
    if (!skipValue(cursor, [...path, step])) return false;
    cursor.at = skipBlank(cursor.text, cursor.at);
    const next = cursor.text.charAt(cursor.at);
    if (next !== "," && next !== close) return fail(cursor);
    cursor.at += 1;
    if (next === close) return true;
  }
}

function readName(cursor: Cursor): string | undefined {
  const start = cursor.at;
  if (cursor.text.charAt(start) !== '"' || !skipValue(cursor)) {
    fail(cursor);
    return undefined;
  }
  const name = cursor.text.slice(start, cursor.at);
  cursor.at = skipBlank(cursor.text, cursor.at);
  if (cursor.text.charAt(cursor.at) !== ":") {
    fail(cursor);
    return undefined;
  }
  cursor.at += 1;
  return String(JSON.parse(name));
}

function fail(cursor: Cursor): false {
  cursor.failedAt ??= cursor.at;
  return false;
}
