import { createServer, get as httpGet } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { createFolder, type Folder, type Program, sha256Of, startProgram } from "./harness.ts";

const REVOKED = "lk_11111111111111111111111111111111";
const KEPT = "lk_22222222222222222222222222222222";
const EXPIRING = "lk_33333333333333333333333333333333";

const keysYaml = (status: string, expiresAt = "2999-01-01T00:00:00Z") => `keys:
  - { id: one, hash: "${sha256Of(REVOKED)}", status: ${status} }
  - { id: two, hash: "${sha256Of(KEPT)}" }
  - { id: three, hash: "${sha256Of(EXPIRING)}", expiresAt: "${expiresAt}" }
`;

describe("the built program, when a key stops being valid", () => {
  let upstreamUrl = "";
  let closeUpstream = (): void => {};
  let folder: Folder;
  let program: Program;

  beforeAll(async () => {
    const http = createServer((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: first\n\n");
    });
    const sockets = new WebSocketServer({ server: http });
    sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(String(data))));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const bound = http.address();
    upstreamUrl = `http://127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
    closeUpstream = () => {
      sockets.close();
      http.close();
      http.closeAllConnections();
    };
    folder = await createFolder();
    await folder.write("keys.yaml", keysYaml("active"));
    const config = `upstream: ${upstreamUrl}\nroutes:\n  - { match: "* /**", authenticated: true }\nkeys: keys.yaml\n`;
    program = await startProgram(await folder.write("latchkey.yaml", `${config}drain: { timeout: 1s }\n`));
  });
  afterAll(async () => {
    await program.stop();
    closeUpstream();
    await folder.remove();
  });

  async function openSocket(key: string) {
    const socket = new WebSocket(`ws://127.0.0.1:${program.port}/chat`, { headers: { "X-API-Key": key } });
    await new Promise((resolve, reject) => {
      socket.on("open", resolve);
      socket.on("error", reject);
    });
    const closed = new Promise<number>((resolve) => socket.on("close", resolve));
    return { socket, closed };
  }

  function openStream(key: string) {
    return new Promise<{ readonly broken: Promise<boolean>; readonly cut: () => void }>((resolve) => {
      const request = httpGet(`${program.url}/events`, { headers: { "x-api-key": key }, agent: false }, (response) => {
        const broken = new Promise<boolean>((settle) => response.on("close", () => settle(!response.complete)));
        response.once("data", () => resolve({ broken, cut: () => request.destroy() }));
        response.on("error", () => {});
      });
      request.on("error", () => {});
    });
  }

  test("its WebSockets get a close frame and its event streams end, while others live on", async () => {
    const revoked = await openSocket(REVOKED);
    const kept = await openSocket(KEPT);
    const revokedStream = await openStream(REVOKED);
    const keptStream = await openStream(KEPT);

    await folder.write("keys.yaml", keysYaml("revoked"));
    expect(await revoked.closed).toBe(1008);
    expect(await revokedStream.broken).toBe(true);

    kept.socket.send("still here");
    expect(await new Promise((resolve) => kept.socket.on("message", (data) => resolve(String(data))))).toBe(
      "still here",
    );
    const ended = () => program.lines.filter((line) => line["ending"] === "ended").map((line) => line["keyId"]);
    await expect.poll(ended, { timeout: 8_000 }).toEqual(["one", "one"]);
    kept.socket.close();
    keptStream.cut();
  });

  test("its WebSocket is closed when its time comes, without any reload", async () => {
    const soon = new Date(Date.now() + 2_000).toISOString();
    const before = program.lines.length;
    await folder.write("keys.yaml", keysYaml("revoked", soon));
    await program.waitForLine((line) => line["msg"] === "policy reloaded" && program.lines.indexOf(line) >= before);
    const { closed } = await openSocket(EXPIRING);
    expect(await closed).toBe(1008);
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(soon));
  });
});
