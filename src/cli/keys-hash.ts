import { Command } from "commander";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

interface HashFlags {
  readonly config?: string;
  readonly bcrypt?: true | string;
  readonly hmac?: true;
}

const DEFAULT_COST = 12;
const MIN_COST = 4;
const MAX_COST = 16;

/** `latchkey keys hash`: the digest of a key that exists already, read where it leaves no trace. */
export function keysHashCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return (
    new Command("hash")
      .summary("print the digest of an existing key, for a record's hash")
      .description(
        "Read a key from standard input and print its digest, ready for the hash field of a record. The key is never taken " +
          "from the command line, where other users of the machine and the shell's history would see it.",
      )
      .option(
        "--bcrypt [cost]",
        `a bcrypt digest, cost ${MIN_COST} to ${MAX_COST}, ${DEFAULT_COST} by default; for keys people chose themselves`,
      )
      .option("--hmac", "an hmac-sha256 digest with the pepper that the config names")
      .option("-c, --config <file>", "main config file, read only with --hmac (LATCHKEY_CONFIG; default latchkey.yaml)")
      .addHelpText(
        "after",
        `
Examples:
  printf %s "$OLD_KEY" | latchkey keys hash
  latchkey keys hash --bcrypt < old.key

A line break at the end of the input is not part of the key.

Exit codes: 0 printed; 1 no digest could be made; 2 called wrongly.`,
      )
      // What is surplus is most likely the key: commander's own message would repeat it.
      .allowExcessArguments()
      .action(async (flags: HashFlags, command: Command) => {
        if (command.args.length > 0) {
          command.error("error: the key is read from standard input, never from the command line");
        }
        const cost = flags.bcrypt === undefined || flags.bcrypt === true ? DEFAULT_COST : Number(flags.bcrypt);
        if (!Number.isInteger(cost) || cost < MIN_COST || cost > MAX_COST) {
          command.error(`error: option '--bcrypt [cost]' takes a cost from ${MIN_COST} to ${MAX_COST}`);
        }
        if (flags.bcrypt !== undefined && flags.hmac === true)
          command.error("error: --bcrypt and --hmac exclude each other");
        setExit(await runHash(terminal, flags, cost));
      })
  );
}

async function runHash(terminal: Terminal, flags: HashFlags, cost: number): Promise<ExitCode> {
  if (terminal.interactive) terminal.err("Type or paste the key, then end with Ctrl-D on a line of its own:\n");
  const credential = (await terminal.readInput()).replace(/\r?\n$/, "");
  if (credential === "" || /\s/.test(credential)) {
    // Never quoted: it may be a key with something beside it.
    terminal.err(
      `latchkey keys hash: expected one key on standard input, ${credential === "" ? "found nothing" : "found blanks or several lines"}\n`,
    );
    return EXIT.failed;
  }
  const { digestCredential } = await import("./create-key.ts");
  const kind = flags.bcrypt !== undefined ? "bcrypt" : flags.hmac === true ? "hmac-sha256" : "sha256";
  const policy = kind === "hmac-sha256" ? await loadPolicy(terminal, flags.config) : NO_KEYS;
  if (policy === undefined) return EXIT.failed;
  const digest = await digestCredential(credential, kind, policy, cost);
  if (digest.kind === "problem") {
    terminal.err(`latchkey keys hash: ${digest.problem}\n`);
    return EXIT.failed;
  }
  terminal.out(`${digest.text}\n`);
  return EXIT.ok;
}

const NO_KEYS = { keys: { pepper: undefined } };

async function loadPolicy(terminal: Terminal, config: string | undefined) {
  const { readConfig, showDiagnostics, toConfigFile } = await import("./load-config.ts");
  const { systemClock } = await import("../app/clock.ts");
  const { loaded, snapshot } = await readConfig(toConfigFile(config, terminal), terminal, systemClock.now());
  if (loaded.kind === "loaded") return loaded.configuration.policy;
  terminal.err(showDiagnostics(loaded.diagnostics, snapshot, terminal.colour));
  return undefined;
}
