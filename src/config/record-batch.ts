import type { WrittenKey } from "./key-schema.ts";

/** Some validated records of one file, in order: what is compiled in one go. Plain data. */
export interface RecordBatch {
  readonly file: string;
  /** The position of the first of them in the file. */
  readonly start: number;
  readonly records: readonly WrittenKey[];
  /** The line each begins on. */
  readonly lines: readonly number[];
}
