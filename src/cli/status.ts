import { Command } from "commander";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

interface StatusFlags {
  readonly config?: string;
  readonly admin?: string;
  readonly json?: true;
  readonly timeout: string;
}

/** `latchkey status`: which policy a running Latchkey is on, and what came of its last reload. */
export function statusCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return new Command("status")
    .summary("ask a running proxy which policy is in force, and what came of its last reload")
    .description(
      "Ask the admin port of a running Latchkey: whether it takes requests, the revision in force and since when, and the " +
        "last reload with everything that was wrong with it. The admin address is --admin, else LATCHKEY_ADMIN, else " +
        "admin.address of the config file, else 127.0.0.1:9090.",
    )
    .option("--admin <address>", "host:port or unix:/path of the admin port (LATCHKEY_ADMIN)")
    .option("-c, --config <file>", "config file to read admin.address from (LATCHKEY_CONFIG; default latchkey.yaml)")
    .option("--json", "print the answer as JSON")
    .option("--timeout <ms>", "how long to wait for the answer, in milliseconds", "2000")
    .addHelpText(
      "after",
      `
Examples:
  latchkey status
  kubectl exec deploy/shop -c latchkey -- node dist/main.js status --json

Exit codes: 0 ready, and the files on disk are the policy in force; 1 draining, the last reload was rejected, or nobody
answered in time; 2 called wrongly.`,
    )
    .action(async (flags: StatusFlags, command: Command) => {
      const timeoutMs = Number(flags.timeout);
      if (!Number.isInteger(timeoutMs) || timeoutMs < 1) {
        command.error(`error: --timeout takes milliseconds, not '${flags.timeout}'`);
      }
      setExit(await runStatus(terminal, flags, timeoutMs, command));
    });
}

async function runStatus(
  terminal: Terminal,
  flags: StatusFlags,
  timeoutMs: number,
  command: Command,
): Promise<ExitCode> {
  const { findProbe } = await import("./health-probe.ts");
  const { askAdmin } = await import("./ask-admin.ts");
  const { formatStatus, isGood, parseStatus } = await import("./status-format.ts");
  const { systemClock } = await import("../app/clock.ts");
  const probe = await findProbe({ ...flags, ready: true }, terminal);
  if (probe.kind === "misused") return command.error(`error: ${probe.problem}`);
  const answer = probe.kind === "probe" ? await askAdmin(probe, undefined, timeoutMs) : probe;
  const status = answer.kind === "answer" ? parseStatus(answer.body) : undefined;
  if (status === undefined) {
    const problem = answer.kind === "problem" ? answer.problem : "the answer is not that of a Latchkey of this version";
    terminal.err(`latchkey status: ${problem}\n`);
    return EXIT.failed;
  }
  if (flags.json === true && answer.kind === "answer") terminal.out(`${JSON.stringify(answer.body, undefined, 2)}\n`);
  else terminal.out(formatStatus(status, systemClock.now(), terminal.colour));
  return isGood(status) ? EXIT.ok : EXIT.failed;
}
