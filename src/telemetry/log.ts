import { type Logger, pino } from "pino";
import type { LogSettings } from "../config/settings.ts";
import type { LineBatches } from "./line-batches.ts";

/** The process's structured log. Lines that are made elsewhere take their place among its own. */
export interface Log extends Logger {
  /** Writes a whole line, with its line end, as it is. */
  readonly writeLine: (line: string) => void;
  /** The time field as it stands in every line, comma first. */
  readonly time: () => string;
}

/** One JSON object a line. */
export function createLog(level: LogSettings["level"], destination: LineBatches, now: () => number): Log {
  const time = createTimeField(now);
  const logger = pino(
    {
      level,
      base: null,
      timestamp: time,
      formatters: { level: (label) => ({ level: label }) },
    },
    // What happens seldom is told at once, and behind all that was gathered before it.
    {
      write: (line) => {
        destination.write(line);
        destination.flush();
      },
    },
  );
  return Object.assign(logger, {
    writeLine: destination.write,
    time,
  });
}

/** RFC 3339 in UTC; written anew once a second, and but for the milliseconds not again until the next. */
function createTimeField(now: () => number): () => string {
  let writtenSecond = Number.NaN;
  let written = "";
  return () => {
    const nowMs = now();
    const second = Math.floor(nowMs / 1000);
    if (second !== writtenSecond) {
      writtenSecond = second;
      written = `,"time":"${new Date(second * 1000).toISOString().slice(0, -4)}`;
    }
    return `${written}${String(nowMs - second * 1000).padStart(3, "0")}Z"`;
  };
}
