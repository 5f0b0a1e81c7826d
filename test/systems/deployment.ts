import { readFile } from "node:fs/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { fileURLToPath } from "node:url";
import { createFolder, type Program, startProgram, startUpstream, type Upstream } from "../e2e/harness.ts";

/** A system's files under config/systems. */
export const systemFile = (system: string, name: string): string =>
  fileURLToPath(new URL(`../../config/systems/${system}/${name}`, import.meta.url));

/** Parts of a shipped file that a test says differently: each text stands there exactly once. */
export type Edits = Readonly<Record<string, string>>;

/** A deployment of a system in front of an upstream that records. */
export interface Deployment {
  readonly program: Program;
  readonly upstream: Upstream;
  /** The folder of the copied files; undefined where the shipped files themselves are in force. */
  readonly folder: string | undefined;
  readonly stop: () => Promise<void>;
}

type Behaviour = Parameters<typeof startUpstream>[0];

/** Starts the program with exactly the shipped files of a system. */
export async function deploy(system: string, behave?: Behaviour): Promise<Deployment> {
  const upstream = await startUpstream(behave);
  const program = await startProgram(systemFile(system, "latchkey.yaml"), ["--upstream", upstream.url]);
  const stop = async (): Promise<void> => {
    await program.stop();
    await upstream.close();
  };
  return { program, upstream, folder: undefined, stop };
}

/** Starts the program with copies of a system's files, edited in places. */
export async function deployCopy(system: string, edits: Edits = {}, more: Edits = {}): Promise<Deployment> {
  const folder = await createFolder();
  const upstream = await startUpstream();
  for (const [name, text] of Object.entries(more)) await folder.write(name, text);
  await folder.write("keys.yaml", await readFile(systemFile(system, "keys.yaml"), "utf8"));
  const main = edit(await readFile(systemFile(system, "latchkey.yaml"), "utf8"), edits);
  const program = await startProgram(await folder.write("latchkey.yaml", main), ["--upstream", upstream.url]);
  const stop = async (): Promise<void> => {
    await program.stop();
    await upstream.close();
    await folder.remove();
  };
  return { program, upstream, folder: folder.path, stop };
}

function edit(text: string, edits: Edits): string {
  return Object.entries(edits).reduce((edited, [from, to]) => {
    const pieces = edited.split(from);
    if (pieces.length !== 2) throw new Error(`"${from}" stands ${pieces.length - 1} times in the file`);
    return pieces.join(to);
  }, text);
}

/** Runs a test against a deployment of its own. */
export async function withDeployment(
  started: Promise<Deployment>,
  use: (deployment: Deployment) => Promise<void>,
): Promise<void> {
  const deployment = await started;
  try {
    await use(deployment);
  } finally {
    await deployment.stop();
  }
}

export interface Call {
  readonly method?: string;
  readonly path: string;
  /** A list is as many header lines. */
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
  /** The loopback address the connection comes from. */
  readonly from?: string;
  readonly tls?: boolean;
}

/** An answer as the client got it. */
export interface Answer {
  readonly status: number;
  /** Names in lower case, in the order they came. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** The values of one field. */
  readonly values: (name: string) => readonly string[];
}

/** Sends one request on a connection of its own. */
export function send({ program }: Pick<Deployment, "program">, call: Call): Promise<Answer> {
  const { method = "GET", path, headers = {}, body, from = "127.0.0.1", tls = false } = call;
  const options = { host: "127.0.0.1", port: program.port, method, path, headers, localAddress: from, agent: false };
  return new Promise((resolve, reject) => {
    const request = tls ? requestHttps({ ...options, rejectUnauthorized: false }) : requestHttp(options);
    request.on("error", reject);
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("error", reject);
      response.on("end", () => {
        const lines = toLines(response.rawHeaders);
        const values = (name: string) =>
          lines.flatMap(([field, value]) => (field === name.toLowerCase() ? [value] : []));
        resolve({ status: response.statusCode ?? 0, headers: lines, body: text, values });
      });
    });
    request.end(body);
  });
}

function toLines(rawHeaders: readonly string[]): readonly (readonly [string, string])[] {
  return rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1] ?? ""] as const] : [],
  );
}

const OWN_TO_EACH_ANSWER: ReadonlySet<string> = new Set(["date", "x-request-id"]);

/** All that could tell two answers apart: everything but the moment and the request's own id. */
export function traitsOf({ status, headers, body }: Answer) {
  return { status, headers: headers.filter(([name]) => !OWN_TO_EACH_ANSWER.has(name)), body };
}
