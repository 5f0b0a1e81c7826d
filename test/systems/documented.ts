import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createFolder,
  type LogLine,
  type Program,
  type Recorded,
  startProgram,
  startUpstream,
  type Upstream,
} from "../e2e/harness.ts";

/** A call as documentation writes it down. */
export interface Call {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The answer to a call, and what the upstream got of it. */
export interface Answer {
  /** With its words, as documentation has it: `429 Too Many Requests`. */
  readonly status: string;
  readonly header: (name: string) => string | null;
  readonly body: string;
  readonly json: () => unknown;
  /** Undefined when the upstream never heard of it. */
  readonly reached: Recorded | undefined;
  readonly requestId: string;
}

/** A documented system, served by the built program in front of a recording upstream. */
export interface Documented {
  readonly program: Program;
  readonly upstream: Upstream;
  readonly folder: string;
  readonly ask: (call: Call) => Promise<Answer>;
  /** The log's line of an answered call. */
  readonly lineOf: (answer: Answer) => Promise<LogLine>;
  /** Everything the program has written so far, on both outputs. */
  readonly written: () => string;
  readonly stop: () => Promise<void>;
}

/** Starts the program with exactly the shipped files; only addresses are said otherwise. */
export function startDocumented(system: string): Promise<Documented> {
  return start(folderOf(system));
}

/** A file as it is shipped. */
export function shippedFile(system: string, name: string): string {
  return join(folderOf(system), name);
}

function folderOf(system: string): string {
  return fileURLToPath(new URL(`../../config/systems/${system}`, import.meta.url));
}

/** What a copied file says instead. */
export type Rewrite = (text: string) => string;

/** Copies a system's files to where a test may change them. */
export async function copyFiles(system: string, rewrites: Readonly<Record<string, Rewrite>> = {}) {
  const folder = await createFolder();
  for (const name of ["latchkey.yaml", "keys.yaml"]) {
    const shipped = await readFile(shippedFile(system, name), "utf8");
    const text = rewrites[name]?.(shipped) ?? shipped;
    if (rewrites[name] !== undefined && text === shipped) throw new Error(`nothing was changed in ${name}`);
    await folder.write(name, text);
  }
  return folder;
}

/** Runs a test against a deployment of copied files. */
export async function withCopy(
  system: string,
  rewrites: Readonly<Record<string, Rewrite>>,
  use: (documented: Documented) => Promise<void>,
): Promise<void> {
  const folder = await copyFiles(system, rewrites);
  const documented = await start(folder.path);
  try {
    await use(documented);
  } finally {
    await documented.stop();
    await folder.remove();
  }
}

/** Adds records to a keys file. JSON is YAML's flow form. */
export function addRecords(...records: readonly Readonly<Record<string, unknown>>[]): Rewrite {
  return (text) => text + records.map((record) => `  - ${JSON.stringify(record)}\n`).join("");
}

async function start(folder: string): Promise<Documented> {
  const upstream = await startUpstream();
  const program = await startProgram(join(folder, "latchkey.yaml"), ["--upstream", upstream.url]);
  let calls = 0;
  const ask = async ({ method = "GET", path, headers = {} }: Call): Promise<Answer> => {
    calls += 1;
    // Its own id on every call tells what of it arrived where, in the log and at the upstream.
    const requestId = `call-${calls}`;
    const response = await fetch(`${program.url}${path}`, {
      method,
      headers: { ...headers, "x-request-id": requestId },
    });
    const body = await response.text();
    return {
      status: `${response.status} ${response.statusText}`,
      header: (name) => response.headers.get(name),
      body,
      json: (): unknown => JSON.parse(body),
      reached: upstream.requests.find((request) => request.headers["x-request-id"] === requestId),
      requestId,
    };
  };
  return {
    program,
    upstream,
    folder,
    ask,
    lineOf: ({ requestId }) => program.waitForLine((line) => line["requestId"] === requestId),
    written: () => program.lines.map((line) => JSON.stringify(line)).join("\n") + program.stderr(),
    stop: async () => {
      await program.stop();
      await upstream.close();
    },
  };
}
