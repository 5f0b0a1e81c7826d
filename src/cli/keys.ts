import { Command } from "commander";
import { keysCreateCommand } from "./keys-create.ts";
import { keysHashCommand } from "./keys-hash.ts";
import { keysListCommand } from "./keys-list.ts";
import type { ExitCode, Terminal } from "./terminal.ts";

/** `latchkey keys`: the keys files, from the command line. */
export function keysCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  const command = new Command("keys")
    .summary("create and list API keys, and hash existing ones")
    .description(
      "Work on the keys files. Keys are kept as digests only: what a key is, is told once, when it is created.",
    );
  for (const create of [keysCreateCommand, keysListCommand, keysHashCommand]) {
    command.addCommand(create(terminal, setExit));
  }
  return command;
}
