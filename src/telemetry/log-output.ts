import type { LineBytes } from "./line-batches.ts";

// The next write begins at a later turn of the event loop than the one before has ended in, and with a thousand requests
// under way a turn takes ten milliseconds: as many batches as come meanwhile are to leave in one.
const WRITE_MAX_BYTES = 256 * 1024;
// Where nobody reads the log, lines are lost rather than memory.
const HELD_MAX_BYTES = 64 * 1024 * 1024;
// A pipe that takes nothing just now is tried again after so long.
const BUSY_MS = 100;
// What is not read within a second of the end is not waited for.
const MAX_PAUSES_AT_END = 10;

const LINE_END = 0x0a;
const NOTHING: LineBytes = new Uint8Array(0);

/** What the log is written to, as the system offers it: it may take less than it is given, or fail. */
export interface LogFile {
  readonly write: (bytes: LineBytes, done: (error: Error | null, written: number) => void) => void;
  readonly writeSync: (bytes: LineBytes) => number;
  /** Has this thread wait, while the process ends. */
  readonly pause: (ms: number) => void;
}

/** Writes lines in the order they came. What cannot be written is dropped, and stops neither requests nor the process. */
export interface LogOutput {
  /** Whole lines, whose bytes are given away. */
  readonly write: (lines: LineBytes) => void;
  /** Writes what is left, while the process ends and nothing else runs. */
  readonly end: () => void;
}

export function createLogOutput(
  file: LogFile,
  dropped: (lines: number) => void,
  after: (delayMs: number, task: () => void) => unknown,
  heldMaxBytes = HELD_MAX_BYTES,
): LogOutput {
  const held: LineBytes[] = [];
  let heldBytes = 0;
  let batch = NOTHING;
  /** Whether a line was begun and is not finished. */
  let isTorn = false;
  let state: "idle" | "writing" | "pausing" = "idle";

  const refill = (): void => {
    let bytes = batch.length;
    let count = 0;
    for (const lines of held) {
      if (count > 0 && bytes + lines.length > WRITE_MAX_BYTES) break;
      bytes += lines.length;
      count += 1;
    }
    heldBytes -= bytes - batch.length;
    batch = join([...(batch.length === 0 ? [] : [batch]), ...held.splice(0, count)], bytes);
  };
  const advance = (written: number): void => {
    if (written > 0) isTorn = batch[written - 1] !== LINE_END;
    batch = batch.subarray(written);
  };
  const drop = (): void => {
    // The rest of a line that was begun is kept: without it, the next line to be written would be spoilt too.
    const torn = isTorn ? batch.indexOf(LINE_END) + 1 : 0;
    dropped(countLines(batch.subarray(torn)));
    batch = batch.slice(0, torn);
  };
  const attempt = (): void => {
    state = "writing";
    file.write(batch, settle);
  };
  const begin = (): void => {
    refill();
    attempt();
  };
  const settle = (error: Error | null, written: number): void => {
    if (error !== null && isBusy(error)) {
      state = "pausing";
      after(BUSY_MS, attempt);
      return;
    }
    if (error === null) advance(written);
    else drop();
    if (error === null && batch.length > 0) attempt();
    else if (held.length > 0) begin();
    else state = "idle";
  };
  return {
    write: (lines) => {
      if (heldBytes + lines.length > heldMaxBytes) {
        dropped(countLines(lines));
        return;
      }
      held.push(lines);
      heldBytes += lines.length;
      if (state === "idle") begin();
    },
    end: () => {
      // What is under way is another thread's.
      if (state === "writing") batch = NOTHING;
      state = "writing";
      let pauses = 0;
      for (refill(); batch.length > 0; ) {
        try {
          advance(file.writeSync(batch));
          if (batch.length === 0) refill();
        } catch (error) {
          if (!isBusy(error) || pauses === MAX_PAUSES_AT_END) return;
          pauses += 1;
          file.pause(BUSY_MS);
        }
      }
    },
  };
}

function isBusy(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "EAGAIN" || code === "EBUSY";
}

function join(pieces: readonly LineBytes[], bytes: number): LineBytes {
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return only;
  const joined = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

function countLines(bytes: LineBytes): number {
  let lines = 0;
  for (let at = bytes.indexOf(LINE_END); at !== -1; at = bytes.indexOf(LINE_END, at + 1)) lines += 1;
  return lines;
}
