import { randomInt } from "node:crypto";

/** What a key looks like, compiled from `bk_{environment:live|test}_{secret:hex(32)}`. */
export interface KeyFormat {
  readonly text: string;
  /** The literal text every key of this format begins with; may be empty. */
  readonly prefix: string;
  readonly segments: readonly FormatSegment[];
  readonly pattern: RegExp;
  /** The choices in what the pattern captured; of the same choices always the same map. */
  readonly choicesOf: (groups: RegExpExecArray) => ReadonlyMap<string, string>;
  /** Finds such a key, or most of one, inside other text: for redaction, so it matches too much rather than too little. */
  readonly trace: RegExp;
  /** Bits of randomness in the longest key of this format. */
  readonly secretBits: number;
}

export type FormatSegment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "choice"; readonly name: string; readonly values: readonly string[] }
  | {
      readonly kind: "random";
      readonly name: string;
      readonly charset: Charset;
      readonly min: number;
      readonly max: number;
    }
  | { readonly kind: "checksum"; readonly name: string };

/** The named choices a credential's text makes, such as `environment: live`. */
export type FormatMatch = { readonly format: KeyFormat; readonly segments: ReadonlyMap<string, string> };

export type ParsedKeyFormat =
  | { readonly kind: "format"; readonly format: KeyFormat }
  | { readonly kind: "problem"; readonly problem: string };

interface Charset {
  /** The characters generation draws from. */
  readonly alphabet: string;
  /** The same as a regular-expression class, which may accept more than generation writes. */
  readonly accepts: string;
}

const DIGITS = "0123456789";
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const UPPER = LOWER.toUpperCase();
const BASE62 = DIGITS + UPPER + LOWER;
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

const CHARSETS: ReadonlyMap<string, Charset> = new Map([
  ["hex", { alphabet: "0123456789abcdef", accepts: "[0-9A-Fa-f]" }],
  ["base62", { alphabet: BASE62, accepts: "[0-9A-Za-z]" }],
  ["base58", { alphabet: BASE58, accepts: "[1-9A-HJ-NP-Za-km-z]" }],
  ["base64url", { alphabet: `${BASE62}-_`, accepts: "[0-9A-Za-z_-]" }],
  ["digits", { alphabet: DIGITS, accepts: "[0-9]" }],
  ["alnum", { alphabet: LOWER + DIGITS, accepts: "[0-9A-Za-z]" }],
]);

/** The character sets a format may name, for error messages and docs. */
export const CHARSET_NAMES: readonly string[] = [...CHARSETS.keys()];

// GitHub's form: CRC-32 in base62, left-padded with "0"; 62^6 exceeds 2^32.
const CHECKSUM_LENGTH = 6;
// No real key is longer, and every length bound stays a small number.
const MAX_SEGMENT_LENGTH = 256;
/** Below this a key can be guessed in the long run; the design's floor for generated keys. */
export const MIN_SECRET_BITS = 128;
// How much of a key, after its prefix, must stand in a text before redaction takes it for one.
const TRACE_LENGTH = 6;

/** Parses a format. At most one random segment may vary in length and no choice can be read two ways, so matching is fast. */
export function parseKeyFormat(text: string): ParsedKeyFormat {
  const segments: FormatSegment[] = [];
  const names = new Set<string>();
  for (const piece of text.split(/(\{[^{}]*\})/)) {
    if (piece === "") continue;
    const segment =
      piece.startsWith("{") && piece.endsWith("}") ? parseSegment(piece.slice(1, -1)) : parseLiteral(piece);
    if (typeof segment === "string") return { kind: "problem", problem: segment };
    if (segment.kind !== "literal") {
      if (names.has(segment.name)) return { kind: "problem", problem: `segment "${segment.name}" stands twice` };
      names.add(segment.name);
    }
    segments.push(segment);
  }
  const problem = findProblem(segments);
  return problem === undefined ? { kind: "format", format: compile(text, segments) } : { kind: "problem", problem };
}

function parseLiteral(text: string): FormatSegment | string {
  return /^[A-Za-z0-9_.~-]+$/.test(text)
    ? { kind: "literal", text }
    : `"${text}" holds a character no key may have outside braces; expected letters, digits, _ . ~ or -`;
}

