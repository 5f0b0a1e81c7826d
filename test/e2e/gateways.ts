import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import type { Folder } from "./harness.ts";

/** A real gateway with the config of docs/recipes.md, in front of an upstream and asking an authoriser. */
export interface RealGateway {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

export interface Behind {
  readonly folder: Folder;
  readonly upstreamPort: number;
  readonly adminPort: number;
}

export async function startNginx(behind: Behind): Promise<RealGateway> {
  const port = await findPort();
  const { path } = behind.folder;
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${join(path, kind)};`)
    .join("\n");
  const file = await behind.folder.write(
    "nginx.conf",
    `daemon off;
pid ${join(path, "nginx.pid")};
error_log stderr notice;
worker_processes 1;
events {}
http {
  access_log off;
  ${temporary}
  server {
    listen 127.0.0.1:${port};
    ${await readRecipe("nginx", behind)}
  }
}
`,
  );
  return start("nginx", ["-c", file, "-p", path], "start worker process", port, {});
}

export async function startCaddy(behind: Behind): Promise<RealGateway> {
  const port = await findPort();
  const file = await behind.folder.write(
    "Caddyfile",
    `{
	admin off
	auto_https off
}
http://:${port} {
${await readRecipe("caddyfile", behind)}
}
`,
  );
  // Caddy keeps what it remembers under these.
  const { path } = behind.folder;
  const env = { XDG_DATA_HOME: path, XDG_CONFIG_HOME: path, HOME: path };
  return start(
    "caddy",
    ["run", "--config", file, "--adapter", "caddyfile"],
    "serving initial configuration",
    port,
    env,
  );
}

/** The one block of this language on the page, with its ports replaced. */
async function readRecipe(language: string, { upstreamPort, adminPort }: Behind): Promise<string> {
  const page = await readFile(resolve(import.meta.dirname, "../../docs/recipes.md"), "utf8");
  const block = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(page)?.[1];
  if (block === undefined) throw new Error(`docs/recipes.md has no block of ${language}`);
  return block
    .replaceAll("127.0.0.1:3000", `127.0.0.1:${upstreamPort}`)
    .replaceAll("127.0.0.1:9090", `127.0.0.1:${adminPort}`);
}

const DEADLINE_MS = 10_000;

function start(
  command: string,
  args: readonly string[],
  readyText: string,
  port: number,
  env: Readonly<Record<string, string>>,
): Promise<RealGateway> {
  const child = spawn(command, [...args], { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...env } });
  const exited = new Promise<void>((done) => child.once("close", () => done()));
  return new Promise((done, fail) => {
    let said = "";
    const deadline = setTimeout(() => fail(new Error(`${command} is not ready: ${said}`)), DEADLINE_MS);
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (!said.includes(readyText)) return;
      clearTimeout(deadline);
      done({
        port,
        stop: async () => {
          child.kill("SIGTERM");
          await exited;
        },
      });
    });
    child.once("error", fail);
    void exited.then(() => fail(new Error(`${command} ended: ${said}`)));
  });
}

/** Neither program can be asked which port it got for 0. */
async function findPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const bound = server.address();
  await new Promise((done) => server.close(done));
  if (typeof bound !== "object" || bound === null) throw new Error("no free port");
  return bound.port;
}
