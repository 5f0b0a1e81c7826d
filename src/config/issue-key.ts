import { hmacSha256, type KeyDigest, sha256 } from "../policy/digest.ts";
import type { Key } from "../policy/key.ts";
import {
  type FormatSegment,
  generateCredential,
  type KeyFormat,
  MIN_SECRET_BITS,
  parseKeyFormat,
} from "../policy/key-format.ts";
import type { Policy } from "../policy/policy.ts";

/** A new credential, to be handed out once, and what its record keeps of it. */
export interface Issued {
  readonly credential: string;
  readonly hash: string;
  readonly prefix: string;
}

/** Computes a bcrypt digest off the event loop. */
export type SlowHash = (credential: string, cost: number) => Promise<string>;

/** Where a config names no key formats, keys look like this. */
const DEFAULT_KEY_FORMAT = "lk_{secret:base62(43)}";

// The record shows these many characters of the secret, so that a key in hand is told from its siblings.
const SHOWN_SECRET_CHARACTERS = 4;

export type Succession =
  | { readonly kind: "issued"; readonly issued: Issued }
  /** The record does not tell what its key says of itself, and guessing might make a live key of a test key. */
  | { readonly kind: "undecided"; readonly segment: ChoiceSegment };

/**
 * Issues a credential to take a key's place: of the same format and segments, kept as the same kind of digest. What the
 * record's prefix leaves open is as this instance accepts it, where that is one value. A format that holds too little of a
 * secret gives way to the first one.
 */
export async function issueSuccessor(key: Key, policy: Policy, slowHash: SlowHash): Promise<Succession> {
  const { format, said, prefixLength } = findShape(key, policy);
  const made = new Map<string, string>();
  for (const segment of choiceSegments(format)) {
    const [value, ...others] = valuesFor(segment, said, policy);
    if (value === undefined || others.length > 0) return { kind: "undecided", segment };
    made.set(segment.name, value);
  }
  const credential = generateCredential(format, made);
  const prefix = prefixLength === undefined ? toPrefix(credential, format) : credential.slice(0, prefixLength);
  const hash = await digestLike(key.digest, credential, policy, slowHash);
  return { kind: "issued", issued: { credential, hash, prefix } };
}

/** What a new key shall look like. */
interface Shape {
  readonly format: KeyFormat;
  /** What the old key's prefix says of segments, perhaps in another format. */
  readonly said: ReadonlyMap<string, string>;
  /** How much of a key the old record shows; undefined where that was of a key of another format, or nothing. */
  readonly prefixLength: number | undefined;
}

/** By the first format that the record's prefix fits and whose keys cannot be guessed, else by the first of all. */
function findShape({ prefix }: Key, policy: Policy): Shape {
  const formats = issuedFormats(policy.keyFormats);
  const fitting = formats.flatMap((format) => {
    const said = choicesOf(prefix ?? "", format);
    return said === undefined ? [] : [{ format, said }];
  });
  const same = fitting.find(({ format }) => format.secretBits >= MIN_SECRET_BITS);
  if (same !== undefined) return { ...same, prefixLength: prefix?.length };
  // A config whose first format holds too little of a secret is refused.
  const format = formats[0] ?? defaultKeyFormat();
  return { format, said: fitting[0]?.said ?? new Map(), prefixLength: undefined };
}

/** What a new key may say there: what the old one says, or where that is not told, what is accepted. */
function valuesFor(segment: ChoiceSegment, said: Shape["said"], policy: Policy): readonly string[] {
  const value = said.get(segment.name);
  return value === undefined
    ? acceptedValues(segment, policy)
    : segment.values.filter((candidate) => candidate === value);
}

type ChoiceSegment = Extract<FormatSegment, { readonly kind: "choice" }>;

/** The segments of a format in which its keys differ by what they say of themselves. */
export function choiceSegments(format: KeyFormat): readonly ChoiceSegment[] {
  return format.segments.filter((segment) => segment.kind === "choice");
}

/** What a key may say there to be accepted by this instance. */
export function acceptedValues({ name, values }: ChoiceSegment, { accept }: Pick<Policy, "accept">): readonly string[] {
  const accepted = accept.get(name);
  return accepted === undefined ? values : values.filter((value) => accepted.has(value));
}

async function digestLike(old: KeyDigest, credential: string, policy: Policy, slowHash: SlowHash): Promise<string> {
  if (old.kind === "bcrypt") {
    const digest = await slowHash(credential, old.cost);
    // `$2a$`, `$2b$` and `$2y$` name one algorithm; whoever else reads the file knows the one it wrote.
    return old.text.slice(0, 4) + digest.slice(4);
  }
  const { pepper } = policy.keys;
  return old.kind === "hmac-sha256" && pepper !== undefined
    ? `hmac-sha256:${hmacSha256(credential, pepper)}`
    : `sha256:${sha256(credential)}`;
}

/** What keys that are made look like, by the formats of a config. */
export function issuedFormats(formats: readonly KeyFormat[]): readonly KeyFormat[] {
  return formats.length === 0 ? [defaultKeyFormat()] : formats;
}

/** The format of keys where the config names none. */
export function defaultKeyFormat(): KeyFormat {
  const parsed = parseKeyFormat(DEFAULT_KEY_FORMAT);
  if (parsed.kind === "problem") throw new Error(parsed.problem);
  return parsed.format;
}

/** The part of a key that says what it is, and a few characters of its secret. */
export function toPrefix(credential: string, format: KeyFormat): string {
  const random = format.segments.findIndex((segment) => segment.kind === "random");
  const before = format.segments.slice(0, random).reduce((length, segment) => endOf(credential, segment, length), 0);
  return credential.slice(0, before + SHOWN_SECRET_CHARACTERS);
}

/** Where a segment that begins at `start` of a credential ends. */
function endOf(credential: string, segment: FormatSegment, start: number): number {
  if (segment.kind === "literal") return start + segment.text.length;
  if (segment.kind !== "choice") return start;
  const rest = credential.slice(start);
  const fitting = segment.values.filter((value) => rest.startsWith(value));
  return start + Math.max(0, ...fitting.map((value) => value.length));
}

/** The choices a prefix makes in a format, those that it leaves open left out; undefined when no key of the format begins so. */
export function choicesOf(prefix: string, format: KeyFormat): ReadonlyMap<string, string> | undefined {
  return walk(prefix, format.segments, new Map());
}

function walk(
  rest: string,
  segments: readonly FormatSegment[],
  choices: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> | undefined {
  const [segment, ...more] = segments;
  if (rest === "" || segment === undefined) return rest === "" ? choices : undefined;
  if (segment.kind === "random") return choices;
  if (segment.kind === "checksum") return undefined;
  const texts = segment.kind === "literal" ? [segment.text] : segment.values;
  const make = (text: string) => (segment.kind === "choice" ? new Map([...choices, [segment.name, text]]) : choices);
  // A prefix may end in the middle of a segment, and fit several of its values.
  const [begun, ...others] = texts.filter((text) => text.startsWith(rest));
  if (begun !== undefined) return others.length === 0 ? make(begun) : choices;
  for (const text of texts) {
    const found = rest.startsWith(text) ? walk(rest.slice(text.length), more, make(text)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}
