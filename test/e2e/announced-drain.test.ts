import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import {
  createFolder,
  type Folder,
  type Program,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "./harness.ts";

const KEY = "lk_4nn0unc3d-4nn0unc3d-4nn0unc3d";
const ADMIN_TOKEN = "admin-token-of-this-test";
const DRAIN_TOKEN = "drain-token-of-this-test";
const DELAY_MS = 1_500;

const CONFIG = (upstreamUrl: string) => `
upstream: ${upstreamUrl}
routes: [{ match: "* /**", authenticated: true }]
admin: { token: "${sha256Of(ADMIN_TOKEN)}" }
drain: { delay: ${DELAY_MS}ms, timeout: 5s, token: "${sha256Of(DRAIN_TOKEN)}" }
keys: keys.yaml
`;
const keysOf = (status: string) => `keys: [{ id: pos, hash: "${sha256Of(KEY)}", status: ${status} }]\n`;

describe("the built program, told of its end by a request", () => {
  let upstream: Upstream;
  let folder: Folder;
  let program: Program;

  beforeAll(async () => {
    upstream = await startUpstream();
  });
  afterAll(() => upstream.close());
  beforeEach(async () => {
    folder = await createFolder();
    await folder.write("keys.yaml", keysOf("active"));
    program = await startProgram(await folder.write("latchkey.yaml", CONFIG(upstream.url)));
    return async () => {
      await program.stop();
      await folder.remove();
    };
  });

  const admin = (path: string, token?: string, method = "GET") =>
    fetch(`${program.adminUrl}${path}`, {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
  const ask = () => fetch(`${program.url}/x`, { headers: { "x-api-key": KEY } });

  test("drains for nobody without one of its tokens, and tells him no more than of any path", async () => {
    const other = await (await admin("/-/no-such-path")).text();
    for (const token of [undefined, "not-the-token-of-this-test"]) {
      for (const method of ["GET", "POST"]) {
        const answer = await admin("/-/drain", token, method);
        expect([answer.status, await answer.text()]).toEqual([401, other]);
      }
    }
    expect((await admin("/-/drain", DRAIN_TOKEN, "HEAD")).status).toBe(401);
    expect((await admin("/readyz")).status).toBe(200);
  });

  test("opens nothing else with the token that drains", async () => {
    expect((await admin("/-/reload", DRAIN_TOKEN, "POST")).status).toBe(401);
    expect((await admin("/-/shadow", DRAIN_TOKEN)).status).toBe(401);
  });

  test.for([
    ["GET", DRAIN_TOKEN],
    ["POST", DRAIN_TOKEN],
    ["POST", ADMIN_TOKEN],
  ] as const)("announces at %s with %s: not ready, still serving, on connections that end", async ([method, token]) => {
    expect((await ask()).headers.get("connection")).toBe("keep-alive");
    const answer = await admin("/-/drain", token, method);
    expect(answer.status).toBe(200);
    const announced = await answer.json();
    expect(announced).toEqual({ status: "draining", since: expect.stringMatching(/^\d{4}-.*Z$/) });
    await program.waitForLine((line) => line["msg"] === "draining announced");

    const ready = await admin("/readyz");
    expect([ready.status, await ready.json()]).toEqual([503, expect.objectContaining({ status: "draining" })]);
    expect((await admin("/livez")).status).toBe(200);
    const served = await ask();
    expect([served.status, served.headers.get("connection")]).toEqual([200, "close"]);

    // Again, as often as anybody likes, it is the same end.
    expect(await (await admin("/-/drain", token, method)).json()).toEqual(announced);
    expect(program.lines.filter((line) => line["msg"] === "draining announced")).toHaveLength(1);
  });

  test("refuses what would last, and goes on taking up revocations", async () => {
    await admin("/-/drain", DRAIN_TOKEN);
    const socket = new WebSocket(`ws://127.0.0.1:${program.port}/x`, { headers: { "x-api-key": KEY } });
    const [error] = await once(socket, "error");
    expect(String(error)).toContain("503");
    await folder.write("keys.yaml", keysOf("revoked"));
    await expect.poll(async () => (await ask()).status, { timeout: 5_000 }).toBe(401);
  });

  test("counts drain.delay from the announcement: what the hook has waited is not waited again", async () => {
    await admin("/-/drain", DRAIN_TOKEN);
    await pause(DELAY_MS);
    const exited = once(program.process, "exit");
    const toldAt = performance.now();
    program.process.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
    expect(performance.now() - toldAt).toBeLessThan(DELAY_MS);
  });

  test("serves for all of drain.delay when SIGTERM follows at once", async () => {
    await admin("/-/drain", DRAIN_TOKEN);
    const exited = once(program.process, "exit");
    const toldAt = performance.now();
    program.process.kill("SIGTERM");
    await program.waitForLine((line) => line["msg"] === "draining");
    expect((await ask()).status).toBe(200);
    expect(await exited).toEqual([0, null]);
    expect(performance.now() - toldAt).toBeGreaterThan(DELAY_MS / 2);
  });
});
