import { readFileSync } from "node:fs";
import { Agent, get as httpGet } from "node:http";
import { hashSync } from "bcryptjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  createFolder,
  exchangeBytes,
  type Folder,
  type Program,
  parseResponse,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "./harness.ts";

const KEY = "lk_11111111111111111111111111111111";
const OTHER = "lk_22222222222222222222222222222222";
const MANAGER = "lk_33333333333333333333333333333333";
const SLOW = "lk_slow_444444444444444444444444444";
const THREADS = 3;
// As many as the file says, also where all other programs are to have several.
const BY_FILE = ["env", "-u", "LATCHKEY_WORKERS"];

const keysYaml = (status = "active") => `keys:
  - { id: one, hash: "${sha256Of(KEY)}", status: ${status}, scopes: ["a"] }
  - { id: two, hash: "${sha256Of(OTHER)}", limits: 40/hour }
  - { id: manager, hash: "${sha256Of(MANAGER)}", scopes: ["*"] }
  - { id: slow, hash: "${hashSync(SLOW, 4)}", prefix: lk_slow_4444 }
`;

const config = (upstreamUrl: string, more = "") => `upstream: ${upstreamUrl}
workers: ${THREADS}
routes:
  - { match: "* /**", authenticated: true }
limits: { failures: 5/minute }
management: { path: /api/keys, scopes: { rotate: keys.rotate, revoke: keys.revoke } }
keys: keys.yaml
drain: { timeout: 5s }
${more}`;

/** One request on a connection of its own, which the kernel gives to any of the threads. */
async function ask(program: Program, credential: string, path = "/x", method = "GET"): Promise<number> {
  const head = `${method} ${path} HTTP/1.1\r\nHost: a\r\nX-API-Key: ${credential}\r\nConnection: close\r\n\r\n`;
  return parseResponse(await exchangeBytes(program.port, head)).status;
}

function askMany(count: number, program: Program, credential: string): Promise<readonly number[]> {
  return Promise.all(Array.from({ length: count }, () => ask(program, credential)));
}

