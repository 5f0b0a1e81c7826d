import { readFile } from "node:fs/promises";
import { isAbsolute, relative } from "node:path";
import { Command } from "commander";
import type { Diagnostic } from "../config/diagnostics.ts";
import type { ReadConfig } from "./load-config.ts";
import { OVERRIDES_NOTE } from "./overrides.ts";
import type { Summary } from "./summary.ts";
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
      "Validate the config file, and the keys files and the shadow policy it names, exactly as serve would. Shows every error and warning with " +
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

${OVERRIDES_NOTE}

Exit codes: 0 valid; 1 errors, or warnings with --strict; 2 called wrongly.`,
    )
    .action(async (flags: CheckFlags) => setExit(await runCheck(terminal, flags)));
}

async function runCheck(terminal: Terminal, flags: CheckFlags): Promise<ExitCode> {
  const { readConfig, textsOf, toConfigFile } = await import("./load-config.ts");
  const { formatFindings } = await import("./findings.ts");
  const { findFileMounts } = await import("../config/read-mounts.ts");
  const { formatSummary, summarise } = await import("./summary.ts");
  const { systemClock } = await import("../app/clock.ts");
  const { checkTls } = await import("../app/check-tls.ts");
  const file = toConfigFile(flags.config, terminal);
  const live = await readConfig(file, terminal, systemClock.now());
  const shadow = live.loaded.kind === "loaded" ? live.loaded.configuration.settings.shadow : undefined;
  // The name is resolved by the directory of the main file; it is shown as that one was given.
  const shadowFile = shadow === undefined || isAbsolute(file) ? shadow : relative(terminal.cwd, shadow);
  const candidate = shadowFile === undefined ? undefined : await readConfig(shadowFile, terminal, systemClock.now());
  const read = candidate === undefined ? [live] : [live, candidate];
  const certificate =
    live.loaded.kind === "loaded"
      ? await checkTls(live.loaded.configuration.settings.listen, (path) => readFile(path))
      : [];
  const unread = findUnreadShadow(live, candidate, shadowFile);
  const found = [...(unread ?? withoutRepeats(read.flatMap(findingsOf))), ...certificate];
  const isLoaded = read.every(({ loaded }) => loaded.kind === "loaded") && certificate.length === 0;
  // What is said of this machine's mounts is no fault of the config, so it does not fail a strict check.
  const diagnostics = isLoaded ? [...found, ...(await findFileMounts(live.loaded.files))] : found;
  const failed = !isLoaded || (flags.strict === true && found.length > 0);
  const summary =
    isLoaded && live.loaded.kind === "loaded"
      ? summarise(live.loaded, toShadowSummary(shadowFile, candidate))
      : undefined;
  if (flags.json === true) {
    terminal.out(`${JSON.stringify({ valid: !failed, diagnostics, summary: summary ?? null }, undefined, 2)}\n`);
  } else {
    const textOf = textsOf(read.map(({ snapshot }) => snapshot));
    const shown = summary === undefined ? "" : formatSummary(summary, file);
    terminal.out(formatFindings(diagnostics, { color: terminal.colour, textOf }, { summary: shown, failed }));
  }
  return failed ? EXIT.failed : EXIT.ok;
}

function findingsOf({ loaded }: ReadConfig): readonly Diagnostic[] {
  return loaded.kind === "loaded" ? loaded.warnings : loaded.diagnostics;
}

/** A candidate that is not there is a mistake of the file that names it. */
function findUnreadShadow(
  live: ReadConfig,
  candidate: ReadConfig | undefined,
  shadowFile: string | undefined,
): readonly Diagnostic[] | undefined {
  if (candidate === undefined || candidate.snapshot.main !== undefined || live.loaded.kind !== "loaded")
    return undefined;
  const { file, line } = live.loaded.locate(["shadow"]) ?? { file: live.snapshot.mainFile, line: 0 };
  const unread = candidate.snapshot.problems.map(({ severity, message }) => ({
    severity,
    file,
    line,
    column: 1,
    path: "shadow",
    message: message.replace("The file", `The file ${shadowFile}`),
  }));
  return [...unread, ...live.loaded.warnings];
}

/** Both policies may name the same keys files. */
function withoutRepeats(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  return [...new Map(diagnostics.map((diagnostic) => [JSON.stringify(diagnostic), diagnostic])).values()];
}

function toShadowSummary(file: string | undefined, candidate: ReadConfig | undefined): Summary["shadow"] {
  if (file === undefined || candidate?.loaded.kind !== "loaded") return undefined;
  return { file, revision: candidate.loaded.configuration.policy.revision };
}
