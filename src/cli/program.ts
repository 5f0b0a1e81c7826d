import type { Command } from "commander";
import { checkCommand } from "./check.ts";
import { createCommandLine, runCommandLine, type SetExit } from "./command-line.ts";
import { demoCommand } from "./demo.ts";
import { diffCommand } from "./diff.ts";
import { explainCommand } from "./explain.ts";
import { healthcheckCommand } from "./healthcheck.ts";
import { initCommand } from "./init.ts";
import { keysCommand } from "./keys.ts";
import { schemaCommand } from "./schema.ts";
import { serveCommand } from "./serve.ts";
import { shadowCommand } from "./shadow.ts";
import { statusCommand } from "./status.ts";
import type { Terminal } from "./terminal.ts";

// In the order in which somebody new meets them.
const COMMANDS = [
  demoCommand,
  initCommand,
  checkCommand,
  serveCommand,
  keysCommand,
  explainCommand,
  diffCommand,
  statusCommand,
  shadowCommand,
  schemaCommand,
  healthcheckCommand,
];

/** The `latchkey` command with all its subcommands. */
export function createProgram(terminal: Terminal, setExit: SetExit): Command {
  return createCommandLine(COMMANDS, terminal, setExit);
}

/** Runs a command line of any of them. */
export async function runProgram(argv: readonly string[], terminal: Terminal, setExit: SetExit): Promise<void> {
  await runCommandLine(createProgram(terminal, setExit), argv);
}
