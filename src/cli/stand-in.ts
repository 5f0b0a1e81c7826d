import { sha256 } from "../policy/digest.ts";
import { compileKeys, type Key } from "../policy/key.ts";
import { type FormatSegment, generateCredential, type KeyFormat, parseKeyFormat } from "../policy/key-format.ts";
import type { Policy } from "../policy/policy.ts";

/** A credential nobody else knows, and a policy in which it opens the key it stands in for. */
export interface StandIn {
  readonly credential: string;
  readonly policy: Policy;
  /** What of the real key's text could not be known and was assumed; empty when nothing was. */
  readonly assumption: string;
}

/** Where a config names no key formats, keys look like this. */
export const DEFAULT_KEY_FORMAT = "lk_{secret:base62(43)}";

/**
 * Makes a credential for a key whose own is known to nobody, so that the real checks run on it from
 * the first to the last. Only the key's digest is exchanged in the copy of the policy.
 */
export function createStandIn(key: Key, policy: Policy): StandIn {
  const { credential, assumption } = generateFor(key, policy);
  const standIn: Key = { ...key, digest: { kind: "sha256", hex: sha256(credential) } };
  const keys = policy.keys.all.map((other) => (other === key ? standIn : other));
  return { credential, assumption, policy: { ...policy, keys: compileKeys(keys, policy.keys.pepper) } };
}

function generateFor(key: Key, policy: Policy): Pick<StandIn, "credential" | "assumption"> {
  const formats = policy.keyFormats.length === 0 ? [defaultKeyFormat()] : policy.keyFormats;
  const first = formats[0];
  if (key.prefix === undefined) {
    if (first === undefined) return { credential: "", assumption: "" };
    const choices = acceptedChoices(first, policy);
    const named = [...choices].map(([name, value]) => `${name} ${value}`).join(", ");
    const assumption = named === "" ? "" : `the record has no prefix, so its key is taken to be for ${named}`;
    return { credential: generateCredential(first, choices), assumption };
  }
  for (const format of formats) {
    const choices = choicesOf(key.prefix, format);
    if (choices !== undefined) return { credential: generateCredential(format, choices), assumption: "" };
  }
  // The real key is refused as malformed, and so must its stand-in be: it keeps the prefix.
  const credential = key.prefix + generateCredential(defaultKeyFormat()).replaceAll("_", "");
  const assumption = policy.keyFormats.length === 0 ? "" : `the record's prefix "${key.prefix}" fits no key format`;
  return { credential, assumption };
}

/** The format of keys where the config names none. */
export function defaultKeyFormat(): KeyFormat {
  const parsed = parseKeyFormat(DEFAULT_KEY_FORMAT);
  if (parsed.kind === "problem") throw new Error(parsed.problem);
  return parsed.format;
}

/** One choice per segment that this instance serves, or the first one. */
function acceptedChoices(format: KeyFormat, policy: Policy): ReadonlyMap<string, string> {
  return new Map(
    format.segments.flatMap((segment) => {
      if (segment.kind !== "choice") return [];
      const accepted = policy.accept.get(segment.name);
      const value = segment.values.find((candidate) => accepted?.has(candidate) ?? true) ?? segment.values[0] ?? "";
      return [[segment.name, value] as const];
    }),
  );
}

/** The choices a prefix makes in a format; undefined when no key of the format begins so. */
function choicesOf(prefix: string, format: KeyFormat): ReadonlyMap<string, string> | undefined {
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
  for (const text of segment.kind === "literal" ? [segment.text] : segment.values) {
    // A prefix may end in the middle of a segment.
    if (!rest.startsWith(text) && !text.startsWith(rest)) continue;
    const made = segment.kind === "choice" ? new Map([...choices, [segment.name, text]]) : choices;
    const found = walk(rest.slice(text.length), more, made);
    if (found !== undefined) return found;
  }
  return undefined;
}
