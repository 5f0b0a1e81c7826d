import { Command, Option } from "commander";
import type { AddedKey } from "./add-key.ts";
import type { WantedKey } from "./create-key.ts";
import { OVERRIDES_NOTE, toOverrides } from "./overrides.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

interface CreateFlags {
  readonly config?: string;
  readonly file?: string;
  readonly id: string;
  readonly name?: string;
  readonly tenant?: string;
  readonly scopes?: readonly string[];
  readonly limits?: readonly string[];
  readonly allowIps?: readonly string[];
  readonly notBefore?: string;
  readonly expires?: string;
  readonly readOnly?: true;
  readonly metadata: readonly string[];
  readonly environment?: string;
  readonly region?: string;
  readonly segment: readonly string[];
  readonly format?: string;
  readonly hash: NonNullable<WantedKey["digest"]>;
  readonly force?: true;
  readonly json?: true;
}

/** `latchkey keys create`: prints the key once, on standard output and with nothing beside it, and records its digest. */
export function keysCreateCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return new Command("create")
    .summary("make a key, print it once and record its digest")
    .description(
      "Make a key and add its record to a keys file, whose comments and order stay as they are. The config is validated " +
        "with the new record before anything is written. The key is printed on standard output, once; it is kept nowhere.",
    )
    .requiredOption("--id <id>", "stable, unique, public name of the key; it stands in logs and metrics")
    .option("--name <text>", "what people call the key")
    .option("--tenant <text>", "whom the key belongs to; sent to the app")
    .option("--scopes <scope...>", "what the key may do, such as orders:read; * is everything")
    .option("--limits <rate...>", "limits in place of limits.default, such as 60/minute")
    .option("--allow-ips <network...>", "addresses and CIDR ranges it may be used from; anywhere by default")
    .option("--expires <time>", "when it stops: an instant, a date, or a duration from now such as 90d")
    .option("--not-before <time>", "when it starts, written likewise")
    .option("--read-only", "only GET, HEAD and OPTIONS pass")
    .option("--metadata <name=value>", "a free fact, usable in identity headers; may be repeated", collect, [])
    .option("--environment <value>", "the format's segment {environment:…}, such as live")
    .option("--region <value>", "the format's segment {region:…}")
    .option("--segment <name=value>", "any other named segment of the format; may be repeated", collect, [])
    .option("--format <n>", "which of the config's keyFormats, counting from 1; the first by default")
    .addOption(
      new Option(
        "--hash <kind>",
        "how the digest is computed; keys made here are random, so sha256 is as safe as slow hashes",
      )
        .choices(["sha256", "hmac-sha256", "bcrypt"])
        .default("sha256"),
    )
    .option("--file <file>", "keys file to write to; the first one the config names by default, made if missing (0600)")
    .option("-c, --config <file>", "main config file (LATCHKEY_CONFIG; default latchkey.yaml)")
    .option("--force", "write a record that check warns of, such as one with a scope the catalogue does not know")
    .option("--json", "print id, key, prefix and place of the record as JSON")
    .addHelpText(
      "after",
      `
Examples:
  latchkey keys create --id pos-integration --scopes orders:read --limits 60/minute --expires 365d
  latchkey keys create --id ci --scopes orders:read orders:write --allow-ips 203.0.113.0/24 > ci.key

${OVERRIDES_NOTE}

Exit codes: 0 created; 1 no key was created, standard error says why; 2 called wrongly.`,
    )
    .action(async (flags: CreateFlags, command: Command) => {
      const wanted = toWanted(flags);
      if (typeof wanted === "string") command.error(`error: ${wanted}`);
      else setExit(await runCreate(terminal, flags, wanted));
    });
}

function collect(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
}

