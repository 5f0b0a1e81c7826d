import { choicesOf, defaultKeyFormat } from "../config/issue-key.ts";
import { sha256 } from "../policy/digest.ts";
import type { Key } from "../policy/key.ts";
import { generateCredential, type KeyFormat } from "../policy/key-format.ts";
import { compileKeys } from "../policy/key-table-builder.ts";
import type { Policy } from "../policy/policy.ts";

/** A credential nobody else knows, and a policy in which it opens the key it stands in for. */
export interface StandIn {
  readonly credential: string;
  readonly policy: Policy;
  /** What of the real key's text could not be known and was assumed; empty when nothing was. */
  readonly assumption: string;
}

/**
 * Makes a credential for a key whose own is known to nobody, so that the real checks run on it from
 * the first to the last. Only the key's digest is exchanged in the copy of the policy.
 */
export function createStandIn(key: Key, policy: Policy): StandIn {
  const { credential, assumption } = generateFor(key, policy);
  const standIn: Key = { ...key, digest: { kind: "sha256", hex: sha256(credential) } };
  const keys = Array.from(policy.keys.all(), (other) => (other.id === key.id ? standIn : other));
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
