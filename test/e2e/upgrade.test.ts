import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createFolder,
  exchangeBytes,
  type Folder,
  type Program,
  parseResponse,
  type RawUpstream,
  sha256Of,
  startProgram,
  startRawUpstream,
} from "./harness.ts";

const KEY = "lk_11111111111111111111111111111111";
const REVOKED = "lk_22222222222222222222222222222222";
const UPGRADE = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${"A".repeat(22)}==\r\nSec-WebSocket-Version: 13\r\n`;
const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
const MAX_UPSTREAM = 3;
const RESPONSE_MS = 1_500;
const MEGABYTE = Buffer.alloc(1024 * 1024, "x");

const keys = (status: string) => `keys:
  - { id: one, hash: "${sha256Of(KEY)}" }
  - { id: two, hash: "${sha256Of(REVOKED)}", status: ${status} }
`;

/** What an app that speaks no WebSocket, or speaks it badly, says to an upgrade; by the path it is asked at. */
const APP: Readonly<Record<string, (socket: Socket, early: Buffer) => void>> = {
  "/echo": (socket, early) => {
    socket.pause();
    // Only once the client has sent more than is kept for it.
    setTimeout(() => {
      socket.write(`${SWITCHED}\r\n`);
      socket.write(early);
      socket.pipe(socket);
    }, 200);
  },
  "/switch": (socket) => socket.write(`${SWITCHED}\r\n`),
  "/silent": () => {},
  "/stream": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    const timer = setInterval(() => socket.write("5\r\nevent\r\n"), 50);
    socket.on("close", () => clearInterval(timer));
  },
  "/large": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\n");
    const more = (): void => {
      while (socket.write(MEGABYTE));
    };
    socket.on("drain", more);
    more();
  },
  "/hints": (socket) => {
    const timer = setInterval(() => socket.write("HTTP/1.1 102 Processing\r\n\r\n"), 20);
    socket.on("close", () => clearInterval(timer));
  },
  "/h2c": (socket) => socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
  "/unnamed": (socket) => socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
  "/two": (socket) => socket.write(`${SWITCHED}Upgrade: h2c\r\n\r\n`),
  "/000": (socket) => socket.write("HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"),
  "/099": (socket) => socket.write("HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n"),
  "/length": (socket) => socket.write(`${SWITCHED}Content-Length: 5\r\nX-Raw: \xff\r\n\r\nfirst`, "latin1"),
};

let app: RawUpstream;
let folder: Folder;
let program: Program;

beforeAll(async () => {
  app = await startRawUpstream((socket) => {
    socket.once("data", (head: Buffer) => {
      const early = head.subarray(head.indexOf("\r\n\r\n") + 4);
      APP[head.toString("latin1").split(" ")[1] ?? ""]?.(socket, early);
    });
  });
  folder = await createFolder();
  await folder.write("keys.yaml", keys("active"));
  program = await startProgram(
    await folder.write(
      "latchkey.yaml",
      `upstream:
  url: ${app.url}
  maxConnections: ${MAX_UPSTREAM}
  maxQueue: 0
  timeouts: { response: ${RESPONSE_MS}ms, idle: 20s }
listen: { timeouts: { headers: 1s, idle: 1s } }
routes: [{ match: "* /**", authenticated: true }]
limits: { failures: 1000000/minute }
keys: keys.yaml
`,
    ),
  );
});
afterAll(async () => {
  await program.stop();
  app.close();
  await folder.remove();
});

const headOf = (path: string, key: string | undefined = KEY): string =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\n${key === undefined ? "" : `X-API-Key: ${key}\r\n`}${UPGRADE}\r\n`;

