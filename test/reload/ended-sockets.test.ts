import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { createFolder, type Folder, type Program, startProgram } from "../e2e/harness.ts";
import { credentialOf, DOOMED, keysYaml, mainYaml, STEADY } from "./deployment.ts";
import { type SoakUpstream, startSoakUpstream } from "./soak/upstream.ts";

let upstream: SoakUpstream;
let folder: Folder;
let program: Program;

beforeAll(async () => {
  upstream = await startSoakUpstream();
  folder = await createFolder();
  await folder.write("keys.yaml", keysYaml(1, 0));
  program = await startProgram(await folder.write("latchkey.yaml", mainYaml(upstream.url, 1, "keys.yaml")));
});
afterAll(async () => {
  await program.stop();
  await upstream.close();
  await folder.remove();
});

async function openSocket(id: string): Promise<WebSocket> {
  const headers = { "x-api-key": credentialOf(id) };
  const socket = new WebSocket(`ws://127.0.0.1:${program.port}/socket`, { headers });
  await once(socket, "message");
  return socket;
}

const openInMetrics = async (): Promise<string | undefined> => {
  const text = await (await fetch(`${program.adminUrl}/metrics`)).text();
  return /^latchkey_upgraded_connections_open (\d+)$/m.exec(text)?.[1];
};

/** Upgrades by hand, so that the client's end comes when the test says so. */
async function upgradeByHand(id: string): Promise<Socket> {
  const socket = connect({ port: program.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  const fields = ["Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  const key = `Sec-WebSocket-Key: ${Buffer.alloc(16).toString("base64")}`;
  socket.write(["GET /socket HTTP/1.1", ...fields, key, `X-API-Key: ${credentialOf(id)}`, "", ""].join("\r\n"));
  await once(socket, "data");
  return socket;
}

const REVOKED = 6;

// A client frame of text, masked by zeros.
const FRAME = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);

test("WebSockets that the upstream ended are closed for good, whatever their clients send afterwards", async () => {
  const clients = await Promise.all([upgradeByHand(STEADY[0]), upgradeByHand(STEADY[1]), upgradeByHand(STEADY[2])]);
  const [ending, sending, ...silent] = clients;
  expect(await openInMetrics()).toBe("3");
  const ended = Promise.all(clients.map((client) => once(client.resume(), "end")));
  upstream.endSockets();
  await ended;
  sending?.write(FRAME);
  sending?.end();
  ending?.end();
  await expect.poll(openInMetrics).toBe("1");
  // One that neither sends nor ends is cut after a while.
  expect(silent).toHaveLength(1);
  await expect.poll(openInMetrics, { timeout: 15_000 }).toBe("0");
  for (const client of clients) client.destroy();
});

test("WebSockets that a reload ended are closed for good, and each is logged once", async () => {
  const sockets = await Promise.all(DOOMED.slice(0, REVOKED).flatMap((id) => [openSocket(id), openSocket(id)]));
  expect(await openInMetrics()).toBe(String(sockets.length));
  const closed = Promise.all(sockets.map((socket) => once(socket, "close")));
  await writeFile(join(folder.path, "keys.yaml"), keysYaml(2, REVOKED));
  expect((await closed).map(([code]) => code)).toEqual(sockets.map(() => 1008));
  await expect.poll(openInMetrics).toBe("0");
  const ended = () => program.lines.filter((line) => line["ending"] === "ended").length;
  await expect.poll(ended).toBe(sockets.length);
});

test("WebSockets are told that the program ends", async () => {
  const socket = await openSocket(STEADY[0]);
  const closed = once(socket, "close");
  program.process.kill("SIGTERM");
  expect((await closed)[0]).toBe(1001);
  expect((await once(program.process, "exit"))[0]).toBe(0);
});
