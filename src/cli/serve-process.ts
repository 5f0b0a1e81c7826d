import { pino } from "pino";
import pkg from "../../package.json" with { type: "json" };
import { systemClock } from "../app/clock.ts";
import { type ServeOptions, type ServingProcess, serve } from "../app/serve.ts";
import { formatDiagnostics } from "../config/diagnostics.ts";
import { createLineBatches, type LineBytes } from "../telemetry/line-batches.ts";
import { createLog } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import type { Terminal } from "./terminal.ts";

declare module "sonic-boom" {
  interface SonicBoom {
    /** What its types leave out: with `contentMode: "buffer"` it takes bytes. */
    write(bytes: Buffer): boolean;
  }
}

const STDOUT = 1;
// The next write begins at a later turn of the event loop than the one before has ended in, and with a thousand requests
// under way a turn takes ten milliseconds: as many batches as come meanwhile are to leave in one.
const WRITE_MAX_BYTES = 256 * 1024;
// Where nobody reads the log, lines are lost rather than memory.
const LOG_MAX_BYTES = 64 * 1024 * 1024;

/** Starts serving with this process's clock, log and metrics; says on standard error why it cannot. */
export async function startProcess(
  terminal: Terminal,
  options: Pick<ServeOptions, "configFile" | "overrides" | "lastGood">,
): Promise<ServingProcess | undefined> {
  // Written by another thread in batches; what is left is written when the process ends.
  const destination = pino.destination({
    dest: STDOUT,
    sync: false,
    contentMode: "buffer",
    maxWrite: WRITE_MAX_BYTES,
    maxLength: LOG_MAX_BYTES,
  });
  const write = ({ buffer, byteOffset, byteLength }: LineBytes): void =>
    void destination.write(Buffer.from(buffer, byteOffset, byteLength));
  const batches = createLineBatches(write, systemClock.after);
  const served = await serve({
    ...options,
    env: terminal.env,
    clock: systemClock,
    writeLines: (lines) => {
      batches.flush();
      write(lines);
    },
    version: pkg.version,
    createLog: ({ settings }) => createLog(settings.log.level, batches, systemClock.now),
    metrics: createMetrics(pkg.version),
  });
  switch (served.kind) {
    case "serving":
      terminal.onExit(() => {
        batches.flush();
        destination.flushSync();
      });
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
