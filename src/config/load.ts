import { hash } from "node:crypto";
import type * as z from "zod";
import type { Source } from "../policy/route.ts";
import { beginCompilation, type CompileInput } from "./compile.ts";
import { type Diagnostic, formatPath, type Path, sortDiagnostics } from "./diagnostics.ts";
import type { Document } from "./document.ts";
import { keysFileSchema, type WrittenKey } from "./key-schema.ts";
import { readMainLines } from "./main-lines.ts";
import { parseDocument } from "./parse-document.ts";
import type { Rejected, Watched } from "./policy-store.ts";
import type { RecordBatch } from "./record-batch.ts";
import { openRecordStream } from "./record-stream.ts";
import { type Finding, locateFindings, locateNearest } from "./report.ts";
import { createConcern, salvage } from "./salvage.ts";
import { type Main, mainSchema } from "./schema.ts";
import { validate } from "./schema-problems.ts";
import type { Configuration, SocketAddress } from "./settings.ts";
import type { Snapshot, SourceFile } from "./snapshot.ts";
import { runThrough } from "./stepwise.ts";
import { type Parsed, parseSocketAddress, parseUpstream, type UpstreamAddress } from "./values.ts";

/** Values from outside the files; each beats what the main file says and is blamed by its own name. */
export interface Overrides {
  readonly listen?: Override | undefined;
  readonly upstream?: Override | undefined;
  /** An address, or `off`. */
  readonly admin?: Override | undefined;
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
  readonly warnings: readonly Diagnostic[];
}

export type RejectedConfiguration = Rejected;

/** Turns a snapshot into a configuration, or into every reason why it is none. `nowMs` lets it speak of expired keys. */
export function parseConfiguration(snapshot: Snapshot, overrides: Overrides = {}, nowMs?: number): LoadResult {
  const prepared = prepareConfiguration(snapshot, overrides, nowMs);
  if (prepared.kind === "rejected") return prepared;
  const found: Finding[] = [];
  const compilation = beginCompilation(prepared.input, found);
  for (const batch of prepared.batches()) compilation.add(batch);
  const configuration = runThrough(compilation.finish());
  const judged = prepared.judge(found);
  return judged.kind === "rejected" ? judged : { ...judged, configuration, locate: prepared.locate };
}

/** A configuration read and validated file by file, ready to be compiled here or in another thread. */
export interface Prepared {
  readonly kind: "prepared";
  readonly input: CompileInput;
  /** Its key records, as many at a time as are compiled in one go. */
  readonly batches: () => Iterable<RecordBatch>;
  /** The verdict on what was found here and while it was compiled, each finding with its place. */
  readonly judge: (found: readonly Finding[]) => Omit<LoadedConfiguration, "configuration"> | RejectedConfiguration;
  readonly locate: (path: Path) => Source | undefined;
}

