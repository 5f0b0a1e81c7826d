import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, createServer as createRawServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { declareSecret } from "../secrecy/secrets.ts";

/** One request as the upstream received it. */
export interface Recorded {
  readonly method: string;
  readonly target: string;
  /** Exactly as received: name, value, name, value … */
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A real upstream that knows nothing of keys and remembers what reached it. */
export interface Upstream {
  readonly url: string;
  readonly port: number;
  readonly requests: Recorded[];
  readonly close: () => Promise<void>;
}

export type Behaviour = (request: IncomingMessage, response: ServerResponse, body: string) => void;

const answerOk: Behaviour = (_, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end('{"ok":true}');
};

export async function startUpstream(behave: Behaviour = answerOk): Promise<Upstream> {
  const requests: Recorded[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      body += chunk;
    });
    request.on("end", () => {
      const { method = "", url = "", rawHeaders, headers } = request;
      requests.push({ method, target: url, rawHeaders, headers, body });
      behave(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  if (typeof bound !== "object" || bound === null) throw new Error("the upstream has no address");
  return {
    url: `http://127.0.0.1:${bound.port}`,
    port: bound.port,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** An upstream that is bytes alone; what becomes of a connection is the test's. */
export interface RawUpstream {
  readonly url: string;
  /** The connections it has now. */
  readonly sockets: ReadonlySet<Socket>;
  readonly close: () => void;
}

export async function startRawUpstream(serve: (socket: Socket) => void): Promise<RawUpstream> {
  const sockets = new Set<Socket>();
  const server = createRawServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  if (typeof bound !== "object" || bound === null) throw new Error("the upstream has no address");
  return {
    url: `http://127.0.0.1:${bound.port}`,
    sockets,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A folder for config files that goes away with the test. */
export interface Folder {
  readonly path: string;
  readonly write: (name: string, text: string) => Promise<string>;
  readonly remove: () => Promise<void>;
}

export async function createFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), "latchkey-"));
  return {
    path,
    write: async (name, text) => {
      const file = join(path, name);
      await writeFile(file, text, { mode: 0o600 });
      return file;
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

/** One line of the program's log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** The built program, started as a user would. */
export interface Program {
  readonly port: number;
  readonly adminPort: number;
  readonly url: string;
  readonly adminUrl: string;
  readonly lines: LogLine[];
  readonly stderr: () => string;
  readonly process: ChildProcess;
  /** The first line, past or future, that fits; fails after a deadline. */
  readonly waitForLine: (fits: (line: LogLine) => boolean) => Promise<LogLine>;
  /** Sends SIGTERM and resolves with the exit code. */
  readonly stop: () => Promise<number | null>;
}

export const PROGRAM = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const DEADLINE_MS = 10_000;

/** `under` is a command that prepares something and then becomes the program, such as `unshare`. */
export async function startProgram(
  configFile: string,
  args: readonly string[] = [],
  under: readonly string[] = [],
): Promise<Program> {
  const fixed = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const serve = [process.execPath, PROGRAM, "serve", "--config", configFile, ...fixed, ...args];
  const [command = "", ...options] = [...under, ...serve];
  const child = spawn(command, options, { stdio: ["ignore", "pipe", "pipe"] });
  const lines: LogLine[] = [];
  const waiting = new Set<() => void>();
  let stderr = "";
  let rest = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const pieces = (rest + text).split("\n");
    rest = pieces.pop() ?? "";
    for (const piece of pieces) lines.push(parseLine(piece));
    for (const check of waiting) check();
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  const waitForLine = (fits: (line: LogLine) => boolean): Promise<LogLine> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        const line = lines.find(fits);
        if (line !== undefined) settle(() => resolve(line));
      };
      const settle = (finish: () => void): void => {
        waiting.delete(check);
        clearTimeout(deadline);
        finish();
      };
      const deadline = setTimeout(
        () =>
          settle(() =>
            reject(new Error(`no such line within ${DEADLINE_MS} ms; ${lines.length} lines, stderr: ${stderr}`)),
          ),
        DEADLINE_MS,
      );
      void exited.then((code) => settle(() => reject(new Error(`the program ended with ${code}: ${stderr}`))));
      waiting.add(check);
      check();
    });
  const ready = await waitForLine((line) => line["msg"] === "ready").catch((error: unknown) => {
    // Whoever asked has no handle to stop it by.
    child.kill("SIGKILL");
    throw error;
  });
  const port = portOf(ready["listen"]);
  const adminPort = portOf(ready["admin"]);
  return {
    port,
    adminPort,
    url: `http://127.0.0.1:${port}`,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    lines,
    stderr: () => stderr,
    process: child,
    waitForLine,
    stop: async () => {
      await scrape(adminPort);
      child.kill("SIGTERM");
      return exited;
    },
  };
}

const SCRAPE_TIMEOUT_MS = 2_000;

/** Asks what a monitoring system asks, for no more than that it be recorded: no secret may stand in it. */
async function scrape(adminPort: number): Promise<void> {
  const ask = async (path: string): Promise<void> => {
    const response = await fetch(`http://127.0.0.1:${adminPort}${path}`, {
      headers: { connection: "close" },
      signal: AbortSignal.timeout(SCRAPE_TIMEOUT_MS),
    });
    await response.text();
  };
  // A program that has ended or is stuck has nothing to tell.
  await Promise.allSettled(["/metrics", "/readyz"].map(ask));
}

function parseLine(text: string): LogLine {
  const parsed: unknown = JSON.parse(text);
  return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
}

function portOf(address: unknown): number {
  return Number(String(address).split(":").at(-1));
}

/** A response as it came over the wire. */
export interface RawResponse {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  /** Values of one field, in order. */
  readonly values: (name: string) => readonly string[];
}

/** Sends exact bytes and reads until the other side closes, or until `enough` says so. */
export function exchangeBytes(port: number, bytes: string, enough?: (received: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, "127.0.0.1");
    let received = "";
    const finish = (): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(received);
    };
    const deadline = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end of the answer within ${DEADLINE_MS} ms: ${received}`));
    }, DEADLINE_MS);
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      received += text;
      if (enough?.(received)) finish();
    });
    socket.on("close", finish);
    socket.on("error", finish);
    socket.write(bytes, "latin1");
  });
}

export function parseResponse(text: string): RawResponse {
  const split = text.indexOf("\r\n\r\n");
  const head = split === -1 ? text : text.slice(0, split);
  const [statusLine = "", ...fields] = head.split("\r\n");
  return {
    status: Number(statusLine.split(" ")[1]),
    head,
    body: split === -1 ? "" : text.slice(split + 4),
    values: (name) =>
      fields
        .map((field) => [field.slice(0, field.indexOf(":")), field.slice(field.indexOf(":") + 1).trim()] as const)
        .filter(([field]) => field.toLowerCase() === name.toLowerCase())
        .map(([, value]) => value),
  };
}

/** The digest form of a record, for keys whose text the test knows. Such a text is a secret from then on. */
export function sha256Of(credential: string): string {
  declareSecret(credential);
  return `sha256:${createHash("sha256").update(credential).digest("hex")}`;
}
