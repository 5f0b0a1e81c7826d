import type * as z from "zod";
import { sha256 } from "../policy/digest.ts";
import type { Source } from "../policy/route.ts";
import { beginCompilation, type CompileInput } from "./compile.ts";
import { type Diagnostic, formatPath, type Path, sortDiagnostics, toVisible } from "./diagnostics.ts";
import type { Document } from "./document.ts";
import { findExposedKeys, withoutKnown } from "./exposed-keys.ts";
import { keysFileSchema, type WrittenKey } from "./key-schema.ts";
import { readMainLines } from "./main-lines.ts";
import { findMissingKeys } from "./missing-keys.ts";
import { findMistakenNumbers } from "./mistaken-numbers.ts";
import { parseDocument } from "./parse-document.ts";
import { isPlainKeysFile } from "./plain-key.ts";
import type { Rejected, Watched } from "./policy-store.ts";
import type { RecordBatch } from "./record-batch.ts";
import { openRecordStream, type RecordStream } from "./record-stream.ts";
import type { Comparison } from "./reload-comparison.ts";
import { type Finding, type Findings, locateFindings, locateNearest } from "./report.ts";
import { createConcern, salvage } from "./salvage.ts";
import { type Main, mainSchema } from "./schema.ts";
import { validate } from "./schema-problems.ts";
import type { Configuration, SocketAddress } from "./settings.ts";
import type { Snapshot, SourceFile } from "./snapshot.ts";
import {
  type Parsed,
  parseAdminAddress,
  parseSocketAddress,
  parseUpstream,
  parseWorkers,
  type UpstreamAddress,
} from "./values.ts";

/** Values from outside the files; each beats what the main file says and is blamed by its own name. */
export interface Overrides {
  readonly listen?: Override | undefined;
  readonly upstream?: Override | undefined;
  /** An address, or `off`. */
  readonly admin?: Override | undefined;
  /** A number, or `auto`. */
  readonly workers?: Override | undefined;
}

export interface Override {
  readonly value: string;
  /** Such as `--listen` or `LATCHKEY_LISTEN`. */
  readonly origin: string;
}

export type LoadResult =
  | (LoadedConfiguration & {
      /** The line of the main file that says something, or of the nearest thing around it; undefined where a default holds. */
      readonly locate: (path: Path) => Source | undefined;
    })
  | RejectedConfiguration;

export interface LoadedConfiguration extends Watched {
  readonly kind: "loaded";
  readonly configuration: Configuration;
  /** With the table of its keys, all that another thread needs to assemble the same configuration. */
  readonly input: CompileInput;
  readonly warnings: readonly Diagnostic[];
  /** How it differs from what the loader was told to compare it with. */
  readonly comparison?: Comparison | undefined;
}

export type RejectedConfiguration = Rejected;

/** Findings that are kept for later: all of them, or the first ones where somebody waits. */
export interface FindingList extends Findings {
  readonly list: () => readonly Finding[];
}

/**
 * Turns a snapshot into a configuration, or into every reason why it is none. `nowMs` lets it speak of expired keys.
 * Large keys files are hoped to be valid, and read once; where one is not, all is begun anew.
 */
export function parseConfiguration(
  snapshot: Snapshot,
  overrides: Overrides = {},
  nowMs?: number,
  createFindings: () => FindingList = createFindingList,
): LoadResult {
  const hopeful = parseOnce(snapshot, overrides, nowMs, createFindings(), false);
  if (hopeful !== undefined) return hopeful;
  const checked = parseOnce(snapshot, overrides, nowMs, createFindings(), true);
  if (checked === undefined) throw new Error("a keys file that was read through once could not be read again");
  return checked;
}

function createFindingList(): FindingList {
  const found: Finding[] = [];
  return { push: (finding) => found.push(finding), list: () => found };
}

/** Undefined where a large keys file is not as valid as was hoped. */
function parseOnce(
  snapshot: Snapshot,
  overrides: Overrides,
  nowMs: number | undefined,
  found: FindingList,
  isChecked: boolean,
): LoadResult | undefined {
  const prepared = prepareConfiguration(snapshot, overrides, nowMs, isChecked);
  if (prepared.kind === "rejected") return prepared;
  const { input, batches, judge, locate } = prepared;
  const compilation = beginCompilation(input, found);
  const records = batches();
  for (;;) {
    const step = records.next();
    if (step.done !== true) compilation.add(step.value);
    else if (step.value) break;
    else return undefined;
  }
  const configuration = compilation.finish();
  const judged = judge(found.list());
  return judged.kind === "rejected" ? judged : { ...judged, configuration, input, locate };
}

