import { Command } from "commander";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

interface CheckFlags {
  readonly config?: string;
  readonly json?: true;
  readonly strict?: true;
}

/** `latchkey check`: everything that is wrong with a config, or a short summary of what it says. */
export function checkCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return new Command("check")
    .summary("validate the config and say everything that is wrong with it")
    .description(
      "Validate the config file, and the keys files it names, exactly as serve would. Shows every error and warning with " +
        "file, line and what to write instead; for a good config, what it comes to.",
    )
    .option("-c, --config <file>", "main config file (LATCHKEY_CONFIG; default latchkey.yaml)")
    .option("--json", "print the findings as JSON")
    .option("--strict", "fail on warnings too")
    .addHelpText(
      "after",
      `
Examples:
  latchkey check --config config/latchkey.yaml
  latchkey check --strict && git commit

Exit codes: 0 valid; 1 errors, or warnings with --strict; 2 called wrongly.`,
    )
    .action(async (flags: CheckFlags) => setExit(await runCheck(terminal, flags)));
}

async function runCheck(terminal: Terminal, flags: CheckFlags): Promise<ExitCode> {
  const { readConfig, showDiagnostics, toConfigFile } = await import("./load-config.ts");
  const { findFileMounts } = await import("../config/read-mounts.ts");
  const { formatSummary, summarise } = await import("./summary.ts");
  const { systemClock } = await import("../app/clock.ts");
  const file = toConfigFile(flags.config, terminal);
  const { loaded, snapshot } = await readConfig(file, terminal, systemClock.now());
  const found = loaded.kind === "loaded" ? loaded.warnings : loaded.diagnostics;
  // What is said of this machine's mounts is no fault of the config, so it does not fail a strict check.
  const diagnostics = loaded.kind === "loaded" ? [...found, ...(await findFileMounts(loaded.files))] : found;
  const failed = loaded.kind === "rejected" || (flags.strict === true && found.length > 0);
  const summary = loaded.kind === "loaded" ? summarise(loaded) : undefined;
  if (flags.json === true) {
    terminal.out(`${JSON.stringify({ valid: !failed, diagnostics, summary: summary ?? null }, undefined, 2)}\n`);
  } else {
    if (diagnostics.length > 0) terminal.out(showDiagnostics(diagnostics, snapshot, terminal.colour));
    terminal.out(summary === undefined ? "" : formatSummary(summary, file));
    terminal.out(formatCount(diagnostics, failed));
  }
  return failed ? EXIT.failed : EXIT.ok;
}

function formatCount(diagnostics: readonly { readonly severity: "error" | "warning" }[], failed: boolean): string {
  if (diagnostics.length === 0) return "";
  const errors = diagnostics.filter(({ severity }) => severity === "error").length;
  const counted = [count(errors, "error"), count(diagnostics.length - errors, "warning")].filter((text) => text !== "");
  return `\n${counted.join(", ")}${failed ? "" : "; the config is valid"}\n`;
}

function count(number: number, noun: string): string {
  return number === 0 ? "" : `${number} ${noun}${number === 1 ? "" : "s"}`;
}