function parseSegment(text: string): FormatSegment | string {
  const [, name, spec] = /^([a-z][A-Za-z0-9_]*):(.+)$/.exec(text) ?? [];
  if (name === undefined || spec === undefined) return `expected {name:what}, found "{${text}}"`;
  if (spec === "crc32") return { kind: "checksum", name };
  const [, charsetName, minText, maxText] = /^([a-z0-9]+)\((\d+)(?:\.\.(\d+))?\)$/.exec(spec) ?? [];
  if (charsetName !== undefined) {
    const charset = CHARSETS.get(charsetName);
    if (charset === undefined) return `unknown character set "${charsetName}"; expected ${CHARSET_NAMES.join(", ")}`;
    const min = Number(minText);
    const max = Number(maxText ?? minText);
    if (min < 1 || max < min || max > MAX_SEGMENT_LENGTH) {
      return `length ${spec} is out of bounds; expected 1 to ${MAX_SEGMENT_LENGTH}, smaller first`;
    }
    return { kind: "random", name, charset, min, max };
  }
  const values = spec.split("|");
  if (!values.every((value) => /^[A-Za-z0-9-]+$/.test(value))) {
    return `expected choices as a|b, a character set as hex(32) or base62(40..43), or crc32; found "${spec}"`;
  }
  return { kind: "choice", name, values };
}

function findProblem(segments: readonly FormatSegment[]): string | undefined {
  const random = segments.filter((segment) => segment.kind === "random");
  if (random.length === 0) return "the format has no random part, such as {secret:hex(32)}";
  if (random.filter((segment) => segment.min !== segment.max).length > 1) {
    return "only one segment may vary in length";
  }
  for (const [index, segment] of segments.entries()) {
    if (segment.kind === "choice" && !isClear(segment.values, segments[index + 1])) {
      return `one choice of segment "${segment.name}" begins another; expected _ . or ~ after it`;
    }
  }
  const checksum = segments.findIndex((segment) => segment.kind === "checksum");
  if (checksum !== -1 && checksum !== segments.length - 1) return "the checksum must stand last";
  return undefined;
}

/** Whether it is plain where a choice ends: twenty that can be read two ways make a million readings of one text. */
function isClear(values: readonly string[], next: FormatSegment | undefined): boolean {
  // No choice holds these, so what follows it ends it.
  if (next === undefined || (next.kind === "literal" && /^[_.~]/.test(next.text))) return true;
  return !values.some((value, index) => values.some((other, at) => at !== index && other.startsWith(value)));
}

function compile(text: string, segments: readonly FormatSegment[]): KeyFormat {
  const first = segments[0];
  const prefix = first?.kind === "literal" ? first.text : "";
  const body = segments.map(toPattern).join("");
  const secretBits = segments.reduce(
    (bits, segment) =>
      bits + (segment.kind === "random" ? segment.max * Math.log2(segment.charset.alphabet.length) : 0),
    0,
  );
  const unnamed = body.replaceAll("(", "(?:");
  // Without a prefix what looks like a key may begin within what looks like another, so both are to be found.
  const trace =
    prefix.length >= MIN_TELLING_PREFIX
      ? `(${RegExp.escape(prefix)}[0-9A-Za-z_.~-]{${TRACE_LENGTH},})`
      : `(?=(${unnamed}))`;
  return {
    text,
    prefix,
    segments,
    pattern: new RegExp(`^${body}$`),
    choicesOf: createChoices(segments),
    trace: new RegExp(trace, "g"),
    secretBits,
  };
}

/** Only choices are captured: no part of a secret is. */
function toPattern(segment: FormatSegment): string {
  switch (segment.kind) {
    case "literal":
      return RegExp.escape(segment.text);
    case "choice":
      return `(${segment.values.map((value) => RegExp.escape(value)).join("|")})`;
    case "random":
      return `${segment.charset.accepts}{${segment.min},${segment.max}}`;
    case "checksum":
      return `[0-9A-Za-z]{${CHECKSUM_LENGTH}}`;
    default:
      return segment satisfies never;
  }
}