/** The first half of `parseConfiguration`: everything that needs the texts, and nothing that must stay in one thread. */
export function prepareConfiguration(
  snapshot: Snapshot,
  overrides: Overrides,
  nowMs: number | undefined,
): Prepared | RejectedConfiguration {
  const found: Diagnostic[] = [...snapshot.problems];
  const order = [snapshot.mainFile, ...snapshot.keysFiles.map(({ path }) => path)];
  const watched: Watched = { files: snapshot.watched, digests: snapshot.digests };
  const forced = parseOverrides(overrides, found);
  const main = parsePart(snapshot.main, mainSchema, found);
  const keysFiles = snapshot.keysFiles.map((file) => readKeysPart(file, found));
  if (snapshot.main === undefined && overrides.upstream !== undefined) {
    const message = "An upstream alone is no policy; routes and keys come from a config file, which is missing";
    found.push({ severity: "error", file: overrides.upstream.origin, line: 0, column: 0, path: "", message });
  }
  if (main === undefined) return { kind: "rejected", diagnostics: sortDiagnostics(found, order), ...watched };
  const { document } = main;
  const isPartial = found.some(isError);
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
      const all = sortDiagnostics([...found, ...news], order);
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

function isError({ severity }: Diagnostic): boolean {
  return severity === "error";
}

interface Forced {
  readonly listen: SocketAddress | undefined;
  readonly upstream: UpstreamAddress | undefined;
  readonly admin: SocketAddress | "off" | undefined;
}

function parseOverrides(overrides: Overrides, found: Diagnostic[]): Forced {
  const { listen, upstream, admin } = overrides;
  return {
    listen: listen && parseOverride(listen, parseSocketAddress, found),
    upstream: upstream && parseOverride(upstream, parseUpstream, found),
    admin: admin?.value === "off" ? "off" : admin && parseOverride(admin, parseSocketAddress, found),
  };
}

function parseOverride<T>({ value, origin }: Override, parse: (text: string) => Parsed<T>, found: Diagnostic[]) {
  const parsed = parse(value);
  if (parsed.kind === "value") return parsed.value;
  const message = `Expected ${parsed.problem}`;
  found.push({ severity: "error", file: origin, line: 0, column: 0, path: "", message });
  return undefined;
}

function applyOverrides(main: Main, { listen, upstream, admin }: Forced): Main {
  return {
    ...main,
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
): Part<z.output<T>> | undefined {
  if (file === undefined) return undefined;
  const parsed = parseDocument(file.path, file.text);
  if (parsed.kind === "refused") {
    found.push(...parsed.diagnostics);
    return undefined;
  }
  const { document } = parsed;
  const checked = validate(document, schema);
  if (checked.kind === "valid") return { document, value: checked.value, missing: [] };
  for (const diagnostic of checked.diagnostics) found.push(diagnostic);
  const saved = salvage(document.value, schema, checked.faults);
  return saved && { document, ...saved };
}

// About a millisecond of compiling, and half of one to receive from another thread.
const BATCH = 500;

interface KeysPart {
  readonly document: Document;
  readonly batches: () => Iterable<RecordBatch>;
}

/** Reads a keys file: whole, or batch by batch where it is large and there is nothing wrong with it. */
function readKeysPart(file: SourceFile, found: Diagnostic[]): KeysPart | undefined {
  const stream = openRecordStream(file.path, file.text, BATCH);
  if (stream === undefined) {
    const part = parsePart(file, keysFileSchema, found);
    return part && { document: part.document, batches: () => sliceRecords(part.document, part.value.keys) };
  }
  const { path, text } = file;
  const { lines, batches } = stream;
  const recordLine = (index: number) => lines[index] ?? 0;
  const document = { file: path, value: undefined, locate: locateLater(path, text), recordLine };
  return { document, batches: () => numberRecords(document, batches()) };
}

/** Reads the whole file at the first question where something stands; mostly there is none. */
function locateLater(file: string, text: string): Document["locate"] {
  let locate: Document["locate"] | undefined;
  return (path, part) => {
    if (locate === undefined) {
      const parsed = parseDocument(file, text);
      locate = parsed.kind === "document" ? parsed.document.locate : () => undefined;
    }
    return locate(path, part);
  };
}

function* toBatches(main: Part<Main>, keysFiles: readonly (KeysPart | undefined)[]): Iterable<RecordBatch> {
  const inline = main.value.keys;
  if (Array.isArray(inline)) yield* sliceRecords(main.document, inline);
  for (const part of keysFiles) if (part !== undefined) yield* part.batches();
}

function* sliceRecords(document: Document, all: readonly WrittenKey[]): Iterable<RecordBatch> {
  const slices = Array.from({ length: Math.ceil(all.length / BATCH) }, (_, at) =>
    all.slice(at * BATCH, (at + 1) * BATCH),
  );
  yield* numberRecords(document, slices);
}

function* numberRecords(
  { file, recordLine }: Document,
  batches: Iterable<readonly WrittenKey[]>,
): Iterable<RecordBatch> {
  let start = 0;
  for (const records of batches) {
    const first = start;
    yield { file, start, records, lines: records.map((_, offset) => recordLine(first + offset)) };
    start += records.length;
  }
}

// Twelve hex digits: short enough to read aloud, and 2^48 revisions before two are likely to share it.
const REVISION_LENGTH = 12;

function toRevision({ main, keysFiles, referenced }: Snapshot): string {
  const texts = [main?.text ?? "", ...keysFiles.flatMap(({ path, text }) => [path, text])];
  for (const [name, text] of referenced) texts.push(name, text);
  // Each part by its own digest, so that no text can pass for the end of one part and the beginning of another.
  const digests = texts.map((text) => hash("sha256", text, "hex"));
  return hash("sha256", digests.join("\n"), "hex").slice(0, REVISION_LENGTH);
}