/** The flags as a wanted key, or what is wrong with one of them. */
function toWanted(flags: CreateFlags): WantedKey | string {
  const segments = toPairs(flags.segment);
  const metadata = toPairs(flags.metadata);
  if (segments === undefined) return "option '--segment <name=value>' takes a name, = and a value";
  if (metadata === undefined) return "option '--metadata <name=value>' takes a name, = and a value";
  const format = flags.format === undefined ? undefined : Number(flags.format);
  if (format !== undefined && !(Number.isInteger(format) && format > 0))
    return "option '--format <n>' takes a number from 1 on";
  const named = [
    ...(flags.environment === undefined ? [] : [["environment", flags.environment] as const]),
    ...(flags.region === undefined ? [] : [["region", flags.region] as const]),
  ];
  return {
    id: flags.id,
    name: flags.name,
    tenant: flags.tenant,
    scopes: split(flags.scopes),
    limits: split(flags.limits),
    allowIps: split(flags.allowIps),
    notBefore: flags.notBefore,
    expires: flags.expires,
    readOnly: flags.readOnly,
    metadata: Object.fromEntries(metadata),
    segments: new Map([...named, ...segments]),
    format,
    digest: flags.hash,
  };
}

/** `a,b c` as people write lists: none of scopes, rates and networks holds a comma. */
function split(texts: readonly string[] | undefined): readonly string[] | undefined {
  return texts?.flatMap((text) => text.split(",").map((part) => part.trim())).filter((part) => part !== "");
}

function toPairs(texts: readonly string[]): ReadonlyMap<string, string> | undefined {
  const pairs = new Map<string, string>();
  for (const text of texts) {
    const equals = text.indexOf("=");
    if (equals < 1) return undefined;
    pairs.set(text.slice(0, equals), text.slice(equals + 1));
  }
  return pairs;
}

async function runCreate(terminal: Terminal, flags: CreateFlags, wanted: WantedKey): Promise<ExitCode> {
  const { addKey } = await import("./add-key.ts");
  const { systemClock } = await import("../app/clock.ts");
  const { createSourceIo } = await import("../config/source.ts");
  const { toConfigFile } = await import("./load-config.ts");
  const mainFile = toConfigFile(flags.config, terminal);
  const overrides = toOverrides({}, terminal.env);
  const options = { mainFile, overrides, keysFile: flags.file, force: flags.force === true };
  const added = await addKey(wanted, options, createSourceIo(terminal.env), systemClock.now());
  switch (added.kind) {
    case "added":
      return showKey(terminal, flags, added);
    case "rejected": {
      const { formatDiagnostics } = await import("../config/diagnostics.ts");
      const textOf = (file: string) => added.textOf.get(file);
      terminal.err(`${formatDiagnostics(added.diagnostics, { color: terminal.colour, textOf })}\n`);
      const onlyWarnings = added.diagnostics.every(({ severity }) => severity === "warning");
      terminal.err(`\nNo key was created.${onlyWarnings ? " --force creates it all the same." : ""}\n`);
      return EXIT.failed;
    }
    case "problem":
      terminal.err(`latchkey keys create: ${added.problem}\nNo key was created.\n`);
      return EXIT.failed;
    default:
      return added satisfies never;
  }
}

type Added = Extract<AddedKey, { readonly kind: "added" }>;

/** Hands the key out. Where it cannot be, nobody will ever have it, and its record goes too. */
async function showKey(terminal: Terminal, flags: CreateFlags, added: Added): Promise<ExitCode> {
  const { key, warnings, note, undo } = added;
  const { file, line } = key.source;
  const problem = await terminal.deliver(flags.json === true ? toJson(added) : `${added.credential}\n`);
  if (problem !== undefined) {
    const left = await undo();
    const outcome =
      left === undefined
        ? "No key was created."
        : `The key is lost; its record ${key.id} may still be at ${file}:${line}: ${left}`;
    terminal.err(`latchkey keys create: ${problem}\n${outcome}\n`);
    return EXIT.failed;
  }
  for (const { message, path } of warnings) terminal.err(`warning: ${path}: ${message}\n`);
  if (note !== "") terminal.err(`note: ${note}\n`);
  terminal.err(
    `Key ${key.id} is recorded at ${file}:${line}, as its ${key.digest.kind} digest only.\n` +
      "This is the one time the key itself is shown; hand it to its holder now.\n" +
      "A running Latchkey that reads this file takes the key up at once.\n",
  );
  return EXIT.ok;
}

function toJson({ credential, key }: Added): string {
  const { file, line } = key.source;
  const told = { id: key.id, key: credential, prefix: key.prefix, digest: key.digest.kind, file, line };
  return `${JSON.stringify(told, undefined, 2)}\n`;
}
