import { pino } from "pino";
import pkg from "../../package.json" with { type: "json" };
import { systemClock } from "../app/clock.ts";
import { type ServeOptions, type ServingProcess, serve } from "../app/serve.ts";
import { formatDiagnostics } from "../config/diagnostics.ts";
import { createLog } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import type { Terminal } from "./terminal.ts";

const STDOUT = 1;
// A write costs as much as answering a request, whatever is in it: a busy process makes one of some 150 lines.
const LOG_BATCH_BYTES = 64 * 1024;
// Where nobody reads the log, lines are lost rather than memory.
const LOG_MAX_BYTES = 64 * 1024 * 1024;
// A line of a process with little to do is out before anybody looks for it.
const LOG_WAIT_MS = 50;

/** Starts serving with this process's clock, log and metrics; says on standard error why it cannot. */
export async function startProcess(
  terminal: Terminal,
  options: Pick<ServeOptions, "configFile" | "overrides" | "lastGood">,
): Promise<ServingProcess | undefined> {
  // Written by another thread in batches; what is left is flushed when the process ends.
  const destination = pino.destination({
    dest: STDOUT,
    sync: false,
    minLength: LOG_BATCH_BYTES,
    maxWrite: 2 * LOG_BATCH_BYTES,
    maxLength: LOG_MAX_BYTES,
    periodicFlush: LOG_WAIT_MS,
  });
  const served = await serve({
    ...options,
    env: terminal.env,
    clock: systemClock,
    writeLines: (text) => void destination.write(text),
    version: pkg.version,
    createLog: ({ settings }) => createLog(settings.log.level, destination, systemClock.now),
    metrics: createMetrics(pkg.version),
  });
  switch (served.kind) {
    case "serving":
      terminal.onExit(() => destination.flushSync());
      for (const warning of served.process.warnings) served.process.log.warn({ warning }, "config warning");
      return served.process;
    case "rejected":
      terminal.err(formatDiagnostics(served.diagnostics, { color: terminal.colour }));
      return undefined;
    case "failed":
      terminal.err(`latchkey: ${served.problem}\n`);
      return undefined;
    default:
      return served satisfies never;
  }
}
