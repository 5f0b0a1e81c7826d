import { createHash, timingSafeEqual } from "node:crypto";

/** Whether a presented token has the configured digest; in a time that tells nothing of either. */
export function isToken(presented: string | undefined, sha256Hex: string | undefined): boolean {
  if (presented === undefined || sha256Hex === undefined) return false;
  return timingSafeEqual(createHash("sha256").update(presented).digest(), Buffer.from(sha256Hex, "hex"));
}
