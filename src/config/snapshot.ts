import type { Diagnostic } from "./diagnostics.ts";

/** What surrounds the main file's words: all that a configuration is compiled from but the records of its keys. */
export interface Surroundings {
  /** The absolute directory that relative names in the main file start from. */
  readonly directory: string;
  /** Texts of the other files and variables the main file names, as `file:NAME` or `env:NAME`. May hold secrets. */
  readonly referenced: ReadonlyMap<string, string>;
  readonly keysFiles: readonly Pick<SourceFile, "path" | "mode">[];
}

/** One generation of everything a configuration is read from: plain data, so that it can go to another thread. */
export interface Snapshot extends Surroundings {
  /** The main file's name as given; it stands in messages. */
  readonly mainFile: string;
  /** Undefined when it could not be read; `problems` says why. */
  readonly main: SourceFile | undefined;
  /** In the order named, those of one `*` sorted. */
  readonly keysFiles: readonly SourceFile[];
  /** What could not be read. */
  readonly problems: readonly Diagnostic[];
  /** Absolute paths of the files read, and of directories in which a `*` may find new ones. */
  readonly watched: readonly string[];
  /** What was read at each of them, or why it could not be, in the terms of the watcher. */
  readonly digests: ReadonlyMap<string, string>;
}

export interface SourceFile {
  /** As the user named it, or relative to the main file's name. */
  readonly path: string;
  readonly text: string;
  /** What the watcher knows its bytes by; undefined where they were never seen. */
  readonly digest?: string | undefined;
  /** Permission bits; undefined where the file system has none that mean anything. */
  readonly mode: number | undefined;
}
