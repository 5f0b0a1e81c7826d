import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Snapshot } from "./snapshot.ts";
import type { SourceIo } from "./source.ts";

/** What a copy is, beside the files in it. */
interface Manifest {
  readonly format: 1;
  /** When it was made, in milliseconds since 1970. */
  readonly keptAtMs: number;
  readonly files: readonly CopiedFile[];
}

interface CopiedFile {
  /** The absolute path it was read from. */
  readonly path: string;
  /** Its name in the copy. */
  readonly copy: string;
  readonly mode: number;
}

/** A copy of everything a configuration was read from, to be read as if it stood where it was. */
export interface LastGood {
  readonly io: SourceIo;
  readonly keptAtMs: number;
}

const CURRENT = "current";
const MANIFEST = "manifest.json";
const GENERATION = "generation-";
// The files name digests and may hold a pepper or a private key.
const PRIVATE_DIRECTORY = 0o700;
const PRIVATE_FILE = 0o600;

/**
 * Copies the files of a snapshot to a directory of their own inside `directory`, then moves the link to it,
 * so that whoever starts from it finds a whole copy, the old one or the new one. Rejects where it cannot.
 */
export async function keepLastGood(snapshot: Snapshot, directory: string, nowMs: number): Promise<void> {
  await mkdir(directory, { recursive: true, mode: PRIVATE_DIRECTORY });
  const name = `${GENERATION}${randomBytes(6).toString("hex")}`;
  const generation = join(directory, name);
  try {
    await mkdir(generation, { mode: PRIVATE_DIRECTORY });
    const files: CopiedFile[] = [];
    for (const { path, text, mode } of filesOf(snapshot)) {
      const copy = `${files.length}-${basename(path)}`;
      await writeDurably(join(generation, copy), text);
      files.push({ path, copy, mode });
    }
    const manifest: Manifest = { format: 1, keptAtMs: nowMs, files };
    await writeDurably(join(generation, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`);
    const link = join(directory, `.${name}`);
    await symlink(name, link);
    await rename(link, join(directory, CURRENT));
  } catch (error) {
    await rm(generation, { recursive: true, force: true });
    throw error;
  }
  for (const other of await readdir(directory)) {
    if (other.startsWith(GENERATION) && other !== name) {
      await rm(join(directory, other), { recursive: true, force: true });
    }
  }
}

/** The copy in a directory. Rejects where there is none, or one that others could have written. */
export async function openLastGood(directory: string, environment: SourceIo["environment"]): Promise<LastGood> {
  const generation = join(directory, CURRENT);
  const { mode } = await stat(generation);
  if ((mode & 0o077) !== 0) throw new Error(`others than its owner may use ${generation}`);
  const { files, keptAtMs } = JSON.parse(await readFile(join(generation, MANIFEST), "utf8")) as Manifest;
  const copies = new Map(files.map((file) => [file.path, file]));
  const find = (path: string): CopiedFile => {
    const found = copies.get(path);
    if (found === undefined) throw Object.assign(new Error(`${path} is not in the copy`), { code: "ENOENT" });
    return found;
  };
  const io: SourceIo = {
    stat: async (path) => {
      const file = find(path);
      const { size } = await stat(join(generation, file.copy));
      return { size, mode: file.mode, isFile: true, isDirectory: false, version: "" };
    },
    readFile: async (path) => readFile(join(generation, find(path).copy)),
    readDirectory: async (path) =>
      files.filter((file) => dirname(file.path) === path).map((file) => basename(file.path)),
    // A copy is not a volume of the kubelet's: it has no generations.
    readLink: (path) => Promise.reject(new Error(`${path} is no link`)),
    environment,
  };
  return { io, keptAtMs };
}

/** Why a copy could not be made or read. */
export function describeCopyFailure(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface KeptFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

function filesOf({ mainFile, main, keysFiles, referenced, directory }: Snapshot): readonly KeptFile[] {
  const named = [...(main === undefined ? [] : [{ ...main, path: mainFile }]), ...keysFiles].map((file) => ({
    path: resolve(file.path),
    text: file.text,
    mode: file.mode ?? PRIVATE_FILE,
  }));
  const others = [...referenced]
    .filter(([name]) => name.startsWith("file:"))
    .map(([name, text]) => ({ path: resolve(directory, name.slice("file:".length)), text, mode: PRIVATE_FILE }));
  return [...new Map([...named, ...others].map((file) => [file.path, file])).values()];
}

/** A link must not point at a copy that a power cut leaves empty. */
async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", PRIVATE_FILE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
