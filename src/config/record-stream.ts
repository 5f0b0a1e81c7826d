import * as z from "zod";
import { openJsonRecords } from "./json-document.ts";
import { keyRecord, type WrittenKey } from "./key-schema.ts";
import { streamPlainRecords } from "./plain-records.ts";

/** A large keys file whose records are read anew each time they are gone through, so that they are never all in memory. */
export interface RecordStream {
  readonly lines: readonly number[];
  readonly batches: () => Iterable<readonly WrittenKey[]>;
}

/** Records as read, some at a time; returns whether the file was nothing but these to its end. */
export type ReadRecords = (batch: number) => Generator<readonly unknown[], boolean>;

// Below this a file is read whole in less time than anybody notices.
const STREAM_FROM_CHARACTERS = 256 * 1024;

const records = z.array(keyRecord);

/** Reads a keys file through once; undefined where it is small or is not plainly valid, and is to be read whole. */
export function openRecordStream(file: string, text: string, batch: number): RecordStream | undefined {
  if (text.length < STREAM_FROM_CHARACTERS || text.includes("\0")) return undefined;
  const lines: number[] = [];
  const read = file.toLowerCase().endsWith(".json") ? openJsonRecords(text, lines) : openPlainRecords(text, lines);
  if (read === undefined) return undefined;
  const pass = read(batch);
  for (;;) {
    const step = pass.next();
    if (step.done === true) return step.value ? { lines, batches: () => readValid(read(batch)) } : undefined;
    if (!records.safeParse(step.value).success) return undefined;
  }
}

/** What was found valid before, and is read from the same text. */
function* readValid(pass: Generator<readonly unknown[], boolean>): Iterable<readonly WrittenKey[]> {
  for (const batch of pass) yield batch as readonly WrittenKey[];
}

function openPlainRecords(text: string, lines: number[]): ReadRecords {
  return function* read(batch) {
    lines.length = 0;
    let records: unknown[] = [];
    const stream = streamPlainRecords(text);
    for (;;) {
      const step = stream.next();
      if (step.done === true) {
        if (records.length > 0) yield records;
        return step.value.kind === "end" && lines.length > 0;
      }
      lines.push(step.value.line);
      records.push(step.value.record);
      if (records.length < batch) continue;
      yield records;
      records = [];
    }
  };
}
