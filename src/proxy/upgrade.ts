import type { ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { createProxyServer, type ProxyServer } from "http-proxy-3";
import type { UpstreamSettings } from "../config/settings.ts";
import { type Allowed, type Denial, deny } from "../policy/decision.ts";
import { toForwardTarget } from "./forward-target.ts";
import type { Gateway, Settled } from "./gateway.ts";
import { beginTurn, contextOf, decideTurn, type Turn, toRecord, toResponseHeaders, withAssertion } from "./handle.ts";
import { buildRequestHeaders } from "./request-headers.ts";
import { renderDenial, respondRaw } from "./respond.ts";

/** Passes upgraded connections through, decided like any other request. */
export type UpgradeForwarder = (request: IncomingMessage, socket: Socket, head: Buffer, gateway: Gateway) => void;

/** Whether a request may become another protocol. Others, such as h2c, are answered as plain HTTP/1.1. */
export function isUpgrade(request: IncomingMessage): boolean {
  return request.method === "GET" && request.headers.upgrade?.toLowerCase() === "websocket";
}

/** `open` holds every socket from its upgrade request to its close, so that a drain can end them. */
export function createUpgradeForwarder(settings: UpstreamSettings, open: Set<Socket>): UpgradeForwarder {
  const proxy = createProxyServer({ target: toTarget(settings), ignorePath: true, prependPath: false });
  return (request, socket, head, gateway) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    // A reset is reported by "close" as well; unheard it would end the process.
    socket.on("error", () => {});
    const turn = beginTurn(request, gateway);
    const settle = (decision: Settled) => conclude(turn, decision, proxy, request, socket, head);
    const decision = gateway.isDraining() ? deny("draining") : decideTurn(turn, request);
    if (decision instanceof Promise) decision.then(settle);
    else settle(decision);
  };
}

function toTarget(settings: UpstreamSettings) {
  const { protocol, hostname, port } = new URL(settings.origin);
  return {
    protocol,
    hostname,
    host: hostname,
    port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port),
    ...(settings.socketPath === undefined ? {} : { socketPath: settings.socketPath }),
    ...(settings.ca === undefined ? {} : { ca: settings.ca }),
  };
}

function conclude(
  turn: Turn,
  decision: Settled,
  proxy: ProxyServer,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
): void {
  try {
    if (decision.kind === "deny") refuse(turn, decision, socket);
    else tunnel(turn, decision, proxy, request, socket, head);
  } catch (error) {
    refuse(turn, deny("internal_error", { detail: String(error) }), socket);
  }
}

function refuse(turn: Turn, denial: Denial, socket: Socket): void {
  const answer = renderDenial(denial, turn.requestId, turn.generation, turn.gateway.clock.now());
  turn.gateway.observer.record(toRecord(turn, denial, answer.status, "complete", ""));
  respondRaw(answer, socket);
}

function tunnel(
  turn: Turn,
  permit: Allowed,
  proxy: ProxyServer,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
): void {
  const { arrival, generation, requestId } = turn;
  const built = buildRequestHeaders(request.rawHeaders, permit, arrival.origin, arrival.peer, requestId, generation);
  if (built.kind === "invalid" || built.framing.kind !== "none") {
    // Node does not parse a body here: its bytes would travel as the first of the other protocol.
    const detail = built.kind === "invalid" ? built.problem : "an upgrade with a body";
    refuse(turn, deny("request_invalid", { ...contextOf(permit), detail }), socket);
    return;
  }
  const target = toForwardTarget(arrival.facts.target, permit.route, generation.configuration.policy);
  const headers = toHeaderObject(built.headers);
  const fail = (denial: Denial) => refuse(turn, denial, socket);
  withAssertion(turn, permit, built.headers, send, fail);

  function send(): void {
    const writtenBefore = socket.bytesWritten;
    request.headers = headers;
    // `ws` makes its request, and so emits this, before it returns.
    proxy.once("proxyReqWs", (outgoing: ClientRequest) => prepare(turn, permit, outgoing, target, socket));
    proxy.ws(request, socket, head, {}, (error) => {
      if (socket.bytesWritten > writtenBefore || socket.destroyed) return;
      fail(deny("upstream_unreachable", { ...contextOf(permit), detail: String(error) }));
    });
  }
}

/** Sets the exact bytes of the path, and reports the exchange from what the upstream answers. */
function prepare(turn: Turn, permit: Allowed, outgoing: ClientRequest, target: string, socket: Socket): void {
  outgoing.path = target;
  const { observer } = turn.gateway;
  outgoing.prependListener("upgrade", (answer: IncomingMessage) => {
    const added = toResponseHeaders(turn, permit);
    for (let index = 0; index < added.length; index += 2) {
      answer.headers[(added[index] ?? "").toLowerCase()] = added[index + 1];
    }
    socket.once("close", () => observer.record(toRecord(turn, permit, 101, "complete", "")));
  });
  outgoing.prependListener("response", (answer: IncomingMessage) => {
    observer.record(toRecord(turn, permit, answer.statusCode ?? 0, "complete", "the upstream refused the upgrade"));
  });
}

function toHeaderObject(headers: readonly string[]): Record<string, string> {
  const object: Record<string, string> = { connection: "Upgrade", upgrade: "websocket" };
  for (let index = 0; index < headers.length; index += 2) {
    const name = (headers[index] ?? "").toLowerCase();
    const value = headers[index + 1] ?? "";
    const earlier = object[name];
    // RFC 9110 §5.3 joins repeated lines with commas; only cookies join with semicolons (RFC 6265 §5.4).
    object[name] = earlier === undefined ? value : `${earlier}${name === "cookie" ? "; " : ", "}${value}`;
  }
  return object;
}
