import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, Server as TlsServer } from "node:tls";
import type { ListenSettings, SocketAddress } from "../config/settings.ts";
import { toOneString } from "../http1/kept-text.ts";
import { type DenialReason, deny } from "../policy/decision.ts";
import type { AccessRecord } from "../telemetry/access-record.ts";
import { createBurst } from "./burst.ts";
import type { Peer } from "./client-address.ts";
import { ClientConnection, type ConnectionHost } from "./client-connection.ts";
import type { Clock, Timer } from "./clock.ts";
import { codeOf } from "./forward-failure.ts";
import type { Gateway } from "./gateway.ts";
import { handle } from "./handle.ts";
import { listen } from "./listen.ts";
import { toPeer } from "./request-facts.ts";
import { renderDenial, toRawAnswer } from "./respond.ts";
import { type Entry, NOT_LISTED, Roster } from "./roster.ts";

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
}

/** The data-plane listener. */
export interface Listener {
  /** Where it really listens; the port is known even if 0 was asked for. */
  readonly address: SocketAddress;
  /** Takes up timeouts and the connection limit of a reloaded config. */
  readonly retune: (settings: ListenSettings) => void;
  /** New handshakes get the new certificate; connections that exist keep theirs. */
  readonly renewTls: (material: TlsMaterial) => void;
  /** Takes no new connection, and closes those with nothing in flight; called again, those that have come to that. */
  readonly stop: () => void;
  readonly openConnections: () => Promise<number>;
  readonly destroy: () => void;
}

/**
 * Opens the listener; rejects with the system's error when the address cannot be had. `shared` lets other threads
 * listen at the same address: the kernel gives each new connection to one of them.
 */
export async function openListener(
  settings: ListenSettings,
  tls: TlsMaterial | undefined,
  gateway: Gateway,
  clock: Clock,
  shared = false,
): Promise<Listener> {
  const connections = new Roster<ClientConnection>();
  let tuned = settings;
  const host = createHost(() => tuned, gateway, connections, clock);
  const accept = (socket: Socket): void => {
    try {
      connections.add(new ClientConnection(socket, toPeer(socket), host));
    } catch {
      socket.destroy();
    }
  };
  // A client that ends its side is answered for by the connection, which knows what was under way. Not so with TLS:
  // Node would leave the socket beneath half open for good, and a drain would wait for it.
  const server =
    tls === undefined
      ? createServer({ allowHalfOpen: true }, accept)
      : createTlsServer(
          {
            ...{ ...tls, minVersion: "TLSv1.2", ALPNProtocols: ["http/1.1"] },
            handshakeTimeout: settings.headersTimeoutMs,
          },
          accept,
        );
  // With TLS these are the sockets beneath, which are there before a handshake has made connections of them.
  const sockets = new Roster<Entry & { readonly socket: Socket }>();
  server.on("connection", (socket: Socket) => {
    const entry = { socket, place: NOT_LISTED };
    sockets.add(entry);
    socket.on("close", () => sockets.remove(entry));
  });
  // A handshake that fails is the client's affair; its socket is closed by Node, save for one that takes too long.
  server.on("tlsClientError", (error: Error, socket: Socket) => {
    if (codeOf(error) === "ERR_TLS_HANDSHAKE_TIMEOUT") socket.destroy();
  });
  const retune = (next: ListenSettings): void => {
    tuned = next;
    server.maxConnections = next.maxConnections;
  };
  retune(settings);
  await listenSomewhere(server, settings.address, shared);
  const sweep = startSweep(connections, clock);
  return {
    address: addressOf(server, settings.address),
    retune,
    renewTls: (material) => {
      if (server instanceof TlsServer) server.setSecureContext(material);
    },
    stop: () => {
      if (server.listening) server.close(() => sweep.cancel());
      for (const connection of connections.list()) if (connection.isIdle) connection.socket.destroy();
    },
    openConnections: () => new Promise((resolve) => server.getConnections((_, count) => resolve(count ?? 0))),
    destroy: () => {
      for (const { socket } of sockets.list()) socket.destroy();
    },
  };
}

function createHost(
  settings: () => ListenSettings,
  gateway: Gateway,
  connections: Roster<ClientConnection>,
  clock: Clock,
): ConnectionHost {
  let keepAliveMs = Number.NaN;
  let keepAliveLines = "";
  return {
    settings,
    elapsed: clock.elapsed,
    write: createBurst(clock.afterPass),
    httpDate: clock.httpDate,
    keepAliveLines: () => {
      const { idleTimeoutMs } = settings();
      if (idleTimeoutMs !== keepAliveMs) {
        keepAliveMs = idleTimeoutMs;
        keepAliveLines = toOneString(
          `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(idleTimeoutMs / 1000)}\r\n`,
        );
      }
      return keepAliveLines;
    },
    request: (exchange) => handle(exchange, gateway),
    refusal: (reason, detail, peer) => refuseUnread(reason, detail, peer, gateway),
    closed: (connection) => void connections.remove(connection),
  };
}

// A connection is looked at this often for having taken too long; every timeout may be late by as much.
const SWEEP_MS = 250;

function startSweep(connections: Roster<ClientConnection>, clock: Clock): Timer {
  let timer: Timer | undefined;
  const sweep = (): void => {
    const nowMs = clock.elapsed();
    for (const connection of connections.list()) {
      try {
        connection.sweep(nowMs);
      } catch {
        connection.socket.destroy();
      }
    }
    timer = clock.after(SWEEP_MS, sweep);
  };
  sweep();
  return { cancel: () => timer?.cancel() };
}

/** On a machine without IPv6, every address means every IPv4 address. */
async function listenSomewhere(server: Server, address: SocketAddress, shared: boolean): Promise<void> {
  try {
    await listen(server, address, shared);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const lacksIpv6 = code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL";
    if (!lacksIpv6 || address.kind !== "tcp" || address.host !== "::") throw error;
    await listen(server, { ...address, host: "0.0.0.0" }, shared);
  }
}

function addressOf(server: Server, asked: SocketAddress): SocketAddress {
  const bound = server.address();
  return typeof bound === "object" && bound !== null && asked.kind === "tcp" ? { ...asked, port: bound.port } : asked;
}

/** The answer to what is no request, and its record. */
function refuseUnread(reason: DenialReason, detail: string, peer: Peer, gateway: Gateway): string {
  const generation = gateway.current();
  const requestId = gateway.createRequestId();
  const answer = renderDenial(deny(reason, { detail }), requestId, generation, gateway.clock.now);
  const record: AccessRecord = {
    requestId,
    method: "",
    path: "",
    route: undefined,
    keyId: undefined,
    tenant: undefined,
    clientAddress: peer.address.text,
    decision: "deny",
    reason,
    detail,
    status: answer.status,
    ending: "complete",
    durationMs: 0,
    revision: generation.configuration.policy.revision,
  };
  try {
    gateway.observer.record(record);
  } catch {
    // There is nobody left to tell.
  }
  return toRawAnswer(answer);
}
