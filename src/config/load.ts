import { hash } from "node:crypto";
import type * as z from "zod";
import type { Source } from "../policy/route.ts";
import { compileConfiguration } from "./compile.ts";
import type { RecordList } from "./compile-keys.ts";
import { type Diagnostic, type Path, sortDiagnostics } from "./diagnostics.ts";
import type { Document } from "./document.ts";
import { keysFileSchema } from "./key-schema.ts";
import { parseDocument } from "./parse-document.ts";
import { locateNearest } from "./report.ts";
import { createConcern, salvage } from "./salvage.ts";
import { type Main, mainSchema } from "./schema.ts";
import { validate } from "./schema-problems.ts";
import type { Configuration, SocketAddress } from "./settings.ts";
import type { Snapshot, SourceFile } from "./snapshot.ts";
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
  | {
      readonly kind: "loaded";
      readonly configuration: Configuration;
      readonly warnings: readonly Diagnostic[];
      /** Absolute paths of all it was read from, and of directories where a `*` may find more: the ones to watch. */
      readonly files: readonly string[];
      /** The line of the main file that says something, or of the nearest thing around it; undefined where a default holds. */
      readonly locate: (path: Path) => Source | undefined;
    }
  | { readonly kind: "rejected"; readonly diagnostics: readonly Diagnostic[] };

/** Turns a snapshot into a configuration, or into every reason why it is none. `nowMs` lets it speak of expired keys. */
export function parseConfiguration(snapshot: Snapshot, overrides: Overrides = {}, nowMs?: number): LoadResult {
  const found: Diagnostic[] = [...snapshot.problems];
  const files = [snapshot.mainFile, ...snapshot.keysFiles.map(({ path }) => path)];
  const forced = parseOverrides(overrides, found);
  const main = parsePart(snapshot.main, mainSchema, found);
  const keysFiles = snapshot.keysFiles.map((file) => parsePart(file, keysFileSchema, found));
  if (snapshot.main === undefined && overrides.upstream !== undefined) {
    const message = "An upstream alone is no policy; routes and keys come from a config file, which is missing";
    found.push({ severity: "error", file: overrides.upstream.origin, line: 0, column: 0, path: "", message });
  }
  if (main === undefined) return reject(found, files);
  const { document } = main;
  const isPartial = found.some(isError);
  const compiled: Diagnostic[] = [];
  const configuration = compileConfiguration(
    {
      main: applyOverrides(main.value, forced),
      document,
      lists: toRecordLists(main, keysFiles),
      snapshot,
      revision: toRevision(snapshot),
      nowMs,
      isPartial,
    },
    compiled,
  );
  const isConsequence = createConcern(main.missing);
  const isNews = ({ file, path }: Diagnostic) => file !== document.file || !isConsequence(path);
  found.push(...(isPartial ? compiled.filter(isNews) : compiled));
  if (found.some(isError)) return reject(found, files);
  return {
    kind: "loaded",
    configuration,
    warnings: sortDiagnostics(found, files),
    files: snapshot.watched,
    locate: (path) => {
      const place = locateNearest(document, path);
      return place === undefined ? undefined : { file: document.file, line: place.line };
    },
  };
}

function isError({ severity }: Diagnostic): boolean {
  return severity === "error";
}

function reject(found: readonly Diagnostic[], files: readonly string[]): LoadResult {
  return { kind: "rejected", diagnostics: sortDiagnostics(found, files) };
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

function toRecordLists(
  main: Part<Main>,
  keysFiles: readonly (Part<z.output<typeof keysFileSchema>> | undefined)[],
): readonly RecordList[] {
  const inline = main.value.keys;
  const lists: RecordList[] = Array.isArray(inline) ? [{ document: main.document, records: inline }] : [];
  for (const part of keysFiles)
    if (part !== undefined) lists.push({ document: part.document, records: part.value.keys });
  return lists;
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
