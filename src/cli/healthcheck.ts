import { Command } from "commander";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

interface HealthcheckFlags {
  readonly config?: string;
  readonly admin?: string;
  readonly url?: string;
  readonly ready?: true;
  readonly timeout: string;
}

/** `latchkey healthcheck`: for a Dockerfile's HEALTHCHECK, so it loads next to nothing and is silent on success. */
export function healthcheckCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return new Command("healthcheck")
    .summary("ask the admin port whether the proxy is alive")
    .description(
      "Ask a running Latchkey whether it is alive. Silent when it is; otherwise one line on standard error says why not. " +
        "The admin address is --admin, else LATCHKEY_ADMIN, else admin.address of the config file, else 127.0.0.1:9090.",
    )
    .option("--admin <address>", "host:port or unix:/path of the admin port (LATCHKEY_ADMIN)")
    .option("--url <url>", "ask this URL and nothing else, such as http://127.0.0.1:9090/readyz")
    .option("-c, --config <file>", "config file to read admin.address from (LATCHKEY_CONFIG; default latchkey.yaml)")
    .option("--ready", "ask /readyz instead of /livez: also fails while the proxy drains")
    .option("--timeout <ms>", "how long to wait for the answer, in milliseconds", "2000")
    .addHelpText(
      "after",
      `
Examples:
  HEALTHCHECK CMD ["node", "dist/main.js", "healthcheck"]
  latchkey healthcheck --ready --admin 127.0.0.1:9091

Exit codes: 0 healthy; 1 not healthy, or nobody answered in time; 2 called wrongly.`,
    )
    .action(async (flags: HealthcheckFlags, command: Command) => {
      const timeoutMs = Number(flags.timeout);
      if (!Number.isInteger(timeoutMs) || timeoutMs < 1) {
        command.error(`error: --timeout takes milliseconds, not '${flags.timeout}'`);
      }
      const { askHealth, findProbe } = await import("./health-probe.ts");
      const probe = await findProbe(flags, terminal);
      if (probe.kind === "misused") command.error(`error: ${probe.problem}`);
      const problem = probe.kind === "probe" ? await askHealth(probe, timeoutMs) : probe.problem;
      if (problem === undefined) return;
      terminal.err(`latchkey healthcheck: ${problem}\n`);
      setExit(EXIT.failed);
    });
}