type Verdict = (Pick<LoadedConfiguration, "kind" | "warnings"> & Watched) | RejectedConfiguration;

/** A configuration read and validated file by file, ready to be compiled. */
interface Prepared {
  readonly kind: "prepared";
  readonly input: CompileInput;
  /** Its key records, as many at a time as are compiled in one go; false where a file is not valid after all. */
  readonly batches: () => Generator<RecordBatch, boolean>;
  /** The verdict on what was found here and while it was compiled, each finding with its place. */
  readonly judge: (found: readonly Finding[]) => Verdict;
  readonly locate: (path: Path) => Source | undefined;
}

function prepareConfiguration(
  snapshot: Snapshot,
  overrides: Overrides,
  nowMs: number | undefined,
  isChecked: boolean,
): Prepared | RejectedConfiguration {
  const found: Diagnostic[] = [...snapshot.problems];
  const order = [snapshot.mainFile, ...snapshot.keysFiles.map(({ path }) => path)];
  const watched: Watched = { files: snapshot.watched, digests: snapshot.digests };
  const forced = parseOverrides(overrides, found);
  const main = parsePart(snapshot.main, mainSchema, found);
  const keysFiles = snapshot.keysFiles.map((file) => readKeysPart(file, isChecked, found));
  if (snapshot.main === undefined && overrides.upstream !== undefined) {
    const message = "An upstream alone is no policy; routes and keys come from a config file, which is missing";
    found.push({ severity: "error", file: overrides.upstream.origin, line: 0, column: 0, path: "", message });
  }
  if (main === undefined) return { kind: "rejected", diagnostics: toShown(found, order), ...watched };
  const { document } = main;
  const isPartial = found.some(isError);
  const texts = snapshot.main === undefined ? snapshot.keysFiles : [snapshot.main, ...snapshot.keysFiles];
  const exposed = findExposedKeys(texts, main.value.keyFormats);
  const documents = new Map(
    [document, ...keysFiles.flatMap((part) => part?.document ?? [])].map((of) => [of.file, of]),
  );
  const isConsequence = createConcern(main.missing);
  const isNews = ({ file, path }: Finding) => file !== document.file || !isConsequence(formatPath(path));
  return {
    kind: "prepared",
    input: {
      main: { ...applyOverrides(main.value, forced), keys: undefined },
      lines: readMainLines(document, main.value.routes.length),
      around: {
        directory: snapshot.directory,
        referenced: snapshot.referenced,
        keysFiles: snapshot.keysFiles.map(({ path, mode }) => ({ path, mode })),
      },
      revision: toRevision(snapshot),
      nowMs,
      isPartial,
    },
    batches: () => toBatches(main, keysFiles),
    judge: (findings) => {
      const news = locateFindings(isPartial ? findings.filter(isNews) : findings, documents);
      const known = [...found, ...news, ...findMissingKeys(document, main.value)];
      const all = toShown([...known, ...withoutKnown(exposed, known)], order);
      return all.some(isError)
        ? { kind: "rejected", diagnostics: all, ...watched }
        : { kind: "loaded", warnings: all, ...watched };
    },
    locate: (path) => {
      const place = locateNearest(document, path);
      return place === undefined ? undefined : { file: document.file, line: place.line };
    },
  };
}

/** Names and values stand in findings as they were written, by whomever. */
function toShown(found: readonly Diagnostic[], order: readonly string[]): readonly Diagnostic[] {
  return sortDiagnostics(found, order).map(toVisible);
}

function isError({ severity }: Diagnostic): boolean {
  return severity === "error";
}

interface Forced {
  readonly listen: SocketAddress | undefined;
  readonly upstream: UpstreamAddress | undefined;
  readonly admin: SocketAddress | "off" | undefined;
  readonly workers: number | "auto" | undefined;
}

function parseOverrides(overrides: Overrides, found: Diagnostic[]): Forced {
  const { listen, upstream, admin, workers } = overrides;
  return {
    listen: listen && parseOverride(listen, parseSocketAddress, found),
    upstream: upstream && parseOverride(upstream, parseUpstream, found),
    admin: admin && parseOverride(admin, parseAdminAddress, found),
    workers: workers && parseOverride(workers, parseWorkers, found),
  };
}

function parseOverride<T>({ value, origin }: Override, parse: (text: string) => Parsed<T>, found: Diagnostic[]) {
  const parsed = parse(value);
  if (parsed.kind === "value") return parsed.value;
  const message = `Expected ${parsed.problem}`;
  found.push({ severity: "error", file: origin, line: 0, column: 0, path: "", message });
  return undefined;
}

