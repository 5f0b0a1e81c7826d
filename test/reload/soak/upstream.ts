import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { WebSocketServer } from "ws";

/** An upstream that can be taken away and come back on the same port. */
export interface SoakUpstream {
  readonly url: string;
  /** Ends every WebSocket by the end of its connection alone. */
  readonly endSockets: () => void;
  readonly restart: (downMs: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

// A stream lasts longer than an ordinary request may go on with a revoked key.
const EVENTS = 15;
const EVENT_EVERY_MS = 150;

/** What a stream holds when it is whole. */
export const WHOLE_STREAM = "data: tick\n\n".repeat(EVENTS);

export async function startSoakUpstream(): Promise<SoakUpstream> {
  let running = await open(0);
  const bound = running.http.address();
  if (typeof bound !== "object" || bound === null) throw new Error("the upstream has no address");
  return {
    url: `http://127.0.0.1:${bound.port}`,
    endSockets: () => {
      for (const connection of running.upgraded) connection.end();
    },
    restart: async (downMs) => {
      await shut(running);
      await pause(downMs);
      running = await open(bound.port);
    },
    close: () => shut(running),
  };
}

interface Running {
  readonly http: Server;
  readonly sockets: WebSocketServer;
  readonly upgraded: ReadonlySet<Duplex>;
}

async function open(port: number): Promise<Running> {
  const http = createServer((request, response) => void answer(request, response));
  const sockets = new WebSocketServer({ server: http });
  sockets.on("connection", (socket, request) => {
    socket.on("error", () => {});
    socket.on("message", (data) => socket.send(String(data)));
    socket.send(JSON.stringify(generationsOf(request)));
  });
  const upgraded = new Set<Duplex>();
  http.on("upgrade", (_, connection) => {
    upgraded.add(connection);
    connection.on("close", () => upgraded.delete(connection));
  });
  http.listen(port, "127.0.0.1");
  await once(http, "listening");
  return { http, sockets, upgraded };
}

async function shut({ http, sockets }: Running): Promise<void> {
  const closed = once(http, "close");
  for (const socket of sockets.clients) socket.terminate();
  sockets.close();
  http.close();
  http.closeAllConnections();
  await closed;
}

/** Which generations of the files vouched for the request. */
function generationsOf({ headers }: IncomingMessage) {
  return { main: Number(headers["x-main-generation"]), keys: Number(headers["x-keys-generation"]) };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { main, keys } = generationsOf(request);
  const fields = { "x-main": main, "x-keys": keys };
  if (request.url === "/stream") {
    response.writeHead(200, { ...fields, "content-type": "text/event-stream" });
    for (let event = 0; event < EVENTS && !response.destroyed; event += 1) {
      response.write("data: tick\n\n");
      await pause(EVENT_EVERY_MS);
    }
    response.end();
    return;
  }
  let bytes = 0;
  request.on("error", () => {});
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on("end", () => {
    response.writeHead(200, { ...fields, "content-type": "text/plain" });
    response.end(String(bytes));
  });
}
