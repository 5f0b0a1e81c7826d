import { readdir, readlink, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { toRoomyBytes } from "../policy/roomy.ts";
import { findNearest, type Path } from "./diagnostics.ts";
import { type Document, MAX_FILE_BYTES } from "./document.ts";
import { withOpenFile } from "./open-file.ts";
import { parseDocument } from "./parse-document.ts";
import { createReport, type Finding, locateFindings, type Report } from "./report.ts";
import type { Snapshot, SourceFile } from "./snapshot.ts";
import { digestOfContent, digestOfFailure, digestOfNames } from "./watcher.ts";

/** What reading a configuration needs of the world. Every function may reject as its `node:fs` namesake does. */
export interface SourceIo {
  readonly stat: (path: string) => Promise<{
    readonly size: number;
    readonly mode: number;
    readonly isFile: boolean;
    readonly isDirectory: boolean;
    /** Differs after every write, as far as the file system's clock tells. */
    readonly version: string;
  }>;
  readonly readFile: (path: string) => Promise<Uint8Array>;
  readonly readDirectory: (path: string) => Promise<readonly string[]>;
  readonly readLink: (path: string) => Promise<string>;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The real file system, with the environment it is told of. */
export function createSourceIo(environment: SourceIo["environment"]): SourceIo {
  return {
    stat: async (path) => {
      const stats = await stat(path);
      const { dev, ino, size, mode, mtimeMs, ctimeMs } = stats;
      const version = `${dev}:${ino}:${size}:${mtimeMs}:${ctimeMs}`;
      return { size, mode, isFile: stats.isFile(), isDirectory: stats.isDirectory(), version };
    },
    readFile: readRoomily,
    readDirectory: (path) => readdir(path),
    readLink: (path) => readlink(path),
    environment,
  };
}

/** Reads a whole file; what is read into is larger than what is read, so that its memory is given back. */
function readRoomily(path: string): Promise<Uint8Array> {
  return withOpenFile(path, async (file) => {
    const size = await file.size();
    // One byte more tells a file that grows meanwhile, which is judged by its size.
    const bytes = new Uint8Array(new ArrayBuffer(toRoomyBytes(size + 1)), 0, size + 1);
    let length = 0;
    for (;;) {
      const bytesRead = await file.read(bytes, length);
      length += bytesRead;
      if (bytesRead === 0 || length > size) return bytes.subarray(0, length);
    }
  });
}

// A kubelet swap takes microseconds and the next is a minute away, so the second attempt succeeds.
const MAX_ATTEMPTS = 3;

/**
 * Reads the main file and everything it names as one generation: within a kubelet volume all files come
 * from the directory that `..data` pointed to at the start. What cannot be read is a problem, never a throw.
 */
export async function readSnapshot(mainFile: string, io: SourceIo): Promise<Snapshot> {
  for (let attempt = 1; ; attempt += 1) {
    const reader = createReader(io);
    const snapshot = await readAll(mainFile, reader);
    if (!(await reader.hasMoved())) return snapshot;
    if (attempt === MAX_ATTEMPTS) return { ...snapshot, problems: [...snapshot.problems, restless(mainFile)] };
  }
}

function restless(mainFile: string) {
  const message = "The files kept changing while they were read; they are read again once they stand still";
  return { severity: "error", file: mainFile, line: 0, column: 0, path: "", message } as const;
}

type ReadResult =
  | { readonly kind: "file"; readonly text: string; readonly mode: number | undefined; readonly digest: string }
  | { readonly kind: "problem"; readonly problem: string; readonly fix?: string; readonly digest?: string };

interface Reader {
  readonly read: (path: string) => Promise<ReadResult>;
  readonly list: (directory: string) => Promise<readonly string[] | undefined>;
  /** Whether a volume was swapped, or a file written, while it was being read. */
  readonly hasMoved: () => Promise<boolean>;
  readonly environment: SourceIo["environment"];
}

/** The symlink that the kubelet's atomic writer swaps, and that every file of the volume is reached through. */
const VOLUME_LINK = "..data";

function createReader(io: SourceIo): Reader {
  const generations = new Map<string, string | undefined>();
  const versions = new Map<string, string>();
  const generationOf = async (directory: string) => {
    if (!generations.has(directory)) generations.set(directory, await readGeneration(directory, io));
    return generations.get(directory);
  };
  return {
    read: async (path) => {
      const directory = dirname(path);
      const generation = await generationOf(directory);
      const pinned = generation === undefined ? path : join(directory, generation, basename(path));
      const result = await readOne(pinned, io, (version) => versions.set(pinned, version));
      // The kubelet gives its files a mode of its own choosing, and nobody else lives in the container.
      return result.kind === "file" && generation !== undefined ? { ...result, mode: undefined } : result;
    },
    list: async (directory) => {
      try {
        return await io.readDirectory(directory);
      } catch {
        return undefined;
      }
    },
    hasMoved: async () => {
      for (const [directory, generation] of generations) {
        if ((await readGeneration(directory, io)) !== generation) return true;
      }
      // A writer at work in a file is half way through it, and half a file may be a valid one.
      for (const [path, version] of versions) if ((await readVersion(path, io)) !== version) return true;
      return false;
    },
    environment: io.environment,
  };
}

async function readGeneration(directory: string, io: SourceIo): Promise<string | undefined> {
  try {
    return await io.readLink(join(directory, VOLUME_LINK));
  } catch {
    return undefined;
  }
}

async function readVersion(path: string, io: SourceIo): Promise<string | undefined> {
  try {
    return (await io.stat(path)).version;
  } catch {
    return undefined;
  }
}

async function readOne(path: string, io: SourceIo, remember: (version: string) => void): Promise<ReadResult> {
  try {
    const { size, mode, isFile, isDirectory, version } = await io.stat(path);
    remember(version);
    if (isDirectory) return { kind: "problem", problem: IS_DIRECTORY, fix: NAME_A_FILE };
    // A device or pipe may never end.
    if (!isFile) return { kind: "problem", problem: "is not a regular file" };
    if (size > MAX_FILE_BYTES) return { kind: "problem", problem: TOO_LARGE };
    const bytes = await io.readFile(path);
    if (bytes.byteLength > MAX_FILE_BYTES) return { kind: "problem", problem: TOO_LARGE };
    return decode(bytes, mode);
  } catch (error) {
    const problem = describeFailure(error);
    const fix = FIXES.get(problem);
    const digest = digestOfFailure(error);
    return fix === undefined ? { kind: "problem", problem, digest } : { kind: "problem", problem, fix, digest };
  }
}

const TOO_LARGE = `is larger than ${MAX_FILE_BYTES / 1024 ** 2} MiB`;

// Node takes texts of a megabyte and more out of the heap.
const PIECE_BYTES = 512 * 1024;

function decode(bytes: Uint8Array, mode: number): ReadResult {
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let text = "";
    // A text decoded in one piece lies outside the engine's heap, where it is freed in a way that keeps the memory.
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      text += decoder.decode(bytes.subarray(at, at + PIECE_BYTES), { stream: true });
    }
    text += decoder.decode();
    return { kind: "file", text, mode: mode & 0o777, digest: digestOfContent(bytes) };
  } catch {
    return {
      kind: "problem",
      problem: "is not UTF-8 text",
      fix: "Save it as UTF-8",
      digest: digestOfContent(bytes),
    };
  }
}

