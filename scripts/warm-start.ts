import { deepStrictEqual } from "node:assert";
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

// Lets the built program start, answer, reload and end, with one thread and with two, and keeps beside it what V8
// compiled for that (`keep-compiled.ts`). Fails where it does not do so.
const compiled = "dist/compiled";
const keeping = ["--import", new URL("keep-compiled.ts", import.meta.url).href];
const program = [...process.execArgv, ...keeping, "dist/main.js"];
const credential = "warm_0123456789abcdef0123456789abcdef";

const folder = await mkdtemp(join(tmpdir(), "warm-start-"));
const config = join(folder, "latchkey.yaml");
const upstream = createServer((_, response) => response.end("ok")).listen(0, "127.0.0.1");
await once(upstream, "listening");
for (const workers of [1, 2]) await serve(workers);
upstream.close();
await rm(folder, { recursive: true });
const parts = (await readdir("dist")).filter((name) => /-[A-Z0-9]{8}\.js$/.test(name));
const kept = (await readdir(compiled)).map((name) => name.slice(0, name.indexOf(".js") + ".js".length));
deepStrictEqual(kept.toSorted(), parts.toSorted());

async function serve(workers: number): Promise<void> {
  await putConfig(1);
  const addresses = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", String(workers)];
  const args = [...program, "serve", "--config", config, ...addresses];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout })) {
    const { level, msg, listen, admin } = JSON.parse(line);
    if (level === "error") {
      process.stderr.write(`${line}\n`);
      child.kill("SIGKILL");
    }
    if (msg === "ready") {
      deepStrictEqual([await ask(listen, credential), await ask(listen, "warm_unknown")], [200, 401]);
      // Patient, since a builder may emulate this architecture, many times slower.
      await promisify(execFile)(process.execPath, [...program, "healthcheck", "--timeout", "60000", "--admin", admin]);
      // More than is loaded where requests wait, so that the thread for that is among what was compiled.
      await putConfig(100);
    }
    if (msg === "policy reloaded") child.kill("SIGTERM");
  }
  deepStrictEqual(await ended, [0, null]);
}

async function putConfig(keys: number): Promise<void> {
  const { port } = Object(upstream.address());
  const hash = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
  const records = Array.from({ length: keys }, (_, index) => ({
    id: `key-${index}`,
    hash: hash(index === 0 ? credential : String(index)),
    scopes: "items:read",
    limits: "1000/minute",
  }));
  const route = { match: "GET /**", scopes: "items:read" };
  const document = { upstream: `http://127.0.0.1:${port}`, routes: [route], keys: records };
  // JSON is YAML, and it is mostly YAML that people write.
  await writeFile(`${config}.new`, JSON.stringify(document, undefined, 1));
  await rename(`${config}.new`, config);
}

async function ask(listen: string, key: string): Promise<number> {
  const response = await fetch(`http://${listen}/items`, { headers: { authorization: `Bearer ${key}` } });
  await response.arrayBuffer();
  return response.status;
}
