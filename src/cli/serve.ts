import { Command } from "commander";
import type { SocketAddress } from "../config/settings.ts";
import { findFlagProblem, type OverrideFlags, toOverrides } from "./overrides.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

interface ServeFlags extends OverrideFlags {
  readonly config?: string;
  readonly lastGood?: string;
}

/** `latchkey serve`: the proxy itself. */
export function serveCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return new Command("serve")
    .summary("run the proxy")
    .description(
      "Run the proxy in the foreground. Config is reloaded when a file changes, on SIGHUP, and by POST /-/reload on the\n" +
        "admin port. SIGTERM and SIGINT drain: readiness fails, what is in flight finishes, then the process ends.",
    )
    .option("-c, --config <file>", "main config file, YAML or JSON (LATCHKEY_CONFIG; default latchkey.yaml)")
    .option("--listen <address>", "host:port or unix:/path to take requests on (LATCHKEY_LISTEN)")
    .option("--upstream <url>", "the app: http://host:port, https://host:port or unix:/path (LATCHKEY_UPSTREAM)")
    .option("--admin <address>", "host:port of health and metrics, or off (LATCHKEY_ADMIN)")
    .option("--workers <n|auto>", "threads that answer requests (LATCHKEY_WORKERS; default 1)")
    .option(
      "--last-good <dir>",
      "where good configs are kept, to start from when the files are bad (LATCHKEY_LAST_GOOD)",
    )
    .addHelpText(
      "after",
      `
A flag beats its environment variable, which beats the file.

Examples:
  latchkey serve --config /etc/latchkey/latchkey.yaml
  LATCHKEY_UPSTREAM=http://127.0.0.1:3000 latchkey serve

Exit codes: 0 stopped as asked; 1 the config has errors, an address cannot be had, or a drain was cut short;
2 called wrongly.`,
    )
    .action(async (flags: ServeFlags, command: Command) => {
      const problem = findFlagProblem(flags);
      if (problem !== undefined) command.error(`error: ${problem}`);
      setExit(await runServe(terminal, flags));
    });
}

async function runServe(terminal: Terminal, flags: ServeFlags): Promise<ExitCode> {
  // Loaded here so that the other commands start without the data plane.
  const { startProcess } = await import("./serve-process.ts");
  const started = await startProcess(terminal, {
    configFile: flags.config ?? (terminal.env["LATCHKEY_CONFIG"] || "latchkey.yaml"),
    overrides: toOverrides(flags, terminal.env),
    lastGood: flags.lastGood ?? (terminal.env["LATCHKEY_LAST_GOOD"] || undefined),
  });
  if (started === undefined) return EXIT.failed;
  const { log } = started;
  // Before anybody is told that it is ready: a signal sent then must find its handler.
  terminal.onHangUp(
    () => void started.reload().catch((error: unknown) => log.error({ error: String(error) }, "reload broke off")),
  );
  const stopped = new Promise<string>((resolve) => terminal.onStop(resolve));
  log.info(
    {
      listen: formatAddress(started.listenAddress),
      admin: started.adminAddress === undefined ? "off" : formatAddress(started.adminAddress),
      ...(started.workers === 1 ? {} : { workers: started.workers }),
      ...(started.lastGoodCopy === undefined ? {} : { lastGoodCopy: started.lastGoodCopy }),
    },
    "ready",
  );
  const signal = await stopped;
  const stopping = started.stop();
  log.info({ signal }, "draining");
  const drained = await stopping;
  log.info({ drained }, "stopped");
  return drained === "finished" ? EXIT.ok : EXIT.failed;
}

export function formatAddress(address: SocketAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
