import { Command, CommanderError } from "commander";
import pkg from "../../package.json" with { type: "json" };
import { checkCommand } from "./check.ts";
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
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

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

/** The `latchkey` command with all its subcommands. Usage errors end in exit code 2. */
export function createProgram(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  const program = new Command("latchkey")
    .description(
      "API keys for any HTTP app, without touching the app: a reverse-proxy sidecar driven by a config file.",
    )
    .version(pkg.version)
    .showHelpAfterError("(add --help for what this command takes)");
  for (const create of COMMANDS) program.addCommand(create(terminal, setExit));
  for (const command of [program, ...program.commands.flatMap(withSubcommands)]) {
    command.configureOutput({ writeOut: terminal.out, writeErr: terminal.err });
    command.exitOverride((error: CommanderError) => {
      setExit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
      throw error;
    });
  }
  return program;
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** Runs a command line. What is wrong with its use was already written; everything else is a real error. */
export async function runProgram(argv: readonly string[], terminal: Terminal, setExit: (code: ExitCode) => void) {
  try {
    await createProgram(terminal, setExit).parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
  }
}
