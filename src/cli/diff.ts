import { Command } from "commander";
import { OVERRIDES_NOTE } from "./overrides.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

interface DiffFlags {
  readonly json?: true;
}

/** `latchkey diff`: what a change of the config means, before a reload makes it true. */
export function diffCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return new Command("diff")
    .summary("say what differs between two configs, and who gains or loses access to what")
    .description(
      "Compare two configs by what they mean: keys, scopes, limits, routes, status, networks and expiry, in the words " +
        "that a reload logs; who gains and who loses access to which route; and whether a reload from OLD to NEW would " +
        "be refused for what it removes. Order of records, comments and spelling do not count.",
    )
    .argument("<old>", "main config file, or a directory with a latchkey.yaml or latchkey.json")
    .argument("<new>", "the same, as it shall be")
    .option("--json", "print the differences as JSON")
    .addHelpText(
      "after",
      `
Examples:
  latchkey diff /etc/latchkey/latchkey.yaml candidate.yaml
  git worktree add /tmp/main main && latchkey diff /tmp/main/config config

${OVERRIDES_NOTE}

Exit codes, as those of diff(1): 0 they mean the same; 1 they differ; 2 one of them cannot be used, or called wrongly.`,
    )
    .action(async (old: string, next: string, flags: DiffFlags) => setExit(await runDiff(terminal, old, next, flags)));
}

// diff(1) keeps 1 for "they differ", so whatever keeps the answer from being found is 2.
const TROUBLE = EXIT.usage;

async function runDiff(terminal: Terminal, oldPath: string, nextPath: string, flags: DiffFlags): Promise<ExitCode> {
  const { compareConfigs } = await import("./compare-configs.ts");
  const { comparisonToJson, formatComparison } = await import("./diff-format.ts");
  const { systemClock } = await import("../app/clock.ts");
  const nowMs = systemClock.now();
  const [old, next] = [await readSide(oldPath, terminal, nowMs), await readSide(nextPath, terminal, nowMs)];
  if (old === undefined || next === undefined) return TROUBLE;
  const comparison = compareConfigs(old, next, nowMs);
  if (flags.json === true) terminal.out(`${JSON.stringify(comparisonToJson(comparison), undefined, 2)}\n`);
  else terminal.out(formatComparison(comparison, terminal.colour));
  return comparison.same ? EXIT.ok : EXIT.failed;
}

/** One of the two configs; undefined when it cannot be used, which was then said. */
async function readSide(path: string, terminal: Terminal, nowMs: number) {
  const { readConfig, showDiagnostics } = await import("./load-config.ts");
  const { findMainFile } = await import("./main-file.ts");
  const file = await findMainFile(path);
  const { loaded, snapshot } = await readConfig(file, terminal, nowMs);
  if (loaded.kind === "loaded") return { file, configuration: loaded.configuration };
  terminal.err(showDiagnostics(loaded.diagnostics, snapshot, terminal.colour));
  return undefined;
}
