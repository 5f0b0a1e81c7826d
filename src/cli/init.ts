import { Command, Option } from "commander";
import type { Start } from "./init-files.ts";
import { listStartingPoints } from "./starting-points.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

interface InitFlags {
  readonly upstream?: string;
  readonly routes?: readonly string[];
  readonly like?: string;
  readonly out: string;
  readonly minimal?: true;
  readonly force?: true;
}

const DEFAULT_UPSTREAM = "http://127.0.0.1:3000";

/** `latchkey init`: a first config that says what it means, and an empty keys file beside it. */
export function initCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return new Command("init")
    .summary("write a first config")
    .description(
      "Write a commented latchkey.yaml and, unless there is one, an empty keys.yaml (mode 0600) beside it. Asks for what it " +
        "was not told when a person is there to answer. What it writes passes check. A keys file is never overwritten.",
    )
    .option("--upstream <url>", `the app: http://host:port, https://host:port or unix:/path (${DEFAULT_UPSTREAM})`)
    .option(
      "--routes <route...>",
      'what may be called: a path such as /api/v1/orders (read and write with scopes of their own), or "METHODS PATH ACCESS"',
    )
    .addOption(
      new Option(
        "--like <system>",
        "begin with the config of a real API-key system instead; its example keys stay out",
      ).conflicts(["routes", "minimal"]),
    )
    .option("--out <dir>", "directory to write to, made if missing", ".")
    .option("--minimal", "write the four lines that are enough, without comments: any valid key may do anything")
    .option("--force", "overwrite an existing latchkey.yaml")
    .addHelpText(
      "after",
      () => `
ACCESS is public, authenticated (any valid key) or scopes separated by commas.
SYSTEM is ${listStartingPoints().join(", ")}.

Examples:
  latchkey init --upstream http://127.0.0.1:3000 --routes /api/v1/orders "GET /version public"
  latchkey init --minimal --out config
  latchkey init --like ${listStartingPoints()[0] ?? "SYSTEM"}

Exit codes: 0 written; 1 a file is in the way or cannot be written; 2 called wrongly.`,
    )
    .action(async (flags: InitFlags, command: Command) => {
      const { parseAnswers, toStart } = await import("./init-files.ts");
      const { upstream, routes } = await ask(flags, terminal);
      const parsed = parseAnswers(upstream, routes);
      if (parsed.kind === "problem") command.error(`error: ${parsed.problem}`);
      else if (flags.like === undefined) {
        setExit(await runInit(terminal, flags, toStart(parsed.answers, flags.minimal === true)));
      } else {
        const { findStartingPoint } = await import("./starting-point.ts");
        const found = await findStartingPoint(flags.like, parsed.answers.upstream);
        if (found.kind === "problem") command.error(`error: --like: ${found.problem}`);
        else setExit(await runInit(terminal, flags, found.start));
      }
    });
}

interface Asked {
  readonly upstream: string;
  readonly routes: readonly string[];
}

/** What was not given as a flag is asked for where somebody can answer; an empty answer is the default. */
async function ask({ upstream, routes, minimal, like }: InitFlags, terminal: Terminal): Promise<Asked> {
  if (!terminal.interactive) return { upstream: upstream ?? DEFAULT_UPSTREAM, routes: routes ?? [] };
  const told = upstream ?? (await terminal.ask(`Where does your app listen? [${DEFAULT_UPSTREAM}] `)).trim();
  const asked = { upstream: told === "" ? DEFAULT_UPSTREAM : told };
  if (routes !== undefined || minimal === true || like !== undefined) return { ...asked, routes: routes ?? [] };
  const paths = await terminal.ask("Which paths does your API have, such as /api/v1/orders? [all of them] ");
  return { ...asked, routes: paths.split(/[\s,]+/).filter((path) => path !== "") };
}

async function runInit(terminal: Terminal, flags: InitFlags, start: Start): Promise<ExitCode> {
  const { writeStart } = await import("./write-start.ts");
  const written = await writeStart(start, flags.out, flags.force === true);
  if (written.kind === "problem") {
    terminal.err(`latchkey init: ${written.problem}\n`);
    return EXIT.failed;
  }
  const { configFile, keysFile, keysKept } = written;
  const { scope } = start;
  const config = configFile === "latchkey.yaml" ? "" : ` --config ${configFile}`;
  terminal.out(`Wrote ${configFile}${keysKept ? `; ${keysFile} was there and stays as it is` : ` and ${keysFile}`}.

Next:
  latchkey keys create${config} --id my-first-key${scope === undefined ? "" : ` --scopes ${scope}`}
  latchkey serve${config}
`);
  return EXIT.ok;
}
