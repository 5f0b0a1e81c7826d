import { type DestinationStream, type Logger, pino } from "pino";
import type { LogSettings } from "../config/settings.ts";

/** The process's structured log. Lines that are made elsewhere take their place among its own. */
export interface Log extends Logger {
  /** Writes a whole line, with its line end, as it is. */
  readonly writeLine: (line: string) => void;
  /** The time field as it stands in every line, comma first. */
  readonly time: () => string;
}

/** One JSON object a line. */
export function createLog(level: LogSettings["level"], destination: DestinationStream): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return Object.assign(logger, {
    writeLine: (line: string) => void destination.write(line),
    time: pino.stdTimeFunctions.isoTime,
  });
}