const IS_MISSING = "does not exist";
const IS_FORBIDDEN = "may not be read by this user";
const IS_DIRECTORY = "is a directory; expected a file";
const NAME_A_FILE = "Name the file in it";

const FAILURES: ReadonlyMap<string, string> = new Map([
  ["ENOENT", IS_MISSING],
  ["ENOTDIR", IS_MISSING],
  ["EACCES", IS_FORBIDDEN],
  ["EPERM", IS_FORBIDDEN],
  ["ELOOP", "is a circle of symbolic links"],
  ["EISDIR", IS_DIRECTORY],
]);

const FIXES: ReadonlyMap<string, string> = new Map([
  [IS_FORBIDDEN, "Let this user read it, and every directory above it"],
  [IS_DIRECTORY, NAME_A_FILE],
]);

function describeFailure(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
  return FAILURES.get(code) ?? `cannot be read (${code})`;
}

const NAME_THE_MAIN_FILE = "Name the main file with --config or LATCHKEY_CONFIG; `latchkey init` writes a first one";

async function readAll(mainFile: string, reader: Reader): Promise<Snapshot> {
  const path = resolve(mainFile);
  const directory = dirname(path);
  const main = await reader.read(path);
  const digests = new Map<string, string>();
  note(digests, path, main.digest);
  const nothing = { mainFile, directory, keysFiles: [], referenced: new Map(), watched: [path], digests };
  if (main.kind === "problem") {
    const problem = { severity: "error", file: mainFile, line: 0, column: 0, path: "" } as const;
    const fix = main.problem === IS_MISSING ? NAME_THE_MAIN_FILE : main.fix;
    const told = { ...problem, message: `The file ${main.problem}` };
    return { ...nothing, main: undefined, problems: [fix === undefined ? told : { ...told, fix }] };
  }
  const file: SourceFile = { path: mainFile, text: main.text, mode: main.mode, digest: main.digest };
  const parsed = parseDocument(mainFile, main.text);
  // What is wrong with the text itself is found again, and told, by `parseConfiguration`.
  if (parsed.kind === "refused") return { ...nothing, main: file, problems: [] };
  const found: Finding[] = [];
  const report = createReport(mainFile, found);
  const gathering: Gathering = { mainFile, directory, reader, report, watched: new Set([path]), digests };
  const keysFiles = await readKeysFiles(parsed.document, gathering);
  const referenced = await readReferenced(parsed.document, gathering);
  const problems = locateFindings(found, new Map([[mainFile, parsed.document]]));
  const watched = [...gathering.watched];
  return { mainFile, directory, main: file, keysFiles, referenced, problems, watched, digests };
}

/** What has no digest was not seen as the watcher sees it, and counts as changed once. */
function note(digests: Map<string, string>, path: string, digest: string | undefined): void {
  if (digest !== undefined) digests.set(path, digest);
}

