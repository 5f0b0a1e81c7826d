import { Command } from "commander";
import { OVERRIDES_NOTE } from "./overrides.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

interface ListFlags {
  readonly config?: string;
  readonly json?: true;
}

/** `latchkey keys list`: every key of the config, without anything a key could be guessed from. */
export function keysListCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return new Command("list")
    .summary("list the keys of the config")
    .description(
      "List every key with its status, prefix, scopes, limits, expiry, networks and where it stands. Never digests.",
    )
    .option("-c, --config <file>", "main config file (LATCHKEY_CONFIG; default latchkey.yaml)")
    .option("--json", "print the list as JSON")
    .addHelpText(
      "after",
      `
Examples:
  latchkey keys list
  latchkey keys list --json | jq -r '.[] | select(.status == "expired") | .id'

${OVERRIDES_NOTE}

Exit codes: 0 listed; 1 the config has errors; 2 called wrongly.`,
    )
    .action(async (flags: ListFlags) => setExit(await runList(terminal, flags)));
}

async function runList(terminal: Terminal, flags: ListFlags): Promise<ExitCode> {
  const { readConfig, showDiagnostics, toConfigFile } = await import("./load-config.ts");
  const { formatKeys, listKeys } = await import("./list-keys.ts");
  const { systemClock } = await import("../app/clock.ts");
  const nowMs = systemClock.now();
  const { loaded, snapshot } = await readConfig(toConfigFile(flags.config, terminal), terminal, nowMs);
  if (loaded.kind === "rejected") {
    terminal.err(showDiagnostics(loaded.diagnostics, snapshot, terminal.colour));
    return EXIT.failed;
  }
  const keys = listKeys([...loaded.configuration.policy.keys.all()], nowMs);
  terminal.out(flags.json === true ? `${JSON.stringify(keys, undefined, 2)}\n` : formatKeys(keys));
  return EXIT.ok;
}
