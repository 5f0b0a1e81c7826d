import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createFolder,
  type Folder,
  type Program,
  type RawUpstream,
  startProgram,
  startRawUpstream,
} from "./harness.ts";

const CONFIG = (upstreamUrl: string) => `
upstream: ${upstreamUrl}
routes:
  - { match: "GET /", public: true }
keys: []
admin: { probes: { app: /healthz } }
`;

describe("GET /probe/<name>", () => {
  let statusLine = "";
  let folder: Folder;
  let program: Program;
  let app: RawUpstream;

  beforeAll(async () => {
    // Node's own server sends no such status.
    app = await startRawUpstream((socket) => {
      socket.once("data", () => socket.end(`HTTP/1.1 ${statusLine}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`));
    });
    folder = await createFolder();
    program = await startProgram(await folder.write("latchkey.yaml", CONFIG(app.url)));
  });
  afterAll(async () => {
    await program.stop();
    app.close();
    await folder.remove();
  });

  test.each([
    ["200 OK", 200],
    ["204 No Content", 204],
    ["503 Unavailable", 503],
    ["599 X", 599],
    ["000 X", 502],
    ["099 X", 502],
    ["101 Switching Protocols", 502],
    ["600 X", 502],
    ["999 X", 502],
  ])("answers for an app that says %s", async (line, expected) => {
    statusLine = line;
    const answer = await fetch(`${program.adminUrl}/probe/app`);
    expect(answer.status).toBe(expected);
    expect((await fetch(`${program.adminUrl}/livez`)).status).toBe(200);
  });
});
