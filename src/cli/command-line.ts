import { Command, CommanderError } from "commander";
import pkg from "../../package.json" with { type: "json" };
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

export type SetExit = (code: ExitCode) => void;
export type CreateCommand = (terminal: Terminal, setExit: SetExit) => Command;

/** The `latchkey` command with these subcommands. Usage errors end in exit code 2. */
export function createCommandLine(commands: readonly CreateCommand[], terminal: Terminal, setExit: SetExit): Command {
  const program = new Command("latchkey")
    .description(
      "API keys for any HTTP app, without touching the app: a reverse-proxy sidecar driven by a config file.",
    )
    .version(pkg.version)
    .showHelpAfterError("(add --help for what this command takes)");
  for (const create of commands) program.addCommand(create(terminal, setExit));
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
export async function runCommandLine(program: Command, argv: readonly string[]): Promise<void> {
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
  }
}
