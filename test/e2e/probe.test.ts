import { type AddressInfo, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, type Folder, type Program, startProgram } from "./harness.ts";

describe("GET /probe/<name>", () => {
  let statusLine = "";
  let folder: Folder;
  let program: Program;
  // The app as a test needs it: Node's own server sends no such status.
  const app = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end(`HTTP/1.1 ${statusLine}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`));
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
    folder = await createFolder();
    program = await startProgram(await folder.write("latchkey.yaml", configFor(app.address())));
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

function configFor(address: AddressInfo | string | null): string {
  if (typeof address !== "object" || address === null) throw new Error("the app has no address");
  return `
upstream: http://127.0.0.1:${address.port}
routes:
  - { match: "GET /", public: true }
keys: []
admin: { probes: { app: /healthz } }
`;
}
