// A write costs as much as answering a request, whatever is in it: a busy process makes one of some 150 lines.
const BATCH_BYTES = 64 * 1024;
// What UTF-8 makes of one UTF-16 unit at most.
const MAX_UNIT_BYTES = 3;
// A line of a process with little to do is out before anybody looks for it.
const WAIT_MS = 50;

/** Gathers lines of the log, so that many leave in one write. */
export interface LineBatches {
  /** Whole lines, each with its line end. */
  readonly write: (lines: string) => void;
  /** Hands on what was gathered. */
  readonly flush: () => void;
}

/** Whole lines in UTF-8. */
export type LineBytes = Uint8Array<ArrayBuffer>;

/**
 * Lines wait as bytes: as text, the many pieces of a hundred lines outlive collection after collection of garbage, each
 * of which has to copy them. What is handed on is the receiver's own.
 */
export function createLineBatches(
  write: (lines: LineBytes) => void,
  after: (delayMs: number, task: () => void) => unknown,
): LineBatches {
  const batch = Buffer.allocUnsafeSlow(BATCH_BYTES);
  let length = 0;
  let isWaiting = false;
  const flush = (): void => {
    if (length === 0) return;
    const lines = new Uint8Array(batch.subarray(0, length));
    length = 0;
    write(lines);
  };
  return {
    flush,
    write: (lines) => {
      const room = lines.length * MAX_UNIT_BYTES;
      if (room > BATCH_BYTES - length) flush();
      if (room > BATCH_BYTES) {
        write(new TextEncoder().encode(lines));
        return;
      }
      length += batch.write(lines, length);
      if (isWaiting) return;
      isWaiting = true;
      after(WAIT_MS, () => {
        isWaiting = false;
        flush();
      });
    },
  };
}
