import type { Limit } from "../policy/bucket.ts";
import { type KeyDigest, parseDigest } from "../policy/digest.ts";
import type { Key } from "../policy/key.ts";
import { type KeyFormat, matchKeyFormat } from "../policy/key-format.ts";
import type { NetworkSet } from "../policy/network.ts";
import { compileGrants, type Grants, isScopeText, type ScopeCatalogue } from "../policy/scope.ts";
import { compileLimits, exceedsRate, KEY_LIMIT_SCOPE } from "./compile-limits.ts";
import { compileRanges } from "./compile-networks.ts";
import { checkScope } from "./compile-routes.ts";
import type { Diagnostic, Path } from "./diagnostics.ts";
import type { Document } from "./document.ts";
import type { WrittenKey } from "./key-schema.ts";
import { createReport, type Report } from "./report.ts";
import { parseInstant, quote, type Rate } from "./values.ts";

/** The records of one document, already validated; they stand under its top-level `keys`. */
export interface RecordList {
  readonly document: Document;
  readonly records: readonly WrittenKey[];
}

/** What the main file says that a record is read against. */
export interface KeyContext {
  readonly catalogue: ScopeCatalogue | undefined;
  readonly defaultLimits: readonly Limit[];
  readonly max: Rate | undefined;
  /** Whether the main file names a pepper, readable or not. */
  readonly hasPepper: boolean;
  readonly formats: readonly KeyFormat[];
}

/** Compiles every record of every file; records with errors are reported and left out. */
export function compileKeyRecords(
  lists: readonly RecordList[],
  context: KeyContext,
  found: Diagnostic[],
): readonly Key[] {
  const keys: Key[] = [];
  const memo = createMemo();
  const seen: Seen = { ids: new Map(), digests: new Map() };
  for (const { document, records } of lists) {
    const report = createReport(document, found);
    for (const [index, record] of records.entries()) {
      const key = compileRecord(record, index, document, context, memo, report);
      if (key !== undefined && isNew(key, seen, report, ["keys", index])) keys.push(key);
    }
  }
  return keys;
}

/** Most records say the same as many others; what that compiles to is shared, which is also what keeps them small. */
interface Memo {
  readonly grants: Map<string, Grants>;
  readonly limits: Map<string, readonly Limit[]>;
  readonly networks: Map<string, NetworkSet | undefined>;
  readonly judgedScopes: Set<string>;
}

function createMemo(): Memo {
  return { grants: new Map(), limits: new Map(), networks: new Map(), judgedScopes: new Set() };
}

function remember<T>(cache: Map<string, T>, name: string, make: () => T): T {
  const known = cache.get(name);
  if (known !== undefined) return known;
  const made = make();
  cache.set(name, made);
  return made;
}

const NO_METADATA: ReadonlyMap<string, string> = new Map();

function compileRecord(
  record: WrittenKey,
  index: number,
  document: Document,
  context: KeyContext,
  memo: Memo,
  report: Report,
): Key | undefined {
  const path = ["keys", index];
  const digest = compileDigest(record, context, report, path);
  checkTexts(record, context.formats, report, path);
  const scopes = typeof record.scopes === "string" ? [record.scopes] : (record.scopes ?? []);
  const grants = compileScopes(scopes, context.catalogue, memo, report, path);
  const limits = compileKeyLimits(record, context, memo, report, path);
  const ranges = typeof record.allowIps === "string" ? [record.allowIps] : (record.allowIps ?? []);
  const networks =
    ranges.length === 0
      ? undefined
      : remember(memo.networks, ranges.join(), () => compileRanges(ranges, report, [...path, "allowIps"]));
  const notBeforeMs = compileInstant(record.notBefore, report, [...path, "notBefore"]);
  const expiresAtMs = compileInstant(record.expiresAt, report, [...path, "expiresAt"]);
  if (notBeforeMs !== undefined && expiresAtMs !== undefined && notBeforeMs >= expiresAtMs) {
    report.error(
      [...path, "expiresAt"],
      "The key expires before it becomes valid; expected an instant after notBefore",
    );
  }
  if (digest === undefined) return undefined;
  return {
    id: record.id,
    name: record.name,
    tenant: record.tenant,
    digest,
    prefix: record.prefix,
    scopes,
    grants,
    limits,
    networks,
    notBeforeMs,
    expiresAtMs,
    status: record.status ?? "active",
    readOnly: record.readOnly ?? false,
    rotatedTo: record.rotatedTo,
    metadata:
      record.metadata === undefined
        ? NO_METADATA
        : new Map(Object.entries(record.metadata).map(([name, value]) => [name, String(value)])),
    source: { file: document.file, line: document.recordLine(index) },
  };
}

const HASH_KEY_FIX = "`latchkey keys hash` turns a key into its digest";

function compileDigest(record: WrittenKey, context: KeyContext, report: Report, path: Path): KeyDigest | undefined {
  const at = [...path, "hash"];
  const digest = parseDigest(record.hash);
  if (digest === undefined) {
    report.error(at, describeBadDigest(record.hash, context.formats), HASH_KEY_FIX);
    return undefined;
  }
  if (digest.kind === "hmac-sha256" && !context.hasPepper) {
    report.error(at, "An hmac-sha256 digest needs hashing.pepper in the main file, which is not set");
  }
  if (digest.kind === "bcrypt" && (record.prefix ?? "") === "") {
    // Without a prefix every request would cost one slow hash per record, so such a key is never looked at.
    report.error(at, "A bcrypt digest needs `prefix`, the key's first characters; without it the key can never match");
  }
  return digest;
}

