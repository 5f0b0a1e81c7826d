import { Command } from "commander";
import type { Question } from "./explain-request.ts";
import { OVERRIDES_NOTE } from "./overrides.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

interface ExplainFlags {
  readonly config?: string;
  readonly key?: string;
  readonly keyId?: string;
  readonly address: string;
  readonly header: readonly string[];
  readonly https?: true;
  readonly at?: string;
  readonly times: string;
  readonly json?: true;
}

/** `latchkey explain`: what would become of a request, and which line of config decides it. */
export function explainCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return (
    new Command("explain")
      .summary("say what would become of a request, and why")
      .description(
        "Answer offline what would become of a request: every check in order, the line of config that decides it, and the " +
          "exact answer, or what the app would receive. Runs the very checks that serve runs, on nothing spent.",
      )
      .argument("<method>", "request method, such as GET")
      .argument("<path>", "path with query as the client sends it, such as /api/v1/orders?page=2")
      .option("-c, --config <file>", "main config file (LATCHKEY_CONFIG; default latchkey.yaml)")
      .option("--key <key>", "present this key; - reads it from standard input, which keeps it out of shell history")
      .option("--key-id <id>", "present the key with this id, whatever its text is")
      .option("--address <ip>", "address the connection comes from", "127.0.0.1")
      .option("-H, --header <line>", 'a further header, "Name: value"; may be repeated', collect, [])
      .option("--https", "the connection is encrypted")
      .option(
        "--at <time>",
        "instant of the request, such as 2027-01-01T00:00:00Z, or a duration from now, such as 30d",
      )
      .option("--times <n>", "explain the last of so many equal requests at that instant, to see limits at work", "1")
      .option("--json", "print the explanation as JSON")
      .addHelpText(
        "after",
        `
Examples:
  latchkey explain GET /api/v1/orders --key-id pos-integration --address 203.0.113.7
  latchkey explain DELETE /api/v1/orders/9 --key-id pos-integration --at 2027-01-01T00:00:00Z
  printf %s "$KEY" | latchkey explain GET /api/v1/orders --key -

The key itself is never printed. Of a body only what the headers say is looked at, and of the upstream nothing.

${OVERRIDES_NOTE}

Exit codes: 0 the request is allowed; 1 it is refused, or the config has errors; 2 called wrongly.`,
      )
      // What is surplus may be a key: commander's own message would repeat it.
      .allowExcessArguments()
      .action(async (method: string, path: string, flags: ExplainFlags, command: Command) => {
        if (command.args.length > 2)
          command.error("error: expected a method and a path; keys are named by --key or --key-id");
        const { toQuestion } = await import("./explain-question.ts");
        const { systemClock } = await import("../app/clock.ts");
        const input = flags.key === "-" ? await terminal.readInput() : "";
        const asked = toQuestion({ ...flags, method, path }, input, systemClock.now());
        if (asked.kind === "problem") command.error(`error: ${asked.problem}`);
        else setExit(await runExplain(terminal, flags, asked.question, command));
      })
  );
}

function collect(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
}

async function runExplain(
  terminal: Terminal,
  flags: ExplainFlags,
  question: Question,
  command: Command,
): Promise<ExitCode> {
  const { readConfig, showDiagnostics, toConfigFile } = await import("./load-config.ts");
  const { explainRequest, withholdKeys } = await import("./explain-request.ts");
  const { createSources } = await import("./explain-sources.ts");
  const { explanationToJson, formatExplanation } = await import("./explain-format.ts");
  const { findNearest } = await import("../config/diagnostics.ts");
  const { loaded, snapshot } = await readConfig(toConfigFile(flags.config, terminal), terminal, question.atMs);
  if (loaded.kind === "rejected") {
    terminal.err(showDiagnostics(loaded.diagnostics, snapshot, terminal.colour));
    return EXIT.failed;
  }
  const { configuration } = loaded;
  const explained = await explainRequest(question, configuration, createSources(snapshot), verifyBcrypt);
  if (explained.kind === "unknown-key") {
    const nearest = findNearest(explained.id, configuration.policy.keys.ids());
    return command.error(
      `error: no key has the id '${explained.id}'${nearest === undefined ? "" : `\n(Did you mean ${nearest}?)`}`,
    );
  }
  const { explanation } = explained;
  if (flags.json === true) {
    const json = explanationToJson(explanation, configuration.policy.revision);
    terminal.out(`${JSON.stringify(json, undefined, 2)}\n`);
  } else {
    const target = withholdKeys(question.target, configuration.policy);
    const by = question.key.kind === "none" ? "without a key" : `with ${flags.keyId ?? "the given key"}`;
    const asked = `${question.method} ${target} from ${question.address.text}, ${by}`;
    terminal.out(formatExplanation(explanation, asked, terminal.colour));
  }
  return explanation.decision.kind === "allow" ? EXIT.ok : EXIT.failed;
}

async function verifyBcrypt(credential: string, digest: string): Promise<boolean> {
  const { compare } = await import("bcryptjs");
  return compare(credential, digest);
}
