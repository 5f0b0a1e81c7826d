import { write, writeSync } from "node:fs";
import pkg from "../../package.json" with { type: "json" };
import { systemClock } from "../app/clock.ts";
import { type ServeOptions, type ServingProcess, serve } from "../app/serve.ts";
import { createLineBatches } from "../telemetry/line-batches.ts";
import { createLog } from "../telemetry/log.ts";
import { createLogOutput, type LogFile } from "../telemetry/log-output.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { formatFindings } from "./findings.ts";
import type { Terminal } from "./terminal.ts";

const STDOUT = 1;

/** Standard output, written by another thread. */
const LOG_FILE: LogFile = {
  write: (bytes, done) => write(STDOUT, bytes, done),
  writeSync: (bytes) => writeSync(STDOUT, bytes),
  pause: (ms) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
};

/** Starts serving with this process's clock, log and metrics; says on standard error why it cannot. */
export async function startProcess(
  terminal: Terminal,
  options: Pick<ServeOptions, "configFile" | "overrides" | "lastGood">,
): Promise<ServingProcess | undefined> {
  const metrics = createMetrics(pkg.version);
  const output = createLogOutput(LOG_FILE, metrics.logLinesDropped, systemClock.after);
  const batches = createLineBatches(output.write, systemClock.after);
  const served = await serve({
    ...options,
    env: terminal.env,
    clock: systemClock,
    writeLines: (lines) => {
      batches.flush();
      output.write(lines);
    },
    version: pkg.version,
    createLog: ({ settings }) => createLog(settings.log.level, batches, systemClock.now),
    metrics,
  });
  switch (served.kind) {
    case "serving":
      terminal.onExit(() => {
        batches.flush();
        output.end();
      });
      for (const warning of served.process.warnings) served.process.log.warn({ warning }, "config warning");
      return served.process;
    case "rejected":
      terminal.err(formatFindings(served.diagnostics, { color: terminal.colour }));
      return undefined;
    case "failed":
      terminal.err(`latchkey: ${served.problem}\n`);
      return undefined;
    default:
      return served satisfies never;
  }
}
