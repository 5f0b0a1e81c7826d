import type { Limit } from "../policy/bucket.ts";
import { type KeyDigest, parseDigest } from "../policy/digest.ts";
import type { Key, KeyTable } from "../policy/key.ts";
import { type KeyFormat, matchKeyFormat } from "../policy/key-format.ts";
import { type Conflict, createKeyTableBuilder } from "../policy/key-table-builder.ts";
import type { NetworkSet } from "../policy/network.ts";
import type { Source } from "../policy/route.ts";
import { compileGrants, isScopeText, type ScopeCatalogue } from "../policy/scope.ts";
import { compileLimits, describeBurstFix, exceedsRate, KEY_LIMIT_SCOPE } from "./compile-limits.ts";
import { compileRanges } from "./compile-networks.ts";
import { checkScope } from "./compile-routes.ts";
import type { Path } from "./diagnostics.ts";
import { isKeyId, KEY_ID_SHAPE } from "./key-id.ts";
import type { WrittenKey } from "./key-schema.ts";
import type { RecordBatch } from "./record-batch.ts";
import { createReport, type Findings, type Report } from "./report.ts";
import { createSlowPrefixes } from "./slow-prefixes.ts";
import { parseInstant, quote, type Rate } from "./values.ts";

/** What the main file says that a record is read against. */
export interface KeyContext {
  readonly catalogue: ScopeCatalogue | undefined;
  readonly defaultLimits: readonly Limit[];
  readonly max: Rate | undefined;
  /** Whether the main file names a pepper, readable or not. */
  readonly hasPepper: boolean;
  /** What keys look like; those that `keys create` makes where the file does not say. */
  readonly formats: readonly KeyFormat[];
  /** Looks at each key beside what the main file says; `index` is where its record stands in its file. */
  readonly lint: ((key: Key, index: number, report: Report) => void) | undefined;
}

/** The table of keys as it grows. */
export interface KeyCompiler {
  /** Compiles records and adds their keys; records with errors are reported and left out. */
  readonly add: (batch: RecordBatch) => void;
  readonly hasId: (id: string) => boolean;
  readonly finish: () => KeyTable;
}

export function createKeyCompiler(context: KeyContext, found: Findings): KeyCompiler {
  const table = createKeyTableBuilder();
  const slowPrefixes = createSlowPrefixes();
  const memo = createMemo();
  return {
    add: ({ file, start, records, lines }) => {
      const report = createReport(file, found);
      for (const [offset, record] of records.entries()) {
        const index = start + offset;
        const key = compileRecord(record, index, { file, line: lines[offset] ?? 0 }, context, memo, report);
        if (key === undefined) continue;
        const conflict = table.add(key);
        if (conflict !== undefined) {
          reportConflict(conflict, key, index, report);
          continue;
        }
        slowPrefixes.add(key, index);
        context.lint?.(key, index, report);
      }
    },
    hasId: table.hasId,
    finish: () => {
      slowPrefixes.check(found);
      return table.finish();
    },
  };
}

/** Most records say the same as many others; what that compiles to is shared, which is also what keeps them small. */
interface Memo {
  readonly grants: Map<string, Pick<Key, "scopes" | "grants">>;
  readonly limits: Map<string, readonly Limit[]>;
  readonly networks: Map<string, NetworkSet | undefined>;
  readonly judgedScopes: Set<string>;
  readonly instants: Map<string, number>;
}

function createMemo(): Memo {
  return {
    grants: new Map(),
    limits: new Map(),
    networks: new Map(),
    judgedScopes: new Set(),
    instants: new Map(),
  };
}

function remember<T>(cache: Map<string, T>, name: string, make: () => T): T {
  const known = cache.get(name);
  if (known !== undefined) return known;
  const made = make();
  cache.set(name, made);
  return made;
}

/** The path to a field of the record at hand. */
type PathTo = (...rest: readonly (string | number)[]) => Path;

const NO_SCOPES: readonly string[] = [];
const NO_METADATA: ReadonlyMap<string, string> = new Map();

function compileRecord(
  record: WrittenKey,
  index: number,
  source: Source,
  context: KeyContext,
  memo: Memo,
  report: Report,
): Key | undefined {
  // A hundred thousand records are compiled in one go, so paths are built only where something is wrong.
  const at: PathTo = (...rest) => ["keys", index, ...rest];
  const digest = compileDigest(record, context, report, at);
  checkTexts(record, context.formats, report, at);
  const written = typeof record.scopes === "string" ? [record.scopes] : (record.scopes ?? NO_SCOPES);
  const { scopes, grants } = compileScopes(written, context.catalogue, memo, report, at);
  const limits = compileKeyLimits(record.limits, context, memo, report, at);
  const networks = compileKeyNetworks(record.allowIps, memo, report, at);
  const notBeforeMs = compileInstant(record.notBefore, "notBefore", memo, report, at);
  const expiresAtMs = compileInstant(record.expiresAt, "expiresAt", memo, report, at);
  if (notBeforeMs !== undefined && expiresAtMs !== undefined && notBeforeMs >= expiresAtMs) {
    report.error(at("expiresAt"), "The key expires before it becomes valid; expected an instant after notBefore");
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
    source,
  };
}

const HASH_KEY_FIX = "`latchkey keys hash` turns a key into its digest";

