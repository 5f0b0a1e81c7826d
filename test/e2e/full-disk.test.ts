import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, type Folder, PROGRAM, sha256Of, startUpstream, type Upstream } from "./harness.ts";

const KEY = "lk_11111111111111111111111111111111";
const DEADLINE_MS = 10_000;
// Room for a few lines, in the units of `ulimit -f`: 512 bytes.
const LIMIT_BLOCKS = 4;

/** The program with its standard output in a file, so that no line tells of its ports. */
interface Unseen {
  readonly url: string;
  readonly adminUrl: string;
  /** Sends SIGTERM and resolves with the exit code; fails if it does not end in time. */
  readonly stop: () => Promise<number | null>;
  readonly kill: () => void;
}

async function startUnseen(
  config: string,
  logFile: string,
  workers: number,
  under: readonly string[] = [],
): Promise<Unseen> {
  const [port, adminPort] = await findTwoPorts();
  const at = ["--listen", `127.0.0.1:${port}`, "--admin", `127.0.0.1:${adminPort}`, "--workers", String(workers)];
  const log = await open(logFile, "a");
  const [command = "", ...args] = [...under, process.execPath, PROGRAM, "serve", "--config", config, ...at];
  const child = spawn(command, args, { stdio: ["ignore", log.fd, "ignore"] });
  await log.close();
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  await until(async () => (await statusOf(`${adminUrl}/readyz`)) === 200).catch((error: unknown) => {
    // Whoever asked has no handle to stop it by.
    child.kill("SIGKILL");
    throw error;
  });
  return {
    url: `http://127.0.0.1:${port}`,
    adminUrl,
    stop: () => endOf(child),
    kill: () => void child.kill("SIGKILL"),
  };
}

/** Two ports that nobody listens on any more. */
async function findTwoPorts(): Promise<readonly [number, number]> {
  const [one, other] = await Promise.all([startUpstream(), startUpstream()]);
  await Promise.all([one.close(), other.close()]);
  return [one.port, other.port];
}

async function endOf(child: ChildProcess): Promise<number | null> {
  const exited = once(child, "exit", { signal: AbortSignal.timeout(DEADLINE_MS) });
  child.kill("SIGTERM");
  const [code] = await exited;
  return code;
}

/** The status, or 0 where there is no answer in time. */
async function statusOf(url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return 0;
  }
}

/** Asks again until it is so. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not so within ${DEADLINE_MS} ms: ${isSo}`);
  }
}

async function countDropped(adminUrl: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return Number(/^latchkey_log_lines_dropped_total (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
}

describe("the built program, with no room for its log", () => {
  let upstream: Upstream;
  let folder: Folder;
  let config: string;

  beforeAll(async () => {
    upstream = await startUpstream();
    folder = await createFolder();
    const parts = {
      upstream: upstream.url,
      routes: [{ match: "GET /**", authenticated: true }],
      keys: [{ id: "k", hash: sha256Of(KEY), limits: "1000000/minute" }],
    };
    config = await folder.write("latchkey.json", JSON.stringify(parts));
  });
  afterAll(async () => {
    await upstream.close();
    await folder.remove();
  });

  test.each([1, 2])(
    "answers with %i workers on a full disk, counts the lines, and ends when told to",
    async (workers) => {
      const program = await startUnseen(config, "/dev/full", workers);
      try {
        for (let asked = 0; asked < 20; asked += 1) {
          expect(await statusOf(`${program.url}/${asked}`, { "x-api-key": KEY })).toBe(200);
        }
        // One that says it is ready, and one for each request.
        await until(async () => (await countDropped(program.adminUrl)) === 21);
        expect(await statusOf(`${program.adminUrl}/livez`)).toBe(200);
        expect(await program.stop()).toBe(0);
      } finally {
        program.kill();
      }
    },
  );

  test("writes lines again once there is room for them", async () => {
    const logFile = join(folder.path, "limited.log");
    const under = ["sh", "-c", `ulimit -f ${LIMIT_BLOCKS}; exec "$@"`, "sh"];
    const program = await startUnseen(config, logFile, 1, under);
    const ask = (path: string) => statusOf(`${program.url}/${path}`, { "x-api-key": KEY });
    try {
      await until(async () => {
        expect(await ask("filling")).toBe(200);
        return (await countDropped(program.adminUrl)) > 0;
      });
      await truncate(logFile);
      expect(await ask("room-again")).toBe(200);
      await until(async () => (await readFile(logFile, "utf8")).includes('"path":"/room-again"'));
      expect(await program.stop()).toBe(0);
      expect(await readFile(logFile, "utf8")).toMatch(/"msg":"stopped"}\n$/);
    } finally {
      program.kill();
    }
  });
});
