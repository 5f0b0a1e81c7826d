/** Header lines as received, flat: name, value, name, value … Values without the blanks around them. */
export type FieldLines = string[];

// RFC 9110 §5.6.2.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// RFC 9110 §5.5: tab, visible ASCII, blank and the opaque bytes beyond ASCII; no other control byte.
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

// Peers use a handful of names; one who invents names must not grow the table.
const MAX_REMEMBERED = 1024;
const names = new Map<string, string>();

/** The name in lower case where it is one (RFC 9110 §5.1), undefined where it is none. Remembers what it has seen. */
export function lowerFieldName(name: string): string | undefined {
  const known = names.get(name);
  if (known !== undefined) return known;
  if (!TOKEN.test(name)) return undefined;
  const lower = name.toLowerCase();
  if (names.size < MAX_REMEMBERED) names.set(name, lower);
  return lower;
}

export function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}

/**
 * Parses the field lines of a head or a trailer section, each ended by CRLF, between two places in a latin1 text.
 * Gives the lines, or the problem as text: a bare CR or LF, a folded line (RFC 9112 §5.2) and a blank before the
 * colon (§5.1) are problems, whatever other parsers make of them.
 */
export function parseFieldLines(text: string, from: number, to: number): FieldLines | string {
  const lines: FieldLines = [];
  let start = from;
  while (start < to) {
    const end = text.indexOf("\r\n", start);
    if (end === -1 || end >= to) return "a field line does not end in CRLF";
    const colon = text.indexOf(":", start);
    if (colon === -1 || colon > end) return "a field line without a colon";
    const name = text.slice(start, colon);
    if (lowerFieldName(name) === undefined) return "a field name that is no token";
    const value = sliceTrimmed(text, colon + 1, end);
    if (!FIELD_VALUE.test(value)) return "a field value with a control byte";
    lines.push(name, value);
    start = end + 2;
  }
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
