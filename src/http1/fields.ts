import { sliceKept } from "./kept-text.ts";

/** Header lines as received, flat: name, value, name, value … Values without the blanks around them. */
export type FieldLines = string[];

/** The same as they travel: `name: value`, each line with its CRLF. */
export type FieldText = string;

// RFC 9110 §5.6.2.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// RFC 9110 §5.5: tab, visible ASCII, blank and the opaque bytes beyond ASCII; no other control byte.
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
// Any number of whole lines, each a token, a colon and such a value: all of a head is judged in one go.
const SOUND_LINES = /(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/y;

/** Fields that tell a message's end, or what becomes of its connection. */
export type FieldKind =
  | "host"
  | "connection"
  | "content-length"
  | "transfer-encoding"
  | "keep-alive"
  | "expect"
  | "upgrade"
  | "date"
  | "other";

export interface FieldName {
  /** In lower case: names are compared without it (RFC 9110 §5.1). */
  readonly lower: string;
  readonly kind: FieldKind;
}

const KINDS: ReadonlyMap<string, FieldKind> = new Map([
  ["host", "host"],
  ["connection", "connection"],
  ["content-length", "content-length"],
  ["transfer-encoding", "transfer-encoding"],
  ["keep-alive", "keep-alive"],
  ["expect", "expect"],
  ["upgrade", "upgrade"],
  ["date", "date"],
]);

// Peers use a handful of names; one who invents names must not grow the table.
const MAX_REMEMBERED = 1024;
const names = new Map<string, FieldName>();

/** What a name is, however it is spelt. Remembers what it has seen. */
export function toFieldName(name: string): FieldName {
  const known = names.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  const found = { lower, kind: KINDS.get(lower) ?? "other" };
  if (names.size < MAX_REMEMBERED) names.set(name, found);
  return found;
}

function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}

/**
 * Parses the field lines of a head or a trailer section, each ended by CRLF, from a place in a latin1 text to its end.
 * Gives the lines, or the problem as text: a bare CR or LF, a folded line (RFC 9112 §5.2) and a blank before the
 * colon (§5.1) are problems, whatever other parsers make of them.
 */
export function parseFieldLines(text: string, from: number): FieldLines | string {
  SOUND_LINES.lastIndex = from;
  if (!SOUND_LINES.test(text)) return findProblem(text, from);
  const lines: FieldLines = [];
  let start = from;
  while (start < text.length) {
    const colon = text.indexOf(":", start);
    const end = text.indexOf("\r", colon);
    lines.push(sliceKept(text, start, colon), sliceTrimmed(text, colon + 1, end));
    start = end + 2;
  }
  return lines;
}

/** What is wrong with lines that are not sound, by the first that is not. */
function findProblem(text: string, from: number): string {
  let start = from;
  while (start < text.length) {
    const end = text.indexOf("\r\n", start);
    if (end === -1) return "a field line does not end in CRLF";
    const colon = text.indexOf(":", start);
    if (colon === -1 || colon > end) return "a field line without a colon";
    if (!TOKEN.test(text.slice(start, colon))) return "a field name that is no token";
    if (!FIELD_VALUE.test(text.slice(colon + 1, end))) return "a field value with a control byte";
    start = end + 2;
  }
  return "field lines that are not sound";
}

/** Lines as they travel. Throws before any value could end where it should not. */
export function toFieldText(lines: readonly string[]): FieldText {
  let text = "";
  for (let index = 0; index < lines.length; index += 2) {
    const value = lines[index + 1] ?? "";
    if (!isFieldValue(value)) throw new Error("a field value with a control byte");
    text += `${lines[index]}: ${value}\r\n`;
  }
  return text;
}

/** Lines that travel, taken apart. Throws where they are not sound. */
export function toFieldLines(text: FieldText): FieldLines {
  const lines = parseFieldLines(text, 0);
  if (typeof lines === "string") throw new Error(lines);
  return lines;
}

/** RFC 9110 §5.6.3: blanks are space and tab. */
function sliceTrimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
