import { acceptedValues, choiceSegments, choicesOf, defaultKeyFormat, issuedFormats } from "../config/issue-key.ts";
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
  for (const format of issuedFormats(policy.keyFormats)) {
    const said = choicesOf(key.prefix ?? "", format);
    if (said === undefined) continue;
    const assumed = assumeChoices(format, said, policy);
    const named = [...assumed].map(([name, value]) => `${name} ${value}`).join(", ");
    const silent = key.prefix === undefined ? "has no prefix" : `has a prefix that does not tell, "${key.prefix}"`;
    return {
      credential: generateCredential(format, new Map([...said, ...assumed])),
      assumption: named === "" ? "" : `the record ${silent}, so its key is taken to be for ${named}`,
    };
  }
  // The real key is refused as malformed, and so must its stand-in be: it keeps the prefix.
  const credential = `${key.prefix}${generateCredential(defaultKeyFormat()).replaceAll("_", "")}`;
  const assumption = policy.keyFormats.length === 0 ? "" : `the record's prefix "${key.prefix}" fits no key format`;
  return { credential, assumption };
}

/** What is not known of a key's segments, taken to be as this instance accepts it, or the first there is. */
function assumeChoices(format: KeyFormat, said: ReadonlyMap<string, string>, policy: Policy) {
  const open = choiceSegments(format).filter(({ name }) => !said.has(name));
  const assume = (segment: (typeof open)[number]) => acceptedValues(segment, policy)[0] ?? segment.values[0] ?? "";
  return new Map(open.map((segment) => [segment.name, assume(segment)]));
}
