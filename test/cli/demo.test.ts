import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { createDirectory } from "./run.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAIN = `${ROOT}src/main.ts`;

interface Demo {
  readonly process: ChildProcess;
  readonly guide: string;
}

/** Starts the demo as `npm start` does, but for the build, and waits for its guide. */
async function startDemo(): Promise<Demo> {
  const child = spawn(process.execPath, [MAIN, "demo"], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let written = "";
  const guide = await new Promise<string>((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      written += chunk.toString("utf8");
      if (written.includes("Ctrl-C stops everything.")) resolve(written);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("exit", () => reject(new Error(`the demo ended: ${written}`)));
  });
  return { process: child, guide };
}

/** A title of the guide, and what its command prints when it is pasted. */
async function paste(guide: string, title: string): Promise<string> {
  const lines = guide.split("\n");
  const at = lines.findIndex((line) => line.includes(`. ${title}`));
  const { stdout } = await promisify(execFile)("bash", ["-c", lines[at + 1] ?? "false"]);
  return stdout;
}

describe("latchkey demo", () => {
  test("every line of its guide is answered as it says, and Ctrl-C ends it", async () => {
    // Takes the preferred port, where it is free, so that the demo must move.
    const squatter = createServer().listen(8080, "127.0.0.1");
    squatter.on("error", () => {});
    onTestFinished(() => void squatter.close());
    const demo = await startDemo();
    expect(demo.guide).toMatch(/Port 8080 is taken, so this uses \d+\./);

    const read = await paste(demo.guide, "A key that may read");
    expect(read).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(read).toContain('"x-latchkey-key-id": "demo-reader"');
    expect(read).toContain('"x-latchkey-tenant": "corner-shop"');

    const scope = await paste(demo.guide, "The same key, writing");
    expect(scope).toMatch(/^HTTP\/1\.1 403/);
    expect(scope).toContain('"code":"scope_insufficient"');

    const write = await paste(demo.guide, "A key that may write");
    expect(write).toMatch(/^HTTP\/1\.1 201/);
    expect(write).toContain('"item": "rye bread"');

    const address = await paste(demo.guide, "A key bound to another network");
    expect(address).toContain('"code":"address_denied"');

    const limit = await paste(demo.guide, "A key with 5 requests a minute");
    expect(limit.trim().split("\n")).toEqual(["200", "200", "200", "200", "200", "429", "429"]);

    const none = await paste(demo.guide, "No key");
    expect(none).toContain('WWW-Authenticate: Bearer realm="api"');
    expect(await paste(demo.guide, "A public route")).toMatch(/^HTTP\/1\.1 200/);

    const explained = demo.guide.split("\n").find((line) => line.includes("--address 203.0.113.7"));
    const { stdout } = await promisify(execFile)(
      "bash",
      ["-c", explained?.trim().replace(/^node/, process.execPath) ?? ""],
      {
        cwd: ROOT,
      },
    );
    expect(stdout).toContain("Allowed. The upstream receives:");

    const credentials = demo.guide.match(/ord_live_[0-9A-Za-z]{30}/g) ?? [];
    expect(new Set(credentials).size).toBe(4);
    const recorded = await readFile(`${ROOT}config/demo-keys.yaml`, "utf8");
    for (const credential of credentials) expect(recorded).not.toContain(credential);

    const exited = once(demo.process, "exit");
    demo.process.kill("SIGINT");
    expect(await exited).toEqual([0, null]);
    const app = /the app +(http:\S+)/.exec(demo.guide)?.[1] ?? "";
    await expect(fetch(app)).rejects.toThrow();
  });
});

describe("the sample app", () => {
  test("ends with the demo even when that is killed outright", async () => {
    const demo = await startDemo();
    const app = /the app +(http:\S+)/.exec(demo.guide)?.[1] ?? "";
    expect((await fetch(app)).status).toBe(200);
    // Its end closes this connection. To ask the port would tell nothing: others take it as soon as it is free.
    const connection = connect(Number(new URL(app).port), "127.0.0.1");
    await once(connection, "connect");
    const ended = new Promise((resolve) => connection.resume().once("close", resolve));
    demo.process.kill("SIGKILL");
    await ended;
  });
});

describe("the program as its user runs it", () => {
  const latchkey = (argv: readonly string[], input = "") =>
    new Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>((resolve) => {
      const child = spawn(process.execPath, [MAIN, ...argv], { cwd: ROOT });
      let out = "";
      let err = "";
      child.stdout.on("data", (chunk: Buffer) => {
        out += chunk.toString("utf8");
      });
      child.stderr.on("data", (chunk: Buffer) => {
        err += chunk.toString("utf8");
      });
      child.on("close", (code) => resolve({ code, out, err }));
      child.stdin.end(input);
    });

  test("init, keys create and explain follow on each other", async () => {
    const directory = await createDirectory();
    const config = ["--config", `${directory}/latchkey.yaml`];
    expect((await latchkey(["init", "--out", directory, "--routes", "/orders"])).code).toBe(0);
    const created = await latchkey(["keys", "create", "--id", "first", "--scopes", "orders:read", ...config]);
    expect(created).toMatchObject({ code: 0, out: expect.stringMatching(/^lk_\S+\n$/) });
    const allowed = await latchkey(["explain", "GET", "/orders", "--key", "-", ...config], created.out);
    expect(allowed).toMatchObject({ code: 0, err: "" });
    const refused = await latchkey(["explain", "PUT", "/orders/1", "--key-id", "first", ...config]);
    expect(refused).toMatchObject({ code: 1, err: "" });
    expect((await latchkey(["check", ...config])).code).toBe(0);
    // Five programs one after another, each of which reads all sources: seconds each where others compute.
  }, 60_000);

  test("a wrong call ends in 2, and a question for help in 0", async () => {
    expect(await latchkey(["chek"])).toMatchObject({ code: 2, out: "" });
    expect(await latchkey(["explain", "--help"])).toMatchObject({ code: 0, err: "" });
  });

  test("the demo's own config is valid in a fresh clone, where it has no keys yet", async () => {
    const text = await readFile(`${ROOT}config/latchkey.yaml`, "utf8");
    const directory = await createDirectory({ "latchkey.yaml": text });
    expect((await latchkey(["check", "--config", `${directory}/latchkey.yaml`])).code).toBe(0);
  });
});
