import type { Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testOver } from "../oracle/only-ours.ts";
import {
  createFolder,
  exchangeBytes,
  type Folder,
  type Program,
  parseResponse,
  type RawUpstream,
  startProgram,
  startRawUpstream,
} from "./harness.ts";

const RESPONSE_MS = 800;
const EVERY_MS = 100;
const INTERIM = "HTTP/1.1 102 Processing\r\n\r\n";
const HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
const HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Padding: ";
const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

const CONFIG = (upstreamUrl: string) => `
upstream: { url: "${upstreamUrl}", timeouts: { response: ${RESPONSE_MS}ms, idle: 2s } }
routes: [{ match: "* /**", public: true }]
keys: []
`;

describe("the built program, for an answer that begins and does not come", () => {
  /** What the app sends, piece by piece; the last of them again and again. */
  let pieces: readonly string[] = [];
  let folder: Folder;
  let program: Program;
  let app: RawUpstream;

  beforeAll(async () => {
    app = await startRawUpstream((socket) => void socket.once("data", () => drip(socket, pieces)));
    folder = await createFolder();
    program = await startProgram(await folder.write("latchkey.yaml", CONFIG(app.url)));
  });
  afterAll(async () => {
    await program.stop();
    app.close();
    await folder.remove();
  });

  for (const [name, sent] of [
    ["interim answers without end are no answer in time", [INTERIM]],
    ["hints without end are no answer in time", [HINTS]],
    ["a head that comes byte by byte is no answer in time", [...HEAD, "x"]],
    ["interim answers and then half a head are no answer in time", [INTERIM, INTERIM, HEAD, "x"]],
  ] as const) {
    testOver(name)(name, async () => {
      pieces = sent;
      const startedMs = performance.now();
      const answer = await exchangeBytes(program.port, GET);
      expect(answer).toContain("HTTP/1.1 504 ");
      expect(performance.now() - startedMs).toBeGreaterThan(RESPONSE_MS);
      expect(performance.now() - startedMs).toBeLessThan(3 * RESPONSE_MS);
    });
  }

  test("passes an answer on whose head is in time, however slowly its body comes", async () => {
    pieces = [INTERIM, INTERIM, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", "x"];
    const answer = parseResponse(await exchangeBytes(program.port, GET));
    expect(answer).toMatchObject({ status: 200, body: "x".repeat(12) });
  });
});

function drip(socket: Socket, pieces: readonly string[]): void {
  let index = 0;
  const timer = setInterval(() => {
    socket.write(pieces[Math.min(index, pieces.length - 1)] ?? "");
    index += 1;
  }, EVERY_MS);
  socket.on("close", () => clearInterval(timer));
}