/** The first format a credential fits, checksum included; undefined when it fits none. */
export function matchKeyFormat(credential: string, formats: readonly KeyFormat[]): FormatMatch | undefined {
  for (const format of formats) {
    if (!credential.startsWith(format.prefix)) continue;
    const groups = format.pattern.exec(credential);
    if (groups !== null && hasValidChecksum(credential, format)) return { format, segments: format.choicesOf(groups) };
  }
  return undefined;
}

// A shorter prefix, or none, is fitted by chance: an ETag is not a key because it is 32 hex digits.
const MIN_TELLING_PREFIX = 2;

/** Whether a text is a key by its own looks: of a format whose literal prefix nothing else begins with. */
export function isPrefixedKey(text: string, formats: readonly KeyFormat[]): boolean {
  return formats.some(
    (format) => format.prefix.length >= MIN_TELLING_PREFIX && matchKeyFormat(text, [format]) !== undefined,
  );
}

// Most formats offer a handful of combinations. Of one that offers more none is remembered.
const MAX_COMBINATIONS = 1024;

function createChoices(segments: readonly FormatSegment[]): KeyFormat["choicesOf"] {
  const choices = segments
    .filter((segment) => segment.kind === "choice")
    .map((segment, index) => ({ ...segment, group: index + 1 }));
  const choicesOf: KeyFormat["choicesOf"] = (groups) =>
    new Map(choices.map(({ name, group }) => [name, groups[group] ?? ""]));
  if (choices.reduce((count, { values }) => count * values.length, 1) > MAX_COMBINATIONS) return choicesOf;
  const remembered: ReadonlyMap<string, string>[] = [];
  return (groups) => {
    // Which combination it is, as a number whose digits are the choices.
    let combination = 0;
    for (const { group, values } of choices) {
      combination = combination * values.length + values.indexOf(groups[group] ?? "");
    }
    const made = remembered[combination] ?? choicesOf(groups);
    remembered[combination] = made;
    return made;
  };
}

function hasValidChecksum(credential: string, format: KeyFormat): boolean {
  if (format.segments.at(-1)?.kind !== "checksum") return true;
  return checksum(credential.slice(0, -CHECKSUM_LENGTH)) === credential.slice(-CHECKSUM_LENGTH);
}

/** Makes a new credential: the longest the format allows, each choice as asked or the first one. */
export function generateCredential(format: KeyFormat, choices: ReadonlyMap<string, string> = new Map()): string {
  let credential = "";
  for (const segment of format.segments) {
    switch (segment.kind) {
      case "literal":
        credential += segment.text;
        break;
      case "choice":
        credential += choices.get(segment.name) ?? segment.values[0] ?? "";
        break;
      case "random":
        credential += randomText(segment.charset.alphabet, segment.max);
        break;
      case "checksum":
        credential += checksum(credential);
        break;
      default:
        segment satisfies never;
    }
  }
  return credential;
}

function randomText(alphabet: string, length: number): string {
  let text = "";
  for (let count = 0; count < length; count += 1) text += alphabet.charAt(randomInt(alphabet.length));
  return text;
}

/** Everything before it, as CRC-32 in base62: tells a mistyped key from an unknown one without a look-up. */
function checksum(text: string): string {
  let crc = 0xffffffff;
  for (let index = 0; index < text.length; index += 1) {
    crc ^= text.charCodeAt(index);
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  let rest = (crc ^ 0xffffffff) >>> 0;
  let encoded = "";
  for (let digit = 0; digit < CHECKSUM_LENGTH; digit += 1) {
    encoded = BASE62.charAt(rest % 62) + encoded;
    rest = Math.floor(rest / 62);
  }
  return encoded;
}

/** Replaces whatever looks like a key of these formats. For text a client wrote that goes into a log. */
export function redactKeys(text: string, formats: readonly KeyFormat[]): string {
  return formats.reduce(redactOne, text);
}

/** All that any trace covers goes, once where they overlap. */
function redactOne(text: string, { trace, prefix }: KeyFormat): string {
  if (prefix.length >= MIN_TELLING_PREFIX && !text.includes(prefix)) return text;
  let redacted = "";
  let end = 0;
  for (const { index, 1: found = "" } of text.matchAll(trace)) {
    if (index >= end) redacted += `${text.slice(end, index)}${prefix}[redacted]`;
    end = Math.max(end, index + found.length);
  }
  return redacted + text.slice(end);
}
