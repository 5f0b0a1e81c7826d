import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { createFolder, type Folder, type Program, startProgram } from "../e2e/harness.ts";
import { credentialOf, DOOMED, keysYaml, mainYaml } from "./deployment.ts";
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

test("WebSockets that a reload ended are closed for good, and each is logged once", async () => {
  const sockets = await Promise.all(DOOMED.flatMap((id) => [openSocket(id), openSocket(id)]));
  expect(await openInMetrics()).toBe(String(sockets.length));
  const closed = Promise.all(sockets.map((socket) => once(socket, "close")));
  await writeFile(join(folder.path, "keys.yaml"), keysYaml(2, DOOMED.length));
  expect((await closed).map(([code]) => code)).toEqual(sockets.map(() => 1008));
  await expect.poll(openInMetrics).toBe("0");
  const ended = () => program.lines.filter((line) => line["ending"] === "ended").length;
  await expect.poll(ended).toBe(sockets.length);
});
