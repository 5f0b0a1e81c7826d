import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** How one piece of software reads a path, by the name of the place a framework takes it from. */
export type Views = Readonly<Record<string, string>>;

/** A real server, asked what path it sees; no views where it refuses the request. */
export interface Reader {
  readonly name: string;
  readonly read: (target: string) => Promise<Views>;
}

export interface Readers {
  readonly all: readonly Reader[];
  readonly stop: () => Promise<void>;
}

/** Starts `node:http`, Python's `http.server` and WSGI server, and PHP's built-in server, each on a free port. */
export async function startReaders(): Promise<Readers> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const root = await mkdtemp(join(tmpdir(), "latchkey-reader-"));
  const node = await startNode();
  const python = spawn("python3", [fileOf("reader.py")], { cwd: root, stdio: ["pipe", "pipe", "ignore"] });
  const php = spawn("php", ["-n", "-S", "127.0.0.1:0", "-t", root, fileOf("reader.php")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const pythonPorts: unknown = JSON.parse(await findLine(python, "stdout", /^(\{.*\})$/));
  const phpPort = Number(await findLine(php, "stderr", /\(http:\/\/127\.0\.0\.1:(\d+)\) started/));
  const toReader = ([name, port]: readonly [string, number]): Reader => ({
    name,
    read: (target) => readViews(port, target, agent),
  });
  const ports = { "node:http": node.port, ...toPorts(pythonPorts), php: phpPort };
  return {
    all: Object.entries(ports).map(toReader),
    stop: async () => {
      agent.destroy();
      node.stop();
      for (const child of [python, php]) child.kill();
      await rm(root, { recursive: true, force: true });
    },
  };
}

function fileOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** The first group of the first line that fits. */
async function findLine(child: ChildProcess, stream: "stdout" | "stderr", pattern: RegExp): Promise<string> {
  const input = child[stream];
  if (input === null) throw new Error("the stream is not piped");
  child.once("error", (error) => input.destroy(error));
  for await (const line of createInterface({ input })) {
    const found = pattern.exec(line)?.[1];
    if (found === undefined) continue;
    input.resume();
    return found;
  }
  throw new Error(`${child.spawnfile} ended without saying where it listens`);
}

function toPorts(said: unknown): Record<string, number> {
  if (typeof said !== "object" || said === null) throw new Error("expected ports by name");
  return Object.fromEntries(Object.entries(said).map(([name, port]) => [name, Number(port)]));
}

async function startNode(): Promise<{ readonly port: number; readonly stop: () => void }> {
  const server = createServer((incoming, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(viewsOfNode(incoming.url ?? "")));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  if (typeof bound !== "object" || bound === null) throw new Error("the reader has no address");
  return {
    port: bound.port,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function viewsOfNode(url: string): Views {
  const views: Record<string, string> = { url: url.split("?")[0] ?? "" };
  if (URL.canParse(url, "http://upstream")) {
    views["pathname"] = new URL(url, "http://upstream").pathname;
    views["pathname, decoded"] = decodeLeniently(views["pathname"]);
  }
  return views;
}

export function decodeLeniently(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function readViews(port: number, target: string, agent: Agent): Promise<Views> {
  return new Promise((resolve, reject) => {
    const asking = request({ host: "127.0.0.1", port, path: target, agent }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve(response.statusCode === 200 ? toViews(body) : {}));
      response.on("error", reject);
    });
    asking.on("error", reject);
    asking.end();
  });
}

function toViews(body: string): Views {
  const said: unknown = JSON.parse(body);
  if (typeof said !== "object" || said === null) throw new Error(`not what a reader says: ${body}`);
  return Object.fromEntries(Object.entries(said).map(([name, path]) => [name, String(path)]));
}