function applyOverrides(main: Main, { listen, upstream, admin, workers }: Forced): Main {
  return {
    ...main,
    workers: workers ?? main.workers,
    listen: listen === undefined ? main.listen : { ...main.listen, address: listen },
    upstream: upstream === undefined ? main.upstream : { ...main.upstream, url: upstream },
    admin:
      admin === "off"
        ? undefined
        : admin === undefined
          ? main.admin
          : { token: undefined, probes: {}, ...main.admin, address: admin },
  };
}

interface Part<T> {
  readonly document: Document;
  /** The value, or what could be saved of it; errors were reported. */
  readonly value: T;
  readonly missing: readonly Path[];
}

/** Reads and validates one file; undefined when too little of it is valid to look any further. */
function parsePart<T extends z.ZodType>(
  file: SourceFile | undefined,
  schema: T,
  found: Diagnostic[],
  isPlain?: (value: unknown) => value is z.output<T>,
): Part<z.output<T>> | undefined {
  if (file === undefined) return undefined;
  const parsed = parseDocument(file.path, file.text);
  if (parsed.kind === "refused") {
    found.push(...parsed.diagnostics);
    return undefined;
  }
  const { document } = parsed;
  for (const diagnostic of findMistakenNumbers(document)) found.push(diagnostic);
  if (isPlain?.(document.value)) return { document, value: document.value, missing: [] };
  const checked = validate(document, schema);
  if (checked.kind === "valid") return { document, value: checked.value, missing: [] };
  for (const diagnostic of checked.diagnostics) found.push(diagnostic);
  const saved = salvage(document.value, schema, checked.faults);
  return saved && { document, ...saved };
}

// Few enough that the records of one batch stay in the nursery of the garbage collector.
const BATCH = 500;

interface KeysPart {
  readonly document: Document;
  readonly batches: () => Generator<RecordBatch, boolean>;
}

/** Reads a keys file: whole, or batch by batch where it is large and there is nothing wrong with it. */
function readKeysPart(file: SourceFile, isChecked: boolean, found: Diagnostic[]): KeysPart | undefined {
  const stream = openRecordStream(file.path, file.text, BATCH);
  if (stream === undefined || (isChecked && !isValid(stream))) {
    const part = parsePart(file, keysFileSchema, found, isPlainKeysFile);
    return part && { document: part.document, batches: () => sliceRecords(part.document, part.value.keys) };
  }
  const { locate, recordLine, batches } = stream;
  const document = { file: file.path, value: undefined, locate, recordLine, respelt: [] };
  return { document, batches: () => numberRecords(document, batches()) };
}

function isValid({ batches }: RecordStream): boolean {
  const pass = batches();
  for (;;) {
    const step = pass.next();
    if (step.done === true) return step.value;
  }
}

function* toBatches(main: Part<Main>, keysFiles: readonly (KeysPart | undefined)[]): Generator<RecordBatch, boolean> {
  const inline = main.value.keys;
  if (Array.isArray(inline)) yield* sliceRecords(main.document, inline);
  for (const part of keysFiles) if (part !== undefined && !(yield* part.batches())) return false;
  return true;
}

function* sliceRecords(document: Document, all: readonly WrittenKey[]): Generator<RecordBatch, boolean> {
  function* slices(): Generator<readonly WrittenKey[], boolean> {
    for (let at = 0; at < all.length; at += BATCH) yield all.slice(at, at + BATCH);
    return true;
  }
  return yield* numberRecords(document, slices());
}

function* numberRecords(
  { file, recordLine }: Document,
  batches: Generator<readonly WrittenKey[], boolean>,
): Generator<RecordBatch, boolean> {
  let start = 0;
  for (;;) {
    const step = batches.next();
    if (step.done === true) return step.value;
    const first = start;
    yield { file, start, records: step.value, lines: step.value.map((_, offset) => recordLine(first + offset)) };
    start += step.value.length;
  }
}

// Twelve hex digits: short enough to read aloud, and 2^48 revisions before two are likely to share it.
const REVISION_LENGTH = 12;

function toRevision({ main, keysFiles, referenced }: Snapshot): string {
  // Each part by its own digest, so that no text can pass for the end of one part and the beginning of another.
  const digests = [digestOf(main), ...keysFiles.flatMap((file) => [sha256(file.path), digestOf(file)])];
  for (const [name, text] of referenced) digests.push(sha256(name), sha256(text));
  return sha256(digests.join("\n")).slice(0, REVISION_LENGTH);
}

/** That of its bytes where these were seen, since texts of many megabytes take long to turn into bytes again. */
function digestOf(file: SourceFile | undefined): string {
  return file?.digest?.replace("content:", "") ?? sha256(file?.text ?? "");
}
