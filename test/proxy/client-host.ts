import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { ListenSettings } from "../../src/config/settings.ts";
import { parseAddress } from "../../src/policy/network.ts";
import { createBurst } from "../../src/proxy/burst.ts";
import { ClientConnection, type ConnectionHost } from "../../src/proxy/client-connection.ts";
import type { ClientExchange } from "../../src/proxy/client-exchange.ts";

/** Client connections over real sockets, with a clock of the test's and a data plane that is one function. */
export interface ClientHost {
  readonly connections: ReadonlySet<ClientConnection>;
  readonly open: () => Promise<Client>;
  /** Lets time pass, and looks at every connection for having taken too long. */
  readonly pass: (ms: number) => void;
  readonly close: () => Promise<void>;
}

/** One client: what it sends, and all it has received. */
export interface Client {
  readonly socket: Socket;
  readonly send: (text: string) => void;
  readonly received: () => string;
  readonly closed: Promise<unknown>;
  /** Resolves when what was received fits; the test's own time is the deadline. */
  readonly until: (fits: (received: string) => boolean) => Promise<void>;
}

const SETTINGS: ListenSettings = {
  address: { kind: "tcp", host: "127.0.0.1", port: 0 },
  tls: undefined,
  trustedProxies: { address: undefined, scheme: undefined, host: undefined },
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 0,
  bodyIdleTimeoutMs: 30_000,
  idleTimeoutMs: 5_000,
  maxConnections: 100,
  maxHeaderBytes: 16 * 1024,
  maxHeaders: 100,
  maxBodyBytes: undefined,
};

export async function startClientHost(
  request: (exchange: ClientExchange) => void,
  settings: Partial<ListenSettings> = {},
): Promise<ClientHost> {
  const address = parseAddress("127.0.0.1");
  if (address === undefined) throw new Error("no address");
  const connections = new Set<ClientConnection>();
  let nowMs = 0;
  const host: ConnectionHost = {
    settings: () => ({ ...SETTINGS, ...settings }),
    elapsed: () => nowMs,
    write: createBurst(setImmediate),
    httpDate: () => "now",
    keepAliveLines: () => "Connection: keep-alive\r\n",
    request,
    refusal: (reason) => `HTTP/1.1 400 ${reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    closed: (connection) => void connections.delete(connection),
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(new ClientConnection(socket, { address, encrypted: false }, host));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  if (typeof bound !== "object" || bound === null) throw new Error("the host has no address");
  return {
    connections,
    open: async () => {
      const socket = connect(bound.port, "127.0.0.1");
      const accepted = once(server, "connection");
      await once(socket, "connect");
      await accepted;
      return toClient(socket);
    },
    pass: (ms) => {
      nowMs += ms;
      for (const connection of connections) connection.sweep(nowMs);
    },
    close: async () => {
      for (const { socket } of connections) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function toClient(socket: Socket): Client {
  let received = "";
  socket.setNoDelay(true);
  socket.setEncoding("latin1").on("data", (text: string) => {
    received += text;
  });
  // A reset is reported by "close" as well.
  socket.on("error", () => {});
  const closed = once(socket, "close");
  return {
    socket,
    closed,
    send: (text) => void socket.write(text, "latin1"),
    received: () => received,
    until: async (fits) => {
      while (!fits(received)) await Promise.race([once(socket, "data"), closed.then(() => expectMore(received))]);
    },
  };
}

function expectMore(received: string): never {
  throw new Error(`closed after ${JSON.stringify(received.slice(-200))}`);
}
