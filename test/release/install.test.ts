import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../docs/blocks.ts";
import { createFolder, type Folder, startUpstream, type Upstream } from "../e2e/harness.ts";
import { declareSecret } from "../secrecy/secrets.ts";

const PATIENCE_MS = 60_000;

let folder: Folder;
let upstream: Upstream;

/** Runs a program in the stranger's folder, where there is nothing but what was installed. */
async function runThere(command: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { cwd: folder.path, env: strangerEnv() });
  return stdout;
}

// Without the variables that npm sets for the scripts of this package: they would lead `npx` back here.
function strangerEnv(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^npm_(?:package|lifecycle|command|execpath)/.test(name),
  );
  const path = [dirname(process.execPath), ...(process.env["PATH"] ?? "").split(":")];
  return {
    ...Object.fromEntries(kept),
    PATH: path.filter((entry) => !entry.endsWith("node_modules/.bin")).join(":"),
    INIT_CWD: folder.path,
  };
}

beforeAll(async () => {
  folder = await createFolder();
  upstream = await startUpstream();
  const pack = ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder.path];
  const { stdout } = await promisify(execFile)("npm", pack, { cwd: ROOT });
  await folder.write("package.json", '{ "name": "stranger", "private": true }\n');
  await runThere("npm", "install", "--offline", "--no-audit", "--no-fund", "--silent", `./${stdout.trim()}`);
}, PATIENCE_MS);

afterAll(async () => {
  await upstream?.close();
  await folder?.remove();
});

test("the packed program works for a stranger: version, init, keys, check, serve", {
  timeout: PATIENCE_MS,
}, async () => {
  // It depends on no other package, so that no registry was needed.
  expect((await readdir(`${folder.path}/node_modules`)).sort()).toEqual([".bin", ".package-lock.json", "latchkey"]);
  expect(await runThere("npx", "latchkey", "--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
  await runThere("npx", "latchkey", "init", "--upstream", upstream.url, "--routes", "/api");
  const key = (await runThere("npx", "latchkey", "keys", "create", "--id", "first", "--scopes", "api:read")).trim();
  declareSecret(key);
  expect(await runThere("npx", "latchkey", "check")).toContain("latchkey.yaml is valid");

  const free = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  // A group of its own, since a signal is for the program and not for npx alone.
  const served = spawn("npx", ["latchkey", "serve", ...free], {
    cwd: folder.path,
    env: strangerEnv(),
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const url = `http://${await readAddress(served)}/api/orders`;
    const asked = ["--silent", "--include", "--header", `Authorization: Bearer ${key}`, url];
    expect(await runThere("curl", ...asked)).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\{"ok":true\}$/);
    expect(await runThere("curl", "--silent", "--include", url)).toMatch(/^HTTP\/1\.1 401 /);
    expect(upstream.requests.map(({ headers }) => headers["x-latchkey-key-id"])).toEqual(["first"]);
  } finally {
    const ended = once(served, "exit");
    process.kill(-Number(served.pid), "SIGTERM");
    await ended;
  }
});

/** The address of the line that says that the program is ready. */
async function readAddress({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error("the program has no output");
  const lines = createInterface({ input: stdout });
  for await (const line of lines) {
    const address = /"listen":"([^"]+)".*"msg":"ready"/.exec(line)?.[1];
    if (address !== undefined) {
      stdout.resume();
      return address;
    }
  }
  throw new Error("the program ended before it was ready");
}