function tally(statuses: readonly number[]): Readonly<Record<number, number>> {
  const counts: Record<number, number> = {};
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

async function metricsOf(program: Program): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${program.adminUrl}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

describe("the built program, in several threads", () => {
  let upstream: Upstream;

  beforeAll(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.url === "/slow") setTimeout(() => response.end("slow but whole"), 300);
      else response.end("ok");
    });
  });
  afterAll(() => upstream.close());

  async function withProgram(use: (program: Program, own: Folder) => Promise<void>, url = upstream.url, more = "") {
    const own = await createFolder();
    await own.write("keys.yaml", keysYaml());
    const program = await startProgram(await own.write("latchkey.yaml", config(url, more)), [], BY_FILE);
    try {
      await use(program, own);
    } finally {
      await program.stop();
      await own.remove();
    }
  }

  test("admits exactly the limit of a key over all threads, counts every request once and logs it in one line", async () => {
    await withProgram(async (program) => {
      const statuses = await askMany(120, program, OTHER);
      expect(tally(statuses)).toEqual({ 200: 40, 429: 80 });
      const counts = await metricsOf(program);
      const labels = (decision: string, reason: string, status: number) =>
        `latchkey_requests_total{route="* /**",decision="${decision}",reason="${reason}",status="${status}",via="proxy"}`;
      expect(counts.get(labels("allow", "", 200))).toBe(40);
      expect(counts.get(labels("deny", "rate_limited", 429))).toBe(80);
      expect(counts.get('latchkey_request_duration_seconds_count{route="* /**",via="proxy"}')).toBe(120);
      expect(counts.get("latchkey_workers")).toBe(THREADS);
      expect(counts.get("latchkey_worker_restarts_total")).toBe(0);
      expect([...counts.keys()].filter((name) => name.startsWith("latchkey_build_info"))).toHaveLength(1);
      // Of the process, not once for each thread.
      const statm = Number(readFileSync(`/proc/${program.process.pid}/statm`, "utf8").split(" ")[1]) * 4096;
      expect(counts.get("process_resident_memory_bytes")).toBeLessThan(1.5 * statm);
      // The harness parses each line, so that a torn one fails it.
      const requests = () => program.lines.filter(({ msg }) => msg === "request" || msg === "request denied");
      await expect.poll(() => requests().length).toBe(120);
      expect(new Set(requests().map(({ requestId }) => requestId)).size).toBe(120);
    });
  });

  test("answers by the new policy in every thread once a reload has been told, and closes what a revoked key has open", async () => {
    const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await new Promise((resolve) => sockets.once("listening", resolve));
    const bound = sockets.address();
    const url = `http://127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
    await withProgram(async (program, own) => {
      const opened = await Promise.all(
        Array.from({ length: 12 }, async () => {
          const socket = new WebSocket(`ws://127.0.0.1:${program.port}/chat`, { headers: { "X-API-Key": KEY } });
          const closed = new Promise<number>((resolve) => socket.on("close", resolve));
          await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
          return { closed };
        }),
      );
      expect((await metricsOf(program)).get("latchkey_upgraded_connections_open")).toBe(12);
      await own.write("keys.yaml", keysYaml("revoked"));
      await program.waitForLine((line) => line["msg"] === "policy reloaded");
      expect(tally(await askMany(60, program, KEY))).toEqual({ 401: 60 });
      expect(tally(await Promise.all(opened.map(({ closed }) => closed)))).toEqual({ 1008: 12 });
    }, url);
    sockets.close();
  });

  test("changes keys for a request to any thread, in force in all of them with the answer", async () => {
    await withProgram(async (program) => {
      expect(tally(await askMany(10, program, KEY))).toEqual({ 200: 10 });
      expect(await ask(program, MANAGER, "/api/keys/one/revoke", "POST")).toBe(200);
      expect(tally(await askMany(40, program, KEY))).toEqual({ 401: 40 });
      // One writer: of many that revoke the same key at once, one does.
      const revoked = await Promise.all(
        Array.from({ length: 8 }, () => ask(program, MANAGER, "/api/keys/two/revoke", "POST")),
      );
      expect(tally(revoked)).toEqual({ 200: 1, 409: 7 });
    });
  });

  test("counts refused credentials in all threads together, and lets a slow key that is verified pass in each", async () => {
    await withProgram(async (program) => {
      expect(await ask(program, SLOW)).toBe(200);
      const refused = await askMany(30, program, "lk_slow_4444nobody");
      expect(tally(refused)).toEqual({ 401: 5, 429: 25 });
      // Its address is over its budget, and no thread may hash for it: each knows what one of them verified.
      expect(tally(await askMany(30, program, SLOW))).toEqual({ 200: 30 });
    });
  });

  test("hashes for no more guesses of one address than its budget admits, however many come at once", async () => {
    await withProgram(async (program) => {
      const guesses = Array.from({ length: 80 }, (_, index) => ask(program, `lk_slow_4444-guess-${index}`));
      const right = ask(program, SLOW);
      // The key that is not verified yet is a guess like others.
      expect(tally(await Promise.all([...guesses, right]))).toEqual({ 401: 5, 429: 76 });
    });
  });

  test("fails no request under load when it is asked to stop", async () => {
    await withProgram(async (program) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 24 });
      let stopping = false;
      const results: string[] = [];
      const request = () =>
        new Promise<"go on" | "end">((resolve) => {
          const sent = httpGet(`${program.url}/slow`, { agent, headers: { "x-api-key": KEY } }, (response) => {
            let body = "";
            response.on("data", (chunk) => {
              body += String(chunk);
            });
            response.on("close", () => {
              results.push(`${response.statusCode} ${body}`);
              resolve(stopping ? "end" : "go on");
            });
          });
          sent.on("error", (error) => {
            results.push(String(error));
            resolve("end");
          });
        });
      const client = async (): Promise<void> => {
        while ((await request()) === "go on");
      };
      const clients = Array.from({ length: 24 }, client);
      await expect.poll(() => results.length, { timeout: 10_000 }).toBeGreaterThan(48);
      stopping = true;
      expect(await program.stop()).toBe(0);
      await Promise.all(clients);
      agent.destroy();
      expect(new Set(results)).toEqual(new Set(["200 slow but whole"]));
    }, upstream.url);
  });

  test("compares with a candidate in every thread, and reports one sum", async () => {
    await withProgram(async (program, own) => {
      await own.write("candidate.yaml", config(upstream.url).replace("authenticated: true", "scopes: [b]"));
      await own.write("latchkey.yaml", config(upstream.url, "shadow: candidate.yaml"));
      await program.waitForLine((line) => line["msg"] === "shadow policy loaded");
      expect(tally(await askMany(30, program, KEY))).toEqual({ 200: 30 });
      const same = 'latchkey_shadow_decisions_total{outcome="would_deny",reason="scope_insufficient",route="* /**"}';
      await expect.poll(async () => (await metricsOf(program)).get(same)).toBe(30);
    }, upstream.url);
  });

  test("says what is in its way, and starts no thread beside a process that has the port", async () => {
    const own = await createFolder();
    await own.write("keys.yaml", keysYaml());
    const file = await own.write("latchkey.yaml", config(upstream.url));
    const first = await startProgram(file);
    try {
      await expect(startProgram(file, ["--listen", `127.0.0.1:${first.port}`])).rejects.toThrow("EADDRINUSE");
      await expect(startProgram(file, ["--listen", `unix:${own.path}/x.sock`], BY_FILE)).rejects.toThrow(
        "A unix socket is served by one thread, not by 3",
      );
      await expect(startProgram(file, ["--workers", "many"])).rejects.toThrow("--workers");
    } finally {
      await first.stop();
    }
    const alone = await startProgram(file, ["--listen", `unix:${own.path}/x.sock`, "--workers", "auto"]);
    await alone.stop();
    await own.remove();
  });
});
