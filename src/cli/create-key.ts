import { findNearest } from "../config/diagnostics.ts";
import { acceptedValues, choiceSegments, defaultKeyFormat, toPrefix } from "../config/issue-key.ts";
import type { NewKeyRecord } from "../config/keys-file.ts";
import { BCRYPT_MAX_BYTES, hmacSha256, sha256 } from "../policy/digest.ts";
import { generateCredential, type KeyFormat, MIN_SECRET_BITS } from "../policy/key-format.ts";
import type { Policy } from "../policy/policy.ts";
import { parseMoment, toInstant } from "./instant.ts";

/** A key as somebody asks for it. */
export interface WantedKey {
  readonly id: string;
  readonly name?: string | undefined;
  readonly tenant?: string | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly limits?: readonly string[] | undefined;
  readonly allowIps?: readonly string[] | undefined;
  /** An instant, or a duration from now such as `90d`. */
  readonly notBefore?: string | undefined;
  readonly expires?: string | undefined;
  readonly readOnly?: boolean | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Named choices of the key format, such as `environment: live`. */
  readonly segments?: ReadonlyMap<string, string> | undefined;
  /** Which of the config's key formats, counting from 1; the first by default. */
  readonly format?: number | undefined;
  readonly digest?: DigestKind | undefined;
}

const DIGEST_KINDS = ["sha256", "hmac-sha256", "bcrypt"] as const;
export type DigestKind = (typeof DIGEST_KINDS)[number];

export type CreatedKey =
  | { readonly kind: "created"; readonly credential: string; readonly record: NewKeyRecord }
  | { readonly kind: "problem"; readonly problem: string };

/** The policy's part in making a key. */
export type KeyMaking = Pick<Policy, "keyFormats" | "accept" | "keys">;

/** Makes a credential and the record that keeps its digest. The credential is nowhere else. */
export async function createKey(wanted: WantedKey, policy: KeyMaking, nowMs: number): Promise<CreatedKey> {
  const format = chooseFormat(wanted.format, policy.keyFormats);
  if (typeof format === "string") return problem(format);
  const wrong = findSegmentProblem(wanted.segments ?? new Map(), format);
  if (wrong !== undefined) return problem(wrong);
  const notBefore = toWrittenInstant(wanted.notBefore, nowMs);
  const expiresAt = toWrittenInstant(wanted.expires, nowMs);
  if (notBefore.kind === "problem") return problem(`--not-before: ${notBefore.problem}`);
  if (expiresAt.kind === "problem") return problem(`--expires: ${expiresAt.problem}`);

  const credential = generateCredential(format, chooseSegments(wanted.segments ?? new Map(), format, policy));
  const digest = await digestCredential(credential, wanted.digest ?? "sha256", policy);
  if (digest.kind === "problem") return digest;
  return {
    kind: "created",
    credential,
    record: {
      id: wanted.id,
      name: wanted.name,
      hash: digest.text,
      prefix: toPrefix(credential, format),
      tenant: wanted.tenant,
      scopes: nonEmpty(wanted.scopes),
      limits: nonEmpty(wanted.limits),
      allowIps: nonEmpty(wanted.allowIps),
      notBefore: notBefore.text,
      expiresAt: expiresAt.text,
      readOnly: wanted.readOnly === true ? true : undefined,
      metadata: wanted.metadata !== undefined && Object.keys(wanted.metadata).length > 0 ? wanted.metadata : undefined,
    },
  };
}

function problem(text: string) {
  return { kind: "problem", problem: text } as const;
}

function nonEmpty(texts: readonly string[] | undefined): readonly string[] | undefined {
  return texts === undefined || texts.length === 0 ? undefined : texts;
}

function chooseFormat(number: number | undefined, formats: readonly KeyFormat[]): KeyFormat | string {
  const format = number === undefined ? (formats[0] ?? defaultKeyFormat()) : formats[number - 1];
  if (format === undefined) {
    return formats.length === 0
      ? "--format: the config names no key formats"
      : `--format: expected a number from 1 to ${formats.length}, the place of the format in keyFormats`;
  }
  return format.secretBits >= MIN_SECRET_BITS
    ? format
    : `the key format ${format.text} holds ${Math.floor(format.secretBits)} bits of secret; a key needs ${MIN_SECRET_BITS}`;
}

function findSegmentProblem(segments: ReadonlyMap<string, string>, format: KeyFormat): string | undefined {
  const choices = choiceSegments(format);
  for (const [name, value] of segments) {
    const choice = choices.find((candidate) => candidate.name === name);
    if (choice === undefined) {
      const names = choices.map((candidate) => candidate.name);
      const nearest = findNearest(name, names);
      const known = names.length === 0 ? "it has none" : `it has ${names.join(", ")}`;
      return `the key format ${format.text} has no segment "${name}" to choose; ${nearest === undefined ? known : `did you mean ${nearest}?`}`;
    }
    if (!choice.values.includes(value)) {
      return `${name} is one of ${choice.values.join(", ")}; found "${value}"`;
    }
  }
  return undefined;
}

/** What was asked for; of the rest, what this instance accepts. */
function chooseSegments(
  asked: ReadonlyMap<string, string>,
  format: KeyFormat,
  policy: KeyMaking,
): ReadonlyMap<string, string> {
  const accepted = choiceSegments(format).flatMap((segment) => {
    const [value] = acceptedValues(segment, policy);
    return value === undefined ? [] : [[segment.name, value] as const];
  });
  return new Map([...accepted, ...asked]);
}

type WrittenInstant = { readonly kind: "instant"; readonly text: string | undefined } | ReturnType<typeof problem>;

function toWrittenInstant(written: string | undefined, nowMs: number): WrittenInstant {
  if (written === undefined) return { kind: "instant", text: undefined };
  const ms = parseMoment(written, nowMs);
  if (ms !== undefined) return { kind: "instant", text: toInstant(Math.floor(ms / 1000) * 1000) };
  return problem(
    `expected an instant such as 2027-01-01T00:00:00Z, a date or a duration such as 90d; found "${written}"`,
  );
}

type Digested = { readonly kind: "digest"; readonly text: string } | ReturnType<typeof problem>;

// Some 250 ms on a server of 2026; keys made here are random, so more would only slow verifying them.
const BCRYPT_COST = 12;

/** The digest of a credential as a record keeps it. */
export async function digestCredential(
  credential: string,
  kind: DigestKind,
  { keys }: { readonly keys: Pick<Policy["keys"], "pepper"> },
  bcryptCost: number = BCRYPT_COST,
): Promise<Digested> {
  switch (kind) {
    case "sha256":
      return { kind: "digest", text: `sha256:${sha256(credential)}` };
    case "hmac-sha256":
      return keys.pepper === undefined
        ? problem("hmac-sha256 needs a pepper: set hashing.pepper in the config")
        : { kind: "digest", text: `hmac-sha256:${hmacSha256(credential, keys.pepper)}` };
    case "bcrypt": {
      if (Buffer.byteLength(credential) > BCRYPT_MAX_BYTES) {
        return problem(`bcrypt reads ${BCRYPT_MAX_BYTES} bytes at most and this key is longer; use sha256`);
      }
      const { hash } = await import("bcryptjs");
      return { kind: "digest", text: await hash(credential, bcryptCost) };
    }
    default:
      return kind satisfies never;
  }
}