function describeBadDigest(hash: string, formats: readonly KeyFormat[]): string {
  const shape = "sha256:<64 hex>, hmac-sha256:<64 hex> or a bcrypt string ($2a$, $2b$ or $2y$, cost 4 to 16)";
  if (matchKeyFormat(hash, formats)) return `This is a key itself, not its digest; expected ${shape}`;
  if (/^[0-9a-fA-F]{64}$/.test(hash)) {
    return `64 hex digits without an algorithm may be a key or a digest; expected ${shape}`;
  }
  return `Expected ${shape}`;
}

// Ids stand in headers, logs, metrics, URLs and shell commands, so they hold what all of those carry as it is.
const ID = /^[A-Za-z0-9][A-Za-z0-9._:@+~-]{0,127}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;

function checkTexts(record: WrittenKey, formats: readonly KeyFormat[], report: Report, path: Path): void {
  if (!ID.test(record.id)) {
    report.error(
      [...path, "id"],
      "Expected 1 to 128 letters, digits and . _ : @ + ~ -, beginning with a letter or digit",
    );
  }
  for (const field of ["id", "name", "tenant", "prefix", "rotatedTo"] as const) {
    const text = record[field];
    if (text !== undefined) checkText(text, formats, report, [...path, field]);
  }
  if (record.metadata === undefined) return;
  for (const [name, value] of Object.entries(record.metadata)) {
    if (!/^[A-Za-z0-9_.-]+$/.test(name)) {
      report.error([...path, "metadata", name], "Expected a name of letters, digits and _ . -");
    }
    if (typeof value === "string") checkText(value, formats, report, [...path, "metadata", name]);
  }
}

function checkText(text: string, formats: readonly KeyFormat[], report: Report, path: Path): void {
  if (CONTROL.test(text)) report.error(path, "Expected text without control characters");
  for (const format of formats) {
    // Without a literal prefix anything of the right length would be taken for a key.
    if (format.prefix.length < 2 || !text.startsWith(format.prefix)) continue;
    if (matchKeyFormat(text, [format]))
      report.error(path, "This is a key itself; a record never holds it", HASH_KEY_FIX);
  }
}

function compileScopes(
  scopes: readonly string[],
  catalogue: ScopeCatalogue | undefined,
  memo: Memo,
  report: Report,
  path: Path,
): Grants {
  const name = scopes.join("\n");
  for (const [index, scope] of scopes.entries()) {
    if (memo.judgedScopes.has(scope)) continue;
    const at = [...path, "scopes", index];
    if (!isScopeText(scope))
      report.error(at, `Expected a scope such as orders:read or orders:*; found ${quote(scope)}`);
    else if (!scope.includes("*") && catalogue !== undefined && !catalogue.has(scope)) {
      checkScope(scope, catalogue, (message, fix) => report.warning(at, message, fix));
    } else memo.judgedScopes.add(scope);
  }
  return remember(memo.grants, name, () => compileGrants(scopes, catalogue ?? new Map()));
}

function compileKeyLimits(
  record: WrittenKey,
  { defaultLimits, max }: KeyContext,
  memo: Memo,
  report: Report,
  path: Path,
): readonly Limit[] {
  const written = record.limits;
  if (written === undefined) return defaultLimits;
  const at = [...path, "limits"];
  const compile = () => {
    const limits = compileLimits(written, KEY_LIMIT_SCOPE, report, at);
    if (max === undefined || !exceedsRate(limits, max)) return limits;
    const asked = limits.length === 0 ? "no limit at all" : limits.map(({ name }) => name).join(", ");
    report.error(at, `The key asks for ${asked}, more than limits.max (${max.text}) in the main file`);
    return undefined;
  };
  const name = JSON.stringify(written);
  const known = memo.limits.get(name);
  if (known !== undefined) return known;
  // What is wrong is reported for each record that says it, so only what is right is remembered.
  const limits = compile();
  if (limits !== undefined) memo.limits.set(name, limits);
  return limits ?? [];
}

function compileInstant(text: string | undefined, report: Report, path: Path): number | undefined {
  if (text === undefined) return undefined;
  const parsed = parseInstant(text);
  if (parsed.kind === "value") return parsed.value;
  report.error(path, `Expected ${parsed.problem}`);
  return undefined;
}

interface Seen {
  readonly ids: Map<string, Key>;
  readonly digests: Map<string, Key>;
}

/** Two records with one id would share buckets and lose one another; two with one digest are one credential. */
function isNew(key: Key, seen: Seen, report: Report, path: Path): boolean {
  const digest = key.digest.kind === "bcrypt" ? key.digest.text : `${key.digest.kind}:${key.digest.hex}`;
  const sameId = seen.ids.get(key.id);
  const sameDigest = seen.digests.get(digest);
  if (sameId !== undefined) {
    const { file, line } = sameId.source;
    report.error([...path, "id"], `The id ${quote(key.id)} stands already at ${file}:${line}`);
  } else if (sameDigest !== undefined) {
    const { file, line } = sameDigest.source;
    report.error([...path, "hash"], `The same digest belongs to key ${quote(sameDigest.id)} at ${file}:${line}`);
  }
  seen.ids.set(key.id, key);
  seen.digests.set(digest, key);
  return sameId === undefined && sameDigest === undefined;
}

/** Says of rotations that lead to no key. */
export function checkRotations(
  lists: readonly RecordList[],
  keys: ReadonlyMap<string, unknown>,
  found: Diagnostic[],
): void {
  for (const { document, records } of lists) {
    for (const [index, { rotatedTo }] of records.entries()) {
      if (rotatedTo === undefined || keys.has(rotatedTo)) continue;
      createReport(document, found).warning(["keys", index, "rotatedTo"], `No key has the id ${quote(rotatedTo)}`);
    }
  }
}