interface Gathering {
  readonly mainFile: string;
  readonly directory: string;
  readonly reader: Reader;
  readonly report: Report;
  readonly watched: Set<string>;
  readonly digests: Map<string, string>;
}

async function readKeysFiles(document: Document, gathering: Gathering): Promise<readonly SourceFile[]> {
  const files = new Map<string, SourceFile>();
  for (const { name, path } of findKeysFiles(document.value)) {
    for (const found of await expand(name, path, gathering)) {
      const absolute = resolve(gathering.directory, found);
      if (files.has(absolute)) continue;
      gathering.watched.add(absolute);
      const result = await gathering.reader.read(absolute);
      note(gathering.digests, absolute, result.digest);
      const shown = isAbsolute(found) ? found : join(dirname(gathering.mainFile), found);
      if (result.kind === "file")
        files.set(absolute, { path: shown, text: result.text, mode: result.mode, digest: result.digest });
      else {
        const fix = result.problem === IS_MISSING ? await suggestName(found, gathering) : result.fix;
        gathering.report.error(path, `The keys file ${shown} ${result.problem}`, fix);
      }
    }
  }
  return [...files.values()];
}

/** Of the files beside one that does not exist, the one that was most likely meant. */
async function suggestName(name: string, { directory, reader }: Gathering): Promise<string | undefined> {
  const entries = (await reader.list(resolve(directory, dirname(name)))) ?? [];
  const nearest = findNearest(
    basename(name),
    entries.filter((entry) => /\.(?:ya?ml|json)$/i.test(entry)),
  );
  return nearest === undefined ? undefined : `Did you mean ${join(dirname(name), nearest)}?`;
}

interface Named {
  readonly name: string;
  readonly path: Path;
}

/** The keys files a main file names, in any of its forms; whatever has another shape is for the schema to refuse. */
function findKeysFiles(main: unknown): readonly Named[] {
  const keys = memberOf(main, "keys");
  if (typeof keys === "string") return [{ name: keys, path: ["keys"] }];
  const files = Array.isArray(keys) ? undefined : memberOf(keys, "files");
  if (typeof files === "string") return [{ name: files, path: ["keys", "files"] }];
  if (!Array.isArray(files)) return [];
  return files.flatMap((name, index) => (typeof name === "string" ? [{ name, path: ["keys", "files", index] }] : []));
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

/** `keys.d/*.yaml` as the files it stands for, sorted; anything else as itself. */
async function expand(
  name: string,
  path: Path,
  { directory, reader, report, watched, digests }: Gathering,
): Promise<readonly string[]> {
  if (!name.includes("*")) return [name];
  const folder = dirname(name);
  if (folder.includes("*")) {
    report.error(path, "A * may stand only in the last part of a file name");
    return [];
  }
  const absolute = resolve(directory, folder);
  watched.add(absolute);
  const entries = await reader.list(absolute);
  if (entries === undefined) {
    report.error(path, `The directory ${folder} does not exist or may not be read`);
    return [];
  }
  note(digests, absolute, digestOfNames(entries));
  const pieces = basename(name).split("*");
  // As in a shell, a leading dot is never matched by *: ..data is the kubelet's, .keys.yaml.swp the editor's.
  const matching = entries.filter((entry) => !entry.startsWith(".") && fits(entry, pieces)).toSorted();
  if (matching.length === 0) report.warning(path, `No file matches ${name}`);
  return matching.map((entry) => join(folder, entry));
}

/** Whether a name is the pieces in order with anything between them. */
function fits(name: string, pieces: readonly string[]): boolean {
  const first = pieces[0] ?? "";
  const last = pieces.at(-1) ?? "";
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = name.slice(0, name.length - last.length).indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return true;
}

/** Fields of the main file that name another file. */
const FILE_FIELDS: readonly Path[] = [
  ["upstream", "ca"],
  ["listen", "tls", "cert"],
  ["listen", "tls", "key"],
  ["identity", "assertion", "key"],
  ["hashing", "pepper", "file"],
];

async function readReferenced(document: Document, gathering: Gathering): Promise<ReadonlyMap<string, string>> {
  const referenced = new Map<string, string>();
  const { directory, reader, report, watched, digests } = gathering;
  for (const path of FILE_FIELDS) {
    const name = path.reduce<unknown>((value, step) => memberOf(value, String(step)), document.value);
    if (typeof name !== "string") continue;
    const absolute = resolve(directory, name);
    watched.add(absolute);
    const result = await reader.read(absolute);
    note(digests, absolute, result.digest);
    if (result.kind === "file") referenced.set(`file:${name}`, result.text);
    else report.error(path, `The file ${name} ${result.problem}`, result.fix);
  }
  const variable = memberOf(memberOf(memberOf(document.value, "hashing"), "pepper"), "env");
  if (typeof variable === "string") {
    const text = reader.environment[variable];
    if (text !== undefined) referenced.set(`env:${variable}`, text);
    else report.error(["hashing", "pepper", "env"], `The environment variable ${variable} is not set`);
  }
  return referenced;
}
