import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { runProgram } from "../../src/cli/program.ts";
import type { ExitCode, Terminal } from "../../src/cli/terminal.ts";
import { recording } from "../secrecy/of-this-process.ts";
import { declareSecret, declareSecretVariables } from "../secrecy/secrets.ts";

/** What a command did, as far as its caller can see. */
export interface Ran {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** What a person types, in order; without answers nobody is there. */
  readonly answers?: readonly string[];
  readonly colour?: boolean;
  /** Why nothing can be delivered to standard output. */
  readonly unwritable?: string;
}

/** Runs a command line in this process, at a terminal that only remembers. */
export async function run(argv: readonly string[], surroundings: Surroundings = {}): Promise<Ran> {
  let code: ExitCode = 0;
  let out = "";
  let err = "";
  const answers = [...(surroundings.answers ?? [])];
  const terminal: Terminal = {
    env: surroundings.env ?? {},
    cwd: tmpdir(),
    out: (text) => {
      out += text;
    },
    deliver: async (text) => {
      if (surroundings.unwritable !== undefined) return surroundings.unwritable;
      out += text;
      return undefined;
    },
    err: (text) => {
      err += text;
    },
    interactive: surroundings.answers !== undefined,
    colour: surroundings.colour ?? false,
    ask: async () => answers.shift() ?? "",
    readInput: async () => surroundings.input ?? "",
    onStop: () => {},
    onHangUp: () => {},
    onExit: () => {},
  };
  const line = ["latchkey", ...argv];
  recording.give(line.join("\n"));
  declareSecretVariables(terminal.env);
  // What is read from there is a key to hash, to verify or to present.
  for (const word of (surroundings.input ?? "").split("\n")) declareSecret(word);
  await runProgram(argv, terminal, (set) => {
    code = set;
  });
  recording.note("stdout", line.join(" "), out);
  recording.note("stderr", line.join(" "), err);
  return { code, out, err };
}

/** A directory of its own for one test, gone when it has finished. */
export async function createDirectory(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "latchkey-cli-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text, { mode: 0o600 });
  return directory;
}