function compileDigest(record: WrittenKey, context: KeyContext, report: Report, at: PathTo): KeyDigest | undefined {
  const digest = parseDigest(record.hash);
  if (digest === undefined) {
    report.error(at("hash"), describeBadDigest(record.hash, context.formats), HASH_KEY_FIX);
    return undefined;
  }
  if (digest.kind === "hmac-sha256" && !context.hasPepper) {
    report.error(at("hash"), "An hmac-sha256 digest needs hashing.pepper in the main file, which is not set");
  }
  if (digest.kind === "bcrypt" && (record.prefix ?? "") === "") {
    // Without a prefix every request would cost one slow hash per record, so such a key is never looked at.
    report.error(
      at("hash"),
      "A bcrypt digest needs `prefix`, the key's first characters; without it the key can never match",
    );
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

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;

const TEXT_FIELDS = ["id", "name", "tenant", "prefix", "rotatedTo"] as const;

function checkTexts(record: WrittenKey, formats: readonly KeyFormat[], report: Report, at: PathTo): void {
  if (!isKeyId(record.id)) report.error(at("id"), `Expected ${KEY_ID_SHAPE}`);
  for (const field of TEXT_FIELDS) {
    const text = record[field];
    if (text !== undefined) checkText(text, formats, (message, fix) => report.error(at(field), message, fix));
  }
  if (record.metadata === undefined) return;
  for (const [name, value] of Object.entries(record.metadata)) {
    if (!/^[A-Za-z0-9_.-]+$/.test(name)) {
      report.error(at("metadata", name), "Expected a name of letters, digits and _ . -");
    }
    if (typeof value !== "string") continue;
    checkText(value, formats, (message, fix) => report.error(at("metadata", name), message, fix));
  }
}

function checkText(text: string, formats: readonly KeyFormat[], say: (message: string, fix?: string) => void): void {
  if (CONTROL.test(text)) say("Expected text without control characters");
  for (const format of formats) {
    // Without a literal prefix anything of the right length would be taken for a key.
    if (format.prefix.length < 2 || !text.startsWith(format.prefix)) continue;
    if (matchKeyFormat(text, [format])) say("This is a key itself; a record never holds it", HASH_KEY_FIX);
  }
}

function compileScopes(
  scopes: readonly string[],
  catalogue: ScopeCatalogue | undefined,
  memo: Memo,
  report: Report,
  at: PathTo,
): Pick<Key, "scopes" | "grants"> {
  for (let index = 0; index < scopes.length; index += 1) {
    const scope = scopes[index] ?? "";
    if (memo.judgedScopes.has(scope)) continue;
    if (!isScopeText(scope)) {
      report.error(at("scopes", index), `Expected a scope such as orders:read or orders:*; found ${quote(scope)}`);
    } else if (!scope.includes("*") && catalogue !== undefined && !catalogue.has(scope)) {
      checkScope(scope, catalogue, (message, fix) => report.warning(at("scopes", index), message, fix));
    } else memo.judgedScopes.add(scope);
  }
  const name = scopes.length === 1 ? (scopes[0] ?? "") : scopes.join("\n");
  return remember(memo.grants, name, () => ({
    scopes,
    grants: compileGrants(scopes, catalogue ?? new Map()),
  }));
}

function compileKeyLimits(
  written: WrittenKey["limits"],
  { defaultLimits, max }: KeyContext,
  memo: Memo,
  report: Report,
  at: PathTo,
): readonly Limit[] {
  if (written === undefined) return defaultLimits;
  const name = typeof written === "string" ? written : JSON.stringify(written);
  const known = memo.limits.get(name);
  if (known !== undefined) return known;
  const limits = compileLimits(written, KEY_LIMIT_SCOPE, report, at("limits"));
  const count = Array.isArray(written) ? written.length : 1;
  // What is wrong is reported for each record that says it, so only what is right is remembered.
  if (limits.length !== count) return limits;
  if (max !== undefined && exceedsRate(limits, max)) {
    const asked = limits.length === 0 ? "no limit at all" : limits.map(describeLimit).join(", ");
    const message = `The key asks for ${asked}, more than limits.max (${max.text}) in the main file`;
    report.error(at("limits"), message, describeBurstFix(limits, max));
    return limits;
  }
  memo.limits.set(name, limits);
  return limits;
}

function describeLimit({ name, count, capacity }: Limit): string {
  return capacity === count ? name : `${name} with a burst of ${capacity}`;
}

function compileKeyNetworks(
  written: WrittenKey["allowIps"],
  memo: Memo,
  report: Report,
  at: PathTo,
): NetworkSet | undefined {
  if (written === undefined) return undefined;
  const ranges = typeof written === "string" ? [written] : written;
  return remember(memo.networks, ranges.join(), () => compileRanges(ranges, report, at("allowIps")));
}

function compileInstant(
  text: string | undefined,
  field: "notBefore" | "expiresAt",
  memo: Memo,
  report: Report,
  at: PathTo,
): number | undefined {
  if (text === undefined) return undefined;
  const known = memo.instants.get(text);
  if (known !== undefined) return known;
  const parsed = parseInstant(text);
  if (parsed.kind === "value") {
    memo.instants.set(text, parsed.value);
    return parsed.value;
  }
  report.error(at(field), `Expected ${parsed.problem}`);
  return undefined;
}

/** Two records with one id would share buckets and hide one another; two with one digest are one credential. */
function reportConflict({ over, key: { source } }: Conflict, { id }: Key, index: number, report: Report): void {
  const at = `stands already at ${toPlace(source)}`;
  if (over === "id") report.error(["keys", index, "id"], `The id ${quote(id)} ${at}`);
  else report.error(["keys", index, "hash"], `The same digest ${at}`);
}

function toPlace({ file, line }: Source): string {
  return `${file}:${line}`;
}