/** A client that has asked for an upgrade. It is paused, so that the test says what it reads. */
async function ask(path: string, key?: string): Promise<Socket> {
  const socket = connect({ port: program.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(headOf(path, key));
  return socket;
}

const readSome = (socket: Socket): Promise<string> =>
  once(socket, "data").then(([bytes]) => {
    socket.pause();
    return String(bytes);
  });

/** Whether the program still answers, with the app no busier than before. */
async function expectSound(): Promise<void> {
  await expect.poll(() => app.sockets.size, { timeout: 10_000 }).toBe(0);
  expect(program.process.exitCode).toBeNull();
  expect(program.stderr()).toBe("");
  expect(
    parseResponse(await exchangeBytes(program.port, headOf("/length"), (text) => text.includes("first"))).status,
  ).toBe(101);
  await expect.poll(() => app.sockets.size, { timeout: 10_000 }).toBe(0);
}

describe("the built program, upgrades of clients and apps that mean no good", () => {
  test.each(["/switch", "/stream", "/large"])("a client that resets %s takes nobody with it", async (path) => {
    for (let round = 0; round < 3; round += 1) {
      const socket = await ask(path);
      await readSome(socket);
      socket.resetAndDestroy();
    }
    await expectSound();
  });

  test.each(["reset", "end"])("nor does one that goes before it was answered: %s", async (leaving) => {
    for (let round = 0; round < 3; round += 1) {
      const socket = await ask("/silent");
      await expect.poll(() => app.sockets.size).toBe(1);
      if (leaving === "reset") socket.resetAndDestroy();
      else socket.end();
      await expect.poll(() => app.sockets.size).toBe(0);
      socket.destroy();
    }
    await expectSound();
  });

  test("nor does an app that resets a WebSocket", async () => {
    const socket = await ask("/switch");
    await readSome(socket);
    const ended = once(socket.resume(), "end");
    for (const upstream of app.sockets) upstream.resetAndDestroy();
    await ended;
    socket.end();
    await expectSound();
  });

  test("a refused client cannot stay: it neither reads nor ends, and is cut", async () => {
    const sockets = await Promise.all(
      Array.from({ length: 10 }, () => ask("/switch", "lk_33333333333333333333333333333333")),
    );
    const closed = Promise.all(sockets.map((socket) => new Promise((resolve) => socket.resume().on("close", resolve))));
    // The client's own side stays open; what it writes into a cut connection is answered by a reset.
    const poking = setInterval(() => sockets.map((socket) => socket.write("x")), 200);
    await closed;
    clearInterval(poking);
    await expectSound();
  }, 15_000);

  test("a stream in answer to an upgrade ends with its key", async () => {
    const socket = await ask("/stream", REVOKED);
    expect(await readSome(socket)).toContain("200 OK");
    const ended = once(socket.resume(), "end");
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await writeFile(join(folder.path, "keys.yaml"), keys("revoked"));
    await ended;
    socket.destroy();
    expect(await program.waitForLine((line) => line["ending"] === "ended")).toMatchObject({ keyId: "two" });
    await expectSound();
  });

  test("a client that does not read makes the app wait, and not the memory grow", async () => {
    const socket = await ask("/large");
    await readSome(socket);
    const [upstream] = app.sockets;
    const written = async (): Promise<number> => {
      const before = upstream?.bytesWritten ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return (upstream?.bytesWritten ?? 0) - before;
    };
    await expect.poll(written, { timeout: 10_000 }).toBe(0);
    // What both kernels hold for these sockets, and a little of ours.
    expect(upstream?.bytesWritten).toBeLessThan(40 * MEGABYTE.length);
    socket.destroy();
    await expectSound();
  });

  test("no more connections to the app than it may have, asked to switch or not", async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, () =>
        exchangeBytes(program.port, headOf("/silent"), (text) => text.includes("\r\n\r\n")),
      ),
    );
    const statuses = answers.map((answer) => parseResponse(answer).status);
    expect(statuses.filter((status) => status === 503)).toHaveLength(12 - MAX_UPSTREAM);
    expect(statuses.filter((status) => status === 504)).toHaveLength(MAX_UPSTREAM);
    await expectSound();
  });

  test("megabytes that a client sends at once come back whole and in order", async () => {
    const sent = Buffer.alloc(4 * MEGABYTE.length);
    for (let at = 0; at < sent.length; at += 4) sent.writeUInt32LE(at, at);
    const socket = await ask("/echo");
    socket.write(sent);
    let received = Buffer.alloc(0);
    const rest = () => received.subarray(received.indexOf("\r\n\r\n") + 4);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
    });
    await expect.poll(() => rest().length).toBe(sent.length);
    expect(rest().equals(sent)).toBe(true);
    socket.destroy();
    await expectSound();
  });

  test("those that did switch leave room for others", async () => {
    const sockets = [];
    for (let count = 0; count < MAX_UPSTREAM * 2; count += 1) {
      const socket = await ask("/switch");
      expect(await readSome(socket)).toContain("101 Switching");
      sockets.push(socket);
    }
    for (const socket of sockets) socket.destroy();
    await expectSound();
  });

  test.each(["/h2c", "/unnamed", "/two", "/000", "/099"])(
    "what is no answer to an upgrade is 502: %s",
    async (path) => {
      const answer = parseResponse(await exchangeBytes(program.port, headOf(path)));
      expect(answer.status).toBe(502);
      await expectSound();
    },
  );

  test("a 101 is passed on byte by byte, without a length, and what came behind it", async () => {
    const answer = await exchangeBytes(program.port, headOf("/length"), (text) => text.endsWith("first"));
    expect(answer).toContain("X-Raw: \xff\r\n");
    expect(answer).toMatch(/\r\nX-Request-Id: /);
    expect(answer.toLowerCase()).not.toContain("content-length");
    await expectSound();
  });
});
