import * as z from "zod";
import type { Document, OpenRecords } from "./document.ts";
import { openJsonRecords } from "./json-document.ts";
import { keyRecord, type WrittenKey } from "./key-schema.ts";
import { openPlainRecords } from "./plain-document.ts";
import { isPlainKey } from "./plain-key.ts";

/** A large keys file whose records are read anew each time they are gone through, so that they are never all in memory. */
export interface RecordStream extends Pick<Document, "locate" | "recordLine"> {
  /** Valid records; returns false, perhaps in the middle, where the file is not plainly valid and is to be read whole. */
  readonly batches: () => Generator<readonly WrittenKey[], boolean>;
}

// Below this a file is read whole in less time than anybody notices.
const STREAM_FROM_CHARACTERS = 256 * 1024;

const records = z.array(keyRecord);

/** Opens a keys file to be read in batches; undefined where it is small or obviously something else. */
export function openRecordStream(file: string, text: string, batch: number): RecordStream | undefined {
  if (text.length < STREAM_FROM_CHARACTERS || text.includes("\0")) return undefined;
  const open = file.toLowerCase().endsWith(".json") ? openJsonRecords(text) : openPlainRecords(text);
  return open && { locate: open.locate, recordLine: open.recordLine, batches: () => readValid(open, batch) };
}

function* readValid({ read }: OpenRecords, batch: number): Generator<readonly WrittenKey[], boolean> {
  const pass = read(batch);
  for (;;) {
    const step = pass.next();
    if (step.done === true) return step.value;
    if (step.value.every(isPlainKey)) {
      yield step.value;
      continue;
    }
    const valid = records.safeParse(step.value);
    if (!valid.success) return false;
    yield valid.data;
  }
}
