import type { Command } from "commander";
import { createProgram } from "../src/cli/program.ts";
import { SILENT_TERMINAL } from "./silent-terminal.ts";

// As wide as the pages are; a terminal's own width breaks the lines elsewhere.
const WIDTH = 110;

const HEAD = `# Every command and option

What \`latchkey COMMAND --help\` prints, written here by \`npm run docs\`; a test fails when it is out of date.
[cli.md](cli.md) shows each command at work. The environment variables are told with the options that they stand for; all of
them are in [operations.md](operations.md#environment-variables).
`;

/** The page of everything that \`--help\` says. */
export function toCommandReference(): string {
  let written = "";
  const program = createProgram(
    {
      ...SILENT_TERMINAL,
      out: (text) => {
        written += text;
      },
    },
    () => {},
  );
  const helpOf = (command: Command): string => {
    written = "";
    command.configureOutput({ getOutHelpWidth: () => WIDTH }).outputHelp();
    return written.trimEnd();
  };
  const sections = withSubcommands(program).map(
    (command) => `## ${nameOf(command)}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`,
  );
  return [HEAD, ...sections].join("\n");
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}
