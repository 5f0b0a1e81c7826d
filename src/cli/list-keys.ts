import { findStatusProblem, type Key } from "../policy/key.ts";
import { formatSource } from "./explain-format.ts";
import { toInstant } from "./instant.ts";
import { formatLimits } from "./summary.ts";

/** A key as it is shown: nothing in it says what the key is, or what its digest is. */
export interface ListedKey {
  readonly id: string;
  readonly name: string | null;
  readonly tenant: string | null;
  /** As it counts at this instant: `active`, or why the key may not be used. */
  readonly status: "active" | "suspended" | "revoked" | "expired" | "not yet valid";
  readonly prefix: string | null;
  readonly scopes: readonly string[];
  readonly limits: readonly string[];
  readonly readOnly: boolean;
  readonly notBefore: string | null;
  readonly expiresAt: string | null;
  readonly allowIps: readonly string[];
  readonly rotatedTo: string | null;
  readonly file: string;
  readonly line: number;
}

export function listKeys(keys: readonly Key[], nowMs: number): readonly ListedKey[] {
  return keys.map((key) => ({
    id: key.id,
    name: key.name ?? null,
    tenant: key.tenant ?? null,
    status: statusOf(key, nowMs),
    prefix: key.prefix ?? null,
    scopes: key.scopes,
    limits: key.limits.map((limit) => formatLimits([limit])),
    readOnly: key.readOnly,
    notBefore: key.notBeforeMs === undefined ? null : toInstant(key.notBeforeMs),
    expiresAt: key.expiresAtMs === undefined ? null : toInstant(key.expiresAtMs),
    allowIps: key.networks?.ranges ?? [],
    rotatedTo: key.rotatedTo ?? null,
    file: key.source.file,
    line: key.source.line,
  }));
}

function statusOf(key: Key, nowMs: number): ListedKey["status"] {
  const problem = findStatusProblem(key, nowMs);
  switch (problem) {
    case undefined:
      return "active";
    case "key_revoked":
      return "revoked";
    case "key_suspended":
      return "suspended";
    case "key_expired":
      return "expired";
    case "key_not_yet_valid":
      return "not yet valid";
    default:
      return problem satisfies never;
  }
}

const COLUMNS: readonly (readonly [title: string, text: (key: ListedKey) => string])[] = [
  ["ID", ({ id }) => id],
  ["NAME", ({ name }) => name ?? "-"],
  ["STATUS", ({ status, readOnly }) => (readOnly ? `${status}, read-only` : status)],
  ["PREFIX", ({ prefix }) => (prefix === null ? "-" : `${prefix}…`)],
  ["SCOPES", ({ scopes }) => scopes.join(" ") || "-"],
  ["LIMITS", ({ limits }) => limits.join(" ") || "-"],
  ["EXPIRES", ({ expiresAt }) => expiresAt?.slice(0, 10) ?? "never"],
  ["FROM", ({ allowIps }) => allowIps.join(" ") || "anywhere"],
  ["AT", ({ file, line }) => formatSource({ file, line })],
];

/** The list as a table, each column as wide as its widest entry. */
export function formatKeys(keys: readonly ListedKey[]): string {
  if (keys.length === 0) return "No keys. Make one with: latchkey keys create --id my-first-key\n";
  const rows = [COLUMNS.map(([title]) => title), ...keys.map((key) => COLUMNS.map(([, text]) => text(key)))];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}
