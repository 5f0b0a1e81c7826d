import { createHash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { withOpenFile } from "./open-file.ts";

/** Deferred calls, as the composition root provides them; pending ones must not keep the process alive. */
export interface Timers {
  readonly setTimeout: (task: () => void, delayMs: number) => { readonly cancel: () => void };
}

export interface WatchOptions {
  readonly timers: Timers;
  readonly debounceMs?: number;
  readonly settleMs?: number;
  readonly pollMs?: number;
  readonly known?: KnownDigests;
}

/**
 * What the caller read, by path: `digestOfContent` of a file, `digestOfNames` of a directory. A path
 * not listed counts as changed once, since nobody saw it between its reading and its first look here.
 */
export type KnownDigests = ReadonlyMap<string, string>;

export interface FileWatcher {
  /** Replaces the set, as after a reload that names other files. */
  readonly setFiles: (files: readonly string[], digests?: KnownDigests) => void;
  /** Releases everything; `onChange` is not called again. */
  readonly close: () => void;
}

/** What was last seen at a path. */
interface Seen {
  /** What stat() tells cheaply; a path whose identity stands still is not read again. */
  readonly identity: string;
  readonly digest: string;
  /** Whether two looks agreed. A second write within one tick of the file system's clock leaves the identity alone. */
  readonly confirmed: boolean;
}

interface WatchedDirectory {
  readonly identity: string;
  readonly watcher: FSWatcher;
}

// One save by an editor, or one swap by the kubelet, is half a dozen events within a few milliseconds.
const DEBOUNCE_MS = 25;
// A writer that pauses for longer than this in the middle of a file is taken to be done. A revocation waits for it too.
export const SETTLE_MS = 100;
// Finds what raises no event: single-file bind mounts, a switched parent symlink, network file systems.
const POLL_MS = 2_000;
// A config is far smaller. Something larger is told apart by its identity alone, not read every time.
const MAX_HASHED_BYTES = 64 * 1024 * 1024;

/**
 * Calls `onChange` once for each settled change of content at any of the paths; a directory among
 * them stands for the names in it, so that a file added to a glob is seen. Directories are watched
 * rather than files, since a file's watch dies with its inode, and any event counts, since a swap of
 * `..data` never names the file. What raises no event, a slow poll of the content finds.
 */
export function watchFiles(files: readonly string[], onChange: () => void, options: WatchOptions): FileWatcher {
  const watcher = new DirectoryWatcher(onChange, options);
  watcher.setFiles(files, options.known);
  return watcher;
}

export function digestOfContent(bytes: Uint8Array): string {
  return `content:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Names with a leading dot do not count, as no glob matches them: swap files, temporary files, the kubelet's links. */
export function digestOfNames(names: readonly string[]): string {
  const visible = names.filter((name) => !name.startsWith(".")).toSorted();
  return `names:${createHash("sha256").update(JSON.stringify(visible)).digest("hex")}`;
}

/** For a path that could not be read: absent for a moment is usual while a file is being replaced, and a state like any other. */
export function digestOfFailure(error: unknown): string {
  return `error:${error instanceof Error && "code" in error ? String(error.code) : "unknown"}`;
}

class DirectoryWatcher implements FileWatcher {
  readonly #onChange: () => void;
  readonly #timers: Timers;
  readonly #debounceMs: number;
  readonly #settleMs: number;
  readonly #pollMs: number;
  readonly #directories = new Map<string, WatchedDirectory>();
  #files: readonly string[] = [];
  #seen: ReadonlyMap<string, Seen> = new Map();
  /** What `onChange` was last called for, or what the caller said it read. */
  #announced: ReadonlyMap<string, string> = new Map();
  /** The digests of the last look, while they differ from the announced ones. */
  #candidate: string | undefined;
  /** Runs from the first look at a candidate: what a look after it still sees is settled. */
  #settle: ReturnType<Timers["setTimeout"]> | undefined;
  #debounce: ReturnType<Timers["setTimeout"]> | undefined;
  #poll: ReturnType<Timers["setTimeout"]> | undefined;
  #looking = false;
  #lookAgain = false;
  #closed = false;

  constructor(onChange: () => void, options: WatchOptions) {
    this.#onChange = onChange;
    this.#timers = options.timers;
    this.#debounceMs = options.debounceMs ?? DEBOUNCE_MS;
    this.#settleMs = options.settleMs ?? SETTLE_MS;
    this.#pollMs = options.pollMs ?? POLL_MS;
    this.#pollLater();
  }

  setFiles(files: readonly string[], digests: KnownDigests = new Map()): void {
    this.#files = [...new Set(files.map((file) => resolve(file)))];
    const read = new Map([...digests].map(([path, digest]) => [resolve(path), digest]));
    const known = [...this.#announced, ...read].filter(([path]) => this.#files.includes(path));
    this.#announced = new Map(known);
    void this.#look();
  }

  close(): void {
    this.#closed = true;
    this.#debounce?.cancel();
    this.#settle?.cancel();
    this.#poll?.cancel();
    for (const directory of this.#directories.keys()) this.#unwatch(directory);
  }

  #pollLater(): void {
    if (this.#closed) return;
    this.#poll = this.#timers.setTimeout(() => void this.#look().then(() => this.#pollLater()), this.#pollMs);
  }

  /** A look that is due already is not put off: a log file in the same directory would put it off for ever. */
  #lookLater(): void {
    if (this.#closed || this.#debounce !== undefined || this.#settle !== undefined) return;
    this.#debounce = this.#timers.setTimeout(() => {
      this.#debounce = undefined;
      void this.#look();
    }, this.#debounceMs);
  }

  #settleLater(): void {
    this.#settle?.cancel();
    this.#settle = this.#timers.setTimeout(() => {
      this.#settle = undefined;
      void this.#look();
    }, this.#settleMs);
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    this.#lookAgain = this.#looking;
    if (this.#looking) return;
    this.#looking = true;
    const files = this.#files;
    const seen = new Map<string, Seen>();
    // Watching comes before reading, so that a change after the reading raises an event.
    await this.#watchOnly(new Set([...files.map((file) => dirname(file)), ...files]));
    for (const file of files) seen.set(file, await lookAt(file, this.#seen.get(file)));
    this.#looking = false;
    this.#seen = seen;
    if (files === this.#files) this.#judge(files, seen);
    if (this.#lookAgain) await this.#look();
  }

  #judge(files: readonly string[], seen: ReadonlyMap<string, Seen>): void {
    if (this.#closed) return;
    const digests = new Map(files.map((file) => [file, seen.get(file)?.digest ?? ""]));
    if (files.every((file) => digests.get(file) === this.#announced.get(file))) {
      this.#candidate = undefined;
      this.#settle?.cancel();
      this.#settle = undefined;
      return;
    }
    const candidate = JSON.stringify([...digests]);
    if (candidate !== this.#candidate) {
      this.#candidate = candidate;
      this.#settleLater();
      return;
    }
    // A poll may look in between; two looks must agree that are far enough apart.
    if (this.#settle !== undefined) return;
    this.#candidate = undefined;
    this.#announced = digests;
    this.#onChange();
  }

  /** Watches exactly the directories among these paths; one that was replaced under its name is watched anew. */
  async #watchOnly(paths: ReadonlySet<string>): Promise<void> {
    for (const path of this.#directories.keys()) if (!paths.has(path)) this.#unwatch(path);
    for (const path of paths) {
      const identity = await directoryIdentity(path);
      if (this.#directories.get(path)?.identity === identity) continue;
      this.#unwatch(path);
      if (identity !== undefined && !this.#closed) this.#watch(path, identity);
    }
  }

  #watch(path: string, identity: string): void {
    try {
      const watcher = watch(path, { persistent: false }, () => this.#lookLater());
      watcher.on("error", () => this.#unwatch(path));
      this.#directories.set(path, { identity, watcher });
    } catch {
      // Out of inotify watches, or a file system without them: the poll sees the change, and tries again.
    }
  }

  #unwatch(path: string): void {
    this.#directories.get(path)?.watcher.close();
    this.#directories.delete(path);
  }
}

async function directoryIdentity(path: string): Promise<string | undefined> {
  try {
    const stats = await stat(path, { bigint: true });
    // Inode numbers are reused at once by some file systems; the time of birth tells the two apart.
    return stats.isDirectory() ? `${stats.dev}:${stats.ino}:${stats.birthtimeNs}` : undefined;
  } catch {
    return undefined;
  }
}

// A fraction of a millisecond of hashing; a file of 64 MiB in one piece would hold the event loop for fifty.
const PIECE_BYTES = 128 * 1024;

/** `digestOfContent` of a file of any size, a piece at a time and all in one place: a stream leaves each piece to be collected. */
function digestOfFile(path: string): Promise<string> {
  return withOpenFile(path, async (file) => {
    const digest = createHash("sha256");
    const size = await file.size();
    const piece = Buffer.allocUnsafeSlow(Math.max(1, Math.min(size, PIECE_BYTES)));
    for (;;) {
      const bytesRead = await file.read(piece);
      if (bytesRead === 0) return `content:${digest.digest("hex")}`;
      digest.update(piece.subarray(0, bytesRead));
    }
  });
}

async function lookAt(path: string, before: Seen | undefined): Promise<Seen> {
  try {
    const stats = await stat(path, { bigint: true });
    const identity = `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
    if (before?.confirmed && before.identity === identity) return before;
    let digest: string;
    if (stats.isDirectory()) digest = digestOfNames(await readdir(path));
    // Reading a FIFO or a device may never end; the loader refuses them.
    else if (!stats.isFile() || stats.size > MAX_HASHED_BYTES) digest = `identity:${identity}`;
    else digest = await digestOfFile(path);
    return { identity, digest, confirmed: before?.identity === identity && before.digest === digest };
  } catch (error) {
    return { identity: "", digest: digestOfFailure(error), confirmed: false };
  }
}
