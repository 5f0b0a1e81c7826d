// A write costs as much as answering a request, whatever is in it: a busy process makes one of some 150 lines.
const BATCH_LENGTH = 64 * 1024;
// A line of a process with little to do is out before anybody looks for it.
const WAIT_MS = 50;

/** Gathers lines of the log, so that many leave in one write. */
export interface LineBatches {
  /** Whole lines, each with its line end. */
  readonly write: (lines: string) => void;
  /** Hands on what was gathered. */
  readonly flush: () => void;
}

export function createLineBatches(
  write: (lines: string) => void,
  after: (delayMs: number, task: () => void) => unknown,
): LineBatches {
  let gathered = "";
  let isWaiting = false;
  const flush = (): void => {
    if (gathered === "") return;
    const lines = gathered;
    gathered = "";
    write(lines);
  };
  return {
    flush,
    write: (lines) => {
      gathered += lines;
      if (gathered.length >= BATCH_LENGTH) flush();
      else if (!isWaiting) {
        isWaiting = true;
        after(WAIT_MS, () => {
          isWaiting = false;
          flush();
        });
      }
    },
  };
}
