export type PlainScalar = string | number | boolean | null;
export type PlainValue = PlainScalar | PlainValue[] | { [name: string]: PlainValue };

interface Cursor {
  readonly text: string;
  at: number;
}

// Nothing in here has a meaning of its own inside a plain scalar; a colon does before a blank, a # after one.
const PLAIN =
  /[A-Za-z0-9_](?:[A-Za-z0-9_./@+~$*=()&%!?;'\u00a1-\u2027\u202a-\ufefe-]|,(?! *[[\]{},])|:(?=[A-Za-z0-9_/*])| +(?=[^ #]))*/y;
const FLOW_PLAIN =
  /[A-Za-z0-9_](?:[A-Za-z0-9_./@+~$*=()&%!?;'\u00a1-\u2027\u202a-\ufefe-]|:(?=[A-Za-z0-9_/*])| +(?=[A-Za-z0-9_]))*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what the library may refuse
const DOUBLE = /"([^"\\\u0000-\u001f\u007f-\u009f]*)"/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what the library may refuse
const SINGLE = /'([^'\u0000-\u001f\u007f-\u009f]*)'(?!')/y;
const FLOW_NAME = /([A-Za-z][A-Za-z0-9_-]{0,99}): +/y;
const REST = / *(?: #.*)?$/y;

/** Reads the YAML value on the rest of a line, comment included; undefined when it is not obviously plain. */
export function readPlainValue(text: string): PlainValue | undefined {
  const cursor: Cursor = { text, at: 0 };
  const value = readValue(cursor, PLAIN);
  return value !== undefined && match(cursor, REST) !== undefined ? value : undefined;
}

function readValue(cursor: Cursor, plain: RegExp): PlainValue | undefined {
  switch (cursor.text.charAt(cursor.at)) {
    case '"':
      return match(cursor, DOUBLE)?.[1];
    case "'":
      return match(cursor, SINGLE)?.[1];
    case "[":
      return readFlowList(cursor);
    case "{":
      return readFlowMap(cursor);
    default: {
      const text = match(cursor, plain)?.[0];
      return text === undefined ? undefined : toScalar(text);
    }
  }
}

function match(cursor: Cursor, pattern: RegExp): RegExpExecArray | undefined {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(cursor.text);
  if (found === null) return undefined;
  cursor.at += found[0].length;
  return found;
}

const WORDS: ReadonlyMap<string, PlainScalar> = new Map<string, PlainScalar>(
  [["null", null] as const, ["true", true] as const, ["false", false] as const].flatMap(([word, value]) =>
    [word, word.toUpperCase(), word.charAt(0).toUpperCase() + word.slice(1)].map((spelt) => [spelt, value] as const),
  ),
);

// Fifteen digits are exact in a double. With a zero in front it would be written otherwise than it is read.
const INTEGER = /^(?:0|[1-9][0-9]{0,14})$/;
// Anything of these characters alone might be one of YAML's other numbers.
const NUMBER_LIKE = /^(?:[0-9.eE+-]+|0[xo][0-9A-Fa-f]+|[0-9]+)$/;

/** What YAML 1.2's core schema makes of a plain scalar that begins with a letter, digit or underscore. */
function toScalar(text: string): PlainScalar | undefined {
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  if (INTEGER.test(text)) return Number(text);
  // Letters first, or a dot too many for a number, as in an address.
  return NUMBER_LIKE.test(text) && /^[0-9]/.test(text) && !/^[0-9]+\.[0-9]+\.[0-9.]+$/.test(text) ? undefined : text;
}

function readFlowList(cursor: Cursor): PlainValue[] | undefined {
  const items: PlainValue[] = [];
  const isRead = readFlow(cursor, "]", () => {
    const item = readValue(cursor, FLOW_PLAIN);
    if (item !== undefined) items.push(item);
    return item !== undefined;
  });
  return isRead ? items : undefined;
}

function readFlowMap(cursor: Cursor): { [name: string]: PlainValue } | undefined {
  const members: { [name: string]: PlainValue } = {};
  const isRead = readFlow(cursor, "}", () => {
    const name = match(cursor, FLOW_NAME)?.[1];
    const value = name === undefined || Object.hasOwn(members, name) ? undefined : readValue(cursor, FLOW_PLAIN);
    if (name === undefined || value === undefined) return false;
    members[name] = value;
    return true;
  });
  return isRead ? members : undefined;
}

/** Reads what stands between brackets: entries with one comma between any two. */
function readFlow(cursor: Cursor, close: "]" | "}", readEntry: () => boolean): boolean {
  cursor.at += 1;
  skipBlanks(cursor);
  for (let isFirst = true; cursor.text.charAt(cursor.at) !== close; isFirst = false) {
    if (!isFirst) {
      if (cursor.text.charAt(cursor.at) !== ",") return false;
      cursor.at += 1;
      skipBlanks(cursor);
    }
    if (!readEntry()) return false;
    skipBlanks(cursor);
  }
  cursor.at += 1;
  return true;
}

function skipBlanks(cursor: Cursor): void {
  while (cursor.text.charAt(cursor.at) === " ") cursor.at += 1;
}
