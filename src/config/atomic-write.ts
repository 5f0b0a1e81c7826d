import { createHash, randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { type FileHandle, open, readFile, realpath, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export type WriteResult =
  /** `in-place` is not atomic: a reader may for a moment see half of it. `reason` says why it was needed. */
  | { readonly kind: "written"; readonly method: "renamed"; readonly path: string; readonly sha256: string }
  | {
      readonly kind: "written";
      readonly method: "in-place";
      readonly path: string;
      readonly sha256: string;
      readonly reason: string;
    }
  /** Somebody else wrote the file since the caller read it; nothing was touched. */
  | { readonly kind: "changed"; readonly path: string }
  | { readonly kind: "failed"; readonly path: string; readonly problem: string };

/** What an edit was based on: the digest of the text that was read, or that there was no file. */
export type Expected = { readonly kind: "sha256"; readonly hex: string } | { readonly kind: "absent" };

interface Existing {
  readonly bytes: Buffer;
  readonly stats: Stats;
}

// A new keys file holds digests, which nobody but its owner has to read.
const NEW_FILE_MODE = 0o600;
const PERMISSION_BITS = 0o7777;

/**
 * Replaces a file's content so that a reader, or a crash, sees the old text or the new one. A symlink
 * is followed; owner and mode are kept. Where the file cannot be replaced but can be written, as a
 * bind mount of a single file, it is written in place and the result says so.
 */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  expected: Expected,
): Promise<WriteResult> {
  let target = path;
  try {
    target = await resolveTarget(path);
    const old = await readExisting(target);
    if (!isExpected(old, expected)) return { kind: "changed", path: target };
    return await replace(target, Buffer.from(content), old, expected);
  } catch (error) {
    return { kind: "failed", path: target, problem: describe(error) };
  }
}

export type Written = Extract<WriteResult, { readonly kind: "written" }>;

/**
 * Puts back what a write has replaced, or removes what there was not, unless somebody else has written the file since; why
 * it could not.
 */
export async function undoWrite({ path, sha256 }: Written, old: Uint8Array | undefined): Promise<string | undefined> {
  const expected = { kind: "sha256", hex: sha256 } as const;
  const undone = old === undefined ? await removeFile(path, expected) : await writeFileAtomically(path, old, expected);
  switch (undone.kind) {
    case "removed":
    case "written":
      return undefined;
    case "changed":
      return `somebody else wrote ${path} meanwhile`;
    case "failed":
      return undone.problem;
    default:
      return undone satisfies never;
  }
}

async function removeFile(path: string, expected: Expected) {
  try {
    if (!isExpected(await readExisting(path), expected)) return { kind: "changed" } as const;
    await unlink(path);
    return { kind: "removed" } as const;
  } catch (error) {
    return { kind: "failed", problem: describe(error) } as const;
  }
}

/** The digest by which `writeFileAtomically` recognises the text an edit was based on. */
export function toExpected(bytes: Uint8Array): Expected {
  return { kind: "sha256", hex: sha256Of(bytes) };
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function resolveTarget(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    return join(await realpath(dirname(path)), basename(path));
  }
}

async function readExisting(target: string): Promise<Existing | undefined> {
  try {
    const stats = await stat(target);
    if (!stats.isFile()) throw new Error(`${target} is not a regular file`);
    return { bytes: await readFile(target), stats };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function isExpected(found: Existing | undefined, expected: Expected): boolean {
  if (expected.kind === "absent" || found === undefined) return expected.kind === "absent" && found === undefined;
  return sha256Of(found.bytes) === expected.hex;
}

// Why a file may be writable though nothing can be put in its place: it is a mount point (EBUSY, EXDEV), or
// its directory is read-only, as the root file system of a hardened container is.
const CANNOT_REPLACE: ReadonlySet<string> = new Set(["EBUSY", "EXDEV", "EACCES", "EPERM", "EROFS"]);

async function replace(
  target: string,
  bytes: Buffer,
  old: Existing | undefined,
  expected: Expected,
): Promise<WriteResult> {
  const sha256 = sha256Of(bytes);
  // The dot and the ending keep it out of globs such as `*.yaml`.
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.tmp`);
  let reason: string;
  try {
    if (await writeTemporary(temporary, bytes, old?.stats)) {
      // The last look before the rename leaves another writer microseconds, not the time of an edit.
      if (!isExpected(await readExisting(target), expected)) {
        await unlink(temporary);
        return { kind: "changed", path: target };
      }
      await rename(temporary, target);
      await syncDirectory(dirname(target));
      return { kind: "written", method: "renamed", path: target, sha256 };
    }
    reason = "a new file would not keep the owner of the old one";
  } catch (error) {
    await removeQuietly(temporary);
    if (old === undefined || !CANNOT_REPLACE.has(codeOf(error) ?? "")) throw error;
    reason = describe(error);
  }
  await removeQuietly(temporary);
  if (old === undefined) return { kind: "failed", path: target, problem: reason };
  await overwrite(target, bytes, old.bytes);
  return { kind: "written", method: "in-place", path: target, sha256, reason };
}

/** Writes the new content next to the target; false where owner or group cannot be carried over. */
async function writeTemporary(path: string, bytes: Buffer, old: Stats | undefined): Promise<boolean> {
  const file = await open(path, "wx", NEW_FILE_MODE);
  try {
    if (old !== undefined) {
      if (!(await keepOwner(file, old))) return false;
      // After chown, which clears the set-id bits; explicitly, since open() masks with the umask.
      await file.chmod(old.mode & PERMISSION_BITS);
    }
    await file.writeFile(bytes);
    await file.sync();
    return true;
  } finally {
    await file.close();
  }
}

async function keepOwner(file: FileHandle, old: Stats): Promise<boolean> {
  const own = await file.stat();
  if (own.uid === old.uid && own.gid === old.gid) return true;
  try {
    await file.chown(old.uid, old.gid);
    return true;
  } catch {
    return false;
  }
}

/** Writes over a file without replacing it; if that fails half way, the old bytes are put back. */
async function overwrite(target: string, bytes: Buffer, oldBytes: Buffer): Promise<void> {
  const file = await open(target, "r+");
  try {
    await writeWhole(file, bytes);
  } catch (error) {
    await writeWhole(file, oldBytes);
    throw error;
  } finally {
    await file.close();
  }
}

async function writeWhole(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written, bytes.length - written, written)).bytesWritten;
  }
  await file.truncate(bytes.length);
  await file.sync();
}

/** Makes the rename itself durable; file systems that cannot sync a directory say EINVAL or similar. */
async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, "r");
    await directory.sync().finally(() => directory.close());
  } catch {
    // The content is synced and in place; only its survival of a power cut in this instant is not certain.
  }
}

async function removeQuietly(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch {
    // It was never created, or the directory is read-only.
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
