import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ListenSettings, SocketAddress } from "../config/settings.ts";
import { type DenialReason, deny } from "../policy/decision.ts";
import type { AccessRecord } from "../telemetry/access-record.ts";
import type { Gateway } from "./gateway.ts";
import { handle } from "./handle.ts";
import { peerOf } from "./request-facts.ts";
import { renderDenial, respondRaw } from "./respond.ts";
import { isUpgrade, type UpgradeForwarder } from "./upgrade.ts";

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
  /** Takes no new connection, and closes those with nothing in flight. */
  readonly stop: () => void;
  readonly openConnections: () => Promise<number>;
  readonly destroy: () => void;
}

/** Opens the listener; rejects with the system's error when the address cannot be had. */
export async function openListener(
  settings: ListenSettings,
  tls: TlsMaterial | undefined,
  gateway: Gateway,
  upgrade: () => UpgradeForwarder,
): Promise<Listener> {
  const options: ServerOptions = {
    maxHeaderSize: settings.maxHeaderBytes,
    insecureHTTPParser: false,
    requireHostHeader: true,
    // Node looks for connections past their timeouts this often; its default of 30 s would stretch them.
    connectionsCheckingInterval: 1000,
    shouldUpgradeCallback: isUpgrade,
  };
  const server =
    tls === undefined ? createServer(options) : createTlsServer({ ...options, ...tls, minVersion: "TLSv1.2" });
  const retune = (tuned: ListenSettings): void => {
    server.headersTimeout = tuned.headersTimeoutMs;
    server.requestTimeout = tuned.requestTimeoutMs;
    server.keepAliveTimeout = tuned.idleTimeoutMs;
    server.maxConnections = tuned.maxConnections;
  };
  retune(settings);
  // 0 is no limit: the lines are counted where a surplus is refused instead of dropped unseen.
  server.maxHeadersCount = 0;
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => handle(request, response, gateway);
  server.on("request", onRequest);
  server.on("checkContinue", onRequest);
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    upgrade()(request, socket as Socket, head, gateway),
  );
  server.on("connect", (_: IncomingMessage, socket: Duplex) => {
    // Pipelined behind a request that is being answered: nothing may be written before that answer.
    if (peerOf(socket as Socket).inFlight > 0) socket.destroy();
    else refuseRaw("request_invalid", "CONNECT", socket, gateway);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => onClientError(error, socket, gateway));
  await listenSomewhere(server, settings.address);
  return {
    address: addressOf(server, settings.address),
    retune,
    renewTls: (material) => {
      if (server instanceof TlsServer) server.setSecureContext(material);
    },
    stop: () => {
      server.close();
      server.closeIdleConnections();
    },
    openConnections: () => new Promise((resolve) => server.getConnections((_, count) => resolve(count ?? 0))),
    destroy: () => server.closeAllConnections(),
  };
}

/** On a machine without IPv6, every address means every IPv4 address. */
async function listenSomewhere(server: Server | TlsServer, address: SocketAddress): Promise<void> {
  try {
    await listen(server, address);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const lacksIpv6 = code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL";
    if (!lacksIpv6 || address.kind !== "tcp" || address.host !== "::") throw error;
    await listen(server, { ...address, host: "0.0.0.0" });
  }
}

async function listen(server: Server | TlsServer, address: SocketAddress): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    const listening = () => {
      server.off("error", reject);
      resolve();
    };
    if (address.kind === "unix") server.listen({ path: address.path }, listening);
    else server.listen({ host: address.host, port: address.port, backlog: 1024 }, listening);
  });
}

function addressOf(server: Server | TlsServer, asked: SocketAddress): SocketAddress {
  const bound = server.address();
  return typeof bound === "object" && bound !== null && asked.kind === "tcp" ? { ...asked, port: bound.port } : asked;
}

const PARSE_FAILURES: ReadonlyMap<string, DenialReason> = new Map([
  ["HPE_HEADER_OVERFLOW", "headers_too_large"],
  ["HPE_CHUNK_EXTENSIONS_OVERFLOW", "headers_too_large"],
  ["ERR_HTTP_REQUEST_TIMEOUT", "request_timeout"],
]);

/** Bytes that are no request get one answer and the end of the connection; what followed them is never read. */
function onClientError(error: NodeJS.ErrnoException, socket: Duplex, gateway: Gateway): void {
  const { inFlight, latest } = peerOf(socket as Socket);
  // An answer to an earlier request may be half written, or this be the rest of a body that was answered
  // before it came: a second answer would be taken for that of the next request.
  if (inFlight > 0 || latest?.complete === false || !socket.writable || error.code === "ECONNRESET") socket.destroy();
  else refuseRaw(PARSE_FAILURES.get(error.code ?? "") ?? "request_invalid", error.message, socket, gateway);
}

function refuseRaw(reason: DenialReason, detail: string, socket: Duplex, gateway: Gateway): void {
  try {
    refuseUnread(reason, detail, socket, gateway);
  } catch {
    // Whatever broke, the connection ends: half an answer, or none, but nothing more is read from it.
    (socket as Socket).destroySoon();
  }
}

function refuseUnread(reason: DenialReason, detail: string, socket: Duplex, gateway: Gateway): void {
  const generation = gateway.current();
  const requestId = gateway.createRequestId();
  const answer = renderDenial(deny(reason, { detail }), requestId, generation, gateway.clock.now());
  const record: AccessRecord = {
    requestId,
    method: "",
    path: "",
    route: undefined,
    keyId: undefined,
    tenant: undefined,
    clientAddress: peerOf(socket as Socket).address.text,
    decision: "deny",
    reason,
    detail,
    status: answer.status,
    ending: "complete",
    durationMs: 0,
    revision: generation.configuration.policy.revision,
  };
  respondRaw(answer, socket);
  gateway.observer.record(record);
}
