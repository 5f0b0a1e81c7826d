import { createHmac, createSecretKey, hash, type KeyObject } from "node:crypto";

/** How a key's credential is kept: the only form at rest. */
export type KeyDigest =
  | { readonly kind: "sha256"; readonly hex: string }
  | { readonly kind: "hmac-sha256"; readonly hex: string }
  | { readonly kind: "bcrypt"; readonly text: string; readonly cost: number };

// The modular crypt form: version, cost, 22 characters of salt and 31 of digest in bcrypt's own base64.
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const HEX_LENGTH = 64;

// bcrypt's own bounds are 4 to 31; each step doubles the work, and 16 already takes seconds a key.
const MIN_BCRYPT_COST = 4;
const MAX_BCRYPT_COST = 16;

/** bcrypt reads no further than this many bytes, so a longer credential is refused, never truncated. */
export const BCRYPT_MAX_BYTES = 72;

/** Parses a record's digest; undefined when the text is in none of the accepted forms. */
export function parseDigest(text: string): KeyDigest | undefined {
  for (const kind of ["sha256", "hmac-sha256"] as const) {
    if (!text.startsWith(`${kind}:`)) continue;
    const start = kind.length + 1;
    return isDigestHex(text, start) ? { kind, hex: text.slice(start).toLowerCase() } : undefined;
  }
  const cost = Number(BCRYPT.exec(text)?.[1]);
  return cost >= MIN_BCRYPT_COST && cost <= MAX_BCRYPT_COST ? { kind: "bcrypt", text, cost } : undefined;
}

/** By hand, since large files hold a hundred thousand: a regular expression takes five times as long. */
function isDigestHex(text: string, start: number): boolean {
  if (text.length !== start + HEX_LENGTH) return false;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    const isDigit = code >= 0x30 && code <= 0x39;
    const isLetter = (code >= 0x61 && code <= 0x66) || (code >= 0x41 && code <= 0x46);
    if (!isDigit && !isLetter) return false;
  }
  return true;
}

export function sha256(credential: string): string {
  return hash("sha256", credential, "hex");
}

/** A pepper as a key object, which Node hashes with several times faster than with a Buffer. */
export function createPepper(bytes: Uint8Array): KeyObject {
  return createSecretKey(bytes);
}

export function hmacSha256(credential: string, pepper: KeyObject): string {
  return createHmac("sha256", pepper).update(credential).digest("hex");
}
