import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createFolder,
  type Folder,
  type Program,
  parseResponse,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "./harness.ts";

const KEY = "lk_5113ntb0dy5113ntb0dy5113ntb0dy";
const SILENCE_MS = 400;

const LARGE = 16 * 1024 * 1024;
const HEAD = `POST /upload HTTP/1.1\r\nHost: a\r\nX-API-Key: ${KEY}\r\n`;

const CONFIG = (upstreamUrl: string) => `
upstream: ${upstreamUrl}
listen: { timeouts: { body: ${SILENCE_MS}ms, idle: 2s } }
routes: [{ match: "* /**", authenticated: true }]
keys: [{ id: pos, hash: "${sha256Of(KEY)}" }]
`;

describe("the built program, for a body that falls silent", () => {
  let upstream: Upstream;
  let folder: Folder;
  let program: Program;

  beforeAll(async () => {
    upstream = await startUpstream((request, response, body) => response.end(`${request.url} got ${body.length}`));
    folder = await createFolder();
    program = await startProgram(await folder.write("latchkey.yaml", CONFIG(upstream.url)));
  });
  afterAll(async () => {
    await program.stop();
    await upstream.close();
    await folder.remove();
  });

  test.for([
    ["before its first byte", `${HEAD}Content-Length: 10\r\n\r\n`],
    ["in the middle", `${HEAD}Content-Length: 10\r\n\r\n12345`],
    ["between chunks", `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n`],
    ["inside a chunk", `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n123`],
    ["after its last chunk", `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n`],
  ] as const)("answers 408 and ends the connection when the silence falls %s", async ([, bytes]) => {
    const startedMs = performance.now();
    const { received, closed } = openClient(program.port, bytes);
    await closed;
    const answer = parseResponse(received());
    expect(answer.status).toBe(408);
    expect(answer.body).toContain("request_timeout");
    expect(answer.values("connection")).toEqual(["close"]);
    expect(performance.now() - startedMs).toBeGreaterThan(SILENCE_MS);
    const requestId = answer.values("x-request-id")[0];
    const line = await program.waitForLine((candidate) => candidate["requestId"] === requestId);
    expect(line).toMatchObject({ reason: "request_timeout", status: 408, keyId: "pos" });
    // What was not whole never was a request to the app.
    expect(upstream.requests).toEqual([]);
  });

  test("lets an upload live as long as it makes progress, however slow it is in all", async () => {
    const { socket, received } = openClient(program.port, `${HEAD}Content-Length: 12\r\n\r\n`);
    // No event can be waited for: that time passes between the bytes is what is tested.
    for (let index = 0; index < 12; index += 1) {
      await pause(SILENCE_MS / 4);
      socket.write("x");
    }
    await expect.poll(received, { timeout: 5000 }).toContain("/upload got 12");
    socket.destroy();
  });

  test("ends the connection of a refused request whose body never comes after the time of an unused one", async () => {
    const { received, closed } = openClient(
      program.port,
      `${HEAD.replace(KEY, "lk_0f-n0b0dy-0f-n0b0dy")}Content-Length: 10\r\n\r\n`,
    );
    await closed;
    expect(parseResponse(received()).status).toBe(401);
    expect(received().split("HTTP/1.1 ")).toHaveLength(2);
  });
});

describe("the built program, for a body that is silent for a reason", () => {
  /** Starts the program in front of an app that does as it likes, and sends it a POST. */
  async function post(app: RequestListener, length: number, use: (line: Client) => Promise<void>): Promise<void> {
    const folder = await createFolder();
    const server = createServer(app);
    await once(server.listen(0, "127.0.0.1"), "listening");
    const bound = server.address();
    const port = typeof bound === "object" ? bound?.port : undefined;
    const program = await startProgram(await folder.write("latchkey.yaml", CONFIG(`http://127.0.0.1:${port}`)));
    const client = openClient(program.port, `${HEAD}Content-Length: ${length}\r\n\r\n`);
    await use(client);
    client.socket.destroy();
    await program.stop();
    server.close();
    await folder.remove();
  }

  test("leaves it alone while its answer is under way: that silence is the app's affair", async () => {
    const echo: RequestListener = (request, response) => {
      response.writeHead(200).write("begun ");
      request.on("data", (chunk: Buffer) => response.write(chunk));
      request.on("end", () => response.end(" ended"));
    };
    await post(echo, 6, async ({ socket, received }) => {
      socket.write("abc");
      await expect.poll(received, { timeout: 5000 }).toContain("abc");
      await pause(SILENCE_MS * 3);
      socket.write("def");
      await expect.poll(received, { timeout: 5000 }).toMatch(/def[\s\S]* ended/);
    });
  });

  test("leaves it alone while the app does not read, however long that takes", async () => {
    const late: RequestListener = (request, response) => {
      let bytes = 0;
      setTimeout(
        () =>
          request.on("data", (chunk: Buffer) => {
            bytes += chunk.length;
          }),
        SILENCE_MS * 3,
      );
      request.on("end", () => response.end(`got ${bytes}`));
    };
    await post(late, LARGE, async ({ socket, received }) => {
      socket.write("x".repeat(LARGE));
      await expect.poll(received, { timeout: 10_000 }).toContain(`got ${LARGE}`);
    });
  });
});

/** A connection on which a test writes when it wants to. */
interface Client {
  readonly socket: Socket;
  readonly received: () => string;
  readonly closed: Promise<unknown>;
}

function openClient(port: number, bytes: string): Client {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let received = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    received += text;
  });
  socket.on("error", () => {});
  const closed = once(socket, "close");
  socket.write(bytes, "latin1");
  return { socket, received: () => received, closed };
}
