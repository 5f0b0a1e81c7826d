import type { WrittenKey } from "./key-schema.ts";

/**
 * Whether a value is obviously a key record: one of strings and lists of strings, as nearly all are. Of what it takes, the
 * schema would make an equal record; a test compares them. What it does not take is for the schema to judge, which needs
 * several times as long.
 */
export function isPlainKey(value: unknown): value is WrittenKey {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const record = value as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(record)) {
    if (!Object.hasOwn(IS_PLAIN, name) || !IS_PLAIN[name as keyof WrittenKey](record[name])) return false;
  }
  return typeof record["id"] === "string" && typeof record["hash"] === "string";
}

/** A keys file of nothing but such records. */
export function isPlainKeysFile(value: unknown): value is { readonly keys: WrittenKey[] } {
  if (typeof value !== "object" || value === null) return false;
  const [name, ...others] = Object.keys(value);
  const { keys } = value as { readonly keys?: unknown };
  return name === "keys" && others.length === 0 && Array.isArray(keys) && keys.every(isPlainKey);
}

const isText = (value: unknown): boolean => typeof value === "string";
const isTextOrTexts = (value: unknown): boolean => isText(value) || (Array.isArray(value) && value.every(isText));
const STATUSES: ReadonlySet<unknown> = new Set<WrittenKey["status"]>(["active", "suspended", "revoked"]);

/** One rule for each field there is. */
const IS_PLAIN: Readonly<Record<keyof WrittenKey, (value: unknown) => boolean>> = {
  id: isText,
  name: isText,
  hash: isText,
  prefix: isText,
  tenant: isText,
  scopes: isTextOrTexts,
  limits: isTextOrTexts,
  allowIps: isTextOrTexts,
  notBefore: isText,
  expiresAt: isText,
  status: (value) => STATUSES.has(value),
  readOnly: (value) => typeof value === "boolean",
  rotatedTo: isText,
  metadata: (value) => typeof value === "object" && value !== null && isPlainMetadata(value),
};

function isPlainMetadata(metadata: object): boolean {
  // The schema drops this one name of all.
  if (Array.isArray(metadata) || Object.hasOwn(metadata, "__proto__")) return false;
  return Object.values(metadata).every(isText);
}
