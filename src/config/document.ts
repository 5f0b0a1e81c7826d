import type { Path } from "./diagnostics.ts";

/** A place in a text; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A text read as a value that remembers where everything stood. */
export interface Document {
  readonly file: string;
  /** Plain data: objects, arrays, strings, numbers, booleans and null; no key is `__proto__`. */
  readonly value: unknown;
  /** Where a value stands, or its name where it is a field; undefined when the document has no such path. */
  readonly locate: (path: Path, part: "value" | "name") => Position | undefined;
  /** The line of one entry of the top-level list `keys`, without searching for it. */
  readonly recordLine: (index: number) => number;
  /** Numbers that are written otherwise than the program would write them; as text each would be another one. */
  readonly respelt: readonly Respelt[];
}

/** Such as `00123`, which is the number 123. */
export interface Respelt {
  readonly path: Path;
  readonly text: string;
  readonly value: number;
}

/** A text whose records are read some at a time, and never all in memory. */
export interface OpenRecords extends Pick<Document, "locate" | "recordLine"> {
  /** Reads the text from its beginning; returns whether it held nothing but these records to its end. */
  readonly read: (batch: number) => Generator<readonly unknown[], boolean>;
}

/** Something a text says that no document may; the path is filled in where it is known. */
export interface DocumentProblem {
  readonly position: Position | undefined;
  readonly path: Path;
  readonly message: string;
  readonly fix?: string;
}

export type ReadDocument =
  | {
      readonly kind: "read";
      readonly value: unknown;
      readonly locate: Document["locate"];
      readonly recordLine: Document["recordLine"];
      readonly respelt: Document["respelt"];
    }
  | { readonly kind: "refused"; readonly problems: readonly DocumentProblem[] };

/** A keys file of this size holds some 200,000 records; anything larger is not a config file. */
export const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** Deeper than any config this language can express. */
export const MAX_DEPTH = 32;

/** The line and column of an offset. */
export function toPosition(text: string, offset: number): Position {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) {
    line += 1;
    start = at + 1;
  }
  return { line, column: offset - start + 1 };
}
