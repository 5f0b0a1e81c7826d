import { pino } from "pino";
import pkg from "../../package.json" with { type: "json" };
import { systemClock } from "../app/clock.ts";
import { type ServeOptions, type ServingProcess, serve } from "../app/serve.ts";
import { formatDiagnostics } from "../config/diagnostics.ts";
import { createLog } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import type { Terminal } from "./terminal.ts";

const STDOUT = 1;

/** Starts serving with this process's clock, log and metrics; says on standard error why it cannot. */
export async function startProcess(
  terminal: Terminal,
  options: Pick<ServeOptions, "configFile" | "overrides" | "lastGood">,
): Promise<ServingProcess | undefined> {
  // Written in batches while the previous batch is under way; what is left is flushed when the process ends.
  const destination = pino.destination({ dest: STDOUT, sync: false });
  const served = await serve({
    ...options,
    env: terminal.env,
    clock: systemClock,
    createLog: ({ settings }) => createLog(settings.log.level, destination),
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
