import { Command } from "commander";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

interface ReportFlags {
  readonly config?: string;
  readonly admin?: string;
  readonly json?: true;
  readonly timeout: string;
}

/** `latchkey shadow report`: how a candidate policy would have decided the traffic so far. */
export function shadowCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return new Command("shadow")
    .summary("work with the candidate policy that runs beside the live one")
    .addCommand(reportCommand(terminal, setExit));
}

function reportCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return new Command("report")
    .summary("tell which requests the candidate policy would have decided otherwise")
    .description(
      "Ask the admin port of a running Latchkey how the policy that `shadow` names would have decided the requests since " +
        "it and the live one are in place, by key and route. Needs the admin token, in LATCHKEY_ADMIN_TOKEN.",
    )
    .option("--admin <address>", "host:port or unix:/path of the admin port (LATCHKEY_ADMIN)")
    .option("-c, --config <file>", "config file to read admin.address from (LATCHKEY_CONFIG; default latchkey.yaml)")
    .option("--json", "print the report as JSON")
    .option("--timeout <ms>", "how long to wait for the answer, in milliseconds", "5000")
    .addHelpText(
      "after",
      `
Examples:
  LATCHKEY_ADMIN_TOKEN=$(cat admin.token) latchkey shadow report
  latchkey shadow report --json | jq '.rows[] | select(.outcome == "would_deny")'

Exit codes: 0 every request would be decided the same, or there is no shadow policy; 1 some would not, the shadow policy
has errors, or nobody answered; 2 called wrongly.`,
    )
    .action(async (flags: ReportFlags, command: Command) => {
      const timeoutMs = Number(flags.timeout);
      if (!Number.isInteger(timeoutMs) || timeoutMs < 1) {
        command.error(`error: --timeout takes milliseconds, not '${flags.timeout}'`);
      }
      setExit(await runReport(terminal, flags, timeoutMs, command));
    });
}

async function runReport(
  terminal: Terminal,
  flags: ReportFlags,
  timeoutMs: number,
  command: Command,
): Promise<ExitCode> {
  const { findProbe } = await import("./health-probe.ts");
  const { askAdmin } = await import("./ask-admin.ts");
  const { formatReport, isUneventful, parseReport } = await import("./shadow-format.ts");
  const fail = (problem: string): ExitCode => {
    terminal.err(`latchkey shadow report: ${problem}\n`);
    return EXIT.failed;
  };
  const probe = await findProbe(flags, terminal);
  if (probe.kind === "misused") return command.error(`error: ${probe.problem}`);
  const token = terminal.env["LATCHKEY_ADMIN_TOKEN"] || undefined;
  if (token === undefined) return fail("the report needs the admin token; put it in LATCHKEY_ADMIN_TOKEN");
  if (probe.kind === "problem") return fail(probe.problem);
  const answer = await askAdmin({ ...probe, url: new URL("/-/shadow", probe.url) }, token, timeoutMs);
  if (answer.kind === "problem") return fail(answer.problem);
  const report = parseReport(answer.body);
  if (report === undefined) return fail("the answer is not that of a Latchkey of this version");
  if (flags.json === true) terminal.out(`${JSON.stringify(answer.body, undefined, 2)}\n`);
  else terminal.out(formatReport(report, terminal.colour));
  return isUneventful(report) ? EXIT.ok : EXIT.failed;
}
