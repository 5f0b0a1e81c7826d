import { type ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { createProxyServer, type ProxyServer } from "http-proxy-3";
import type { UpstreamSettings } from "../config/settings.ts";
import { type FieldText, toFieldLines } from "../http1/fields.ts";
import type { RequestHead } from "../http1/request-head.ts";
import { readFraming } from "../http1/response-head.ts";
import { type Allowed, type Denial, deny } from "../policy/decision.ts";
import type { AccessRecord } from "../telemetry/access-record.ts";
import { denyBroken } from "./authorize.ts";
import type { Peer } from "./client-address.ts";
import { describe, toFailure } from "./forward-failure.ts";
import { toForwardTarget } from "./forward-target.ts";
import type { Gateway, Settled } from "./gateway.ts";
import { buildRequestFields } from "./request-headers.ts";
import { renderDenial, toRawAnswer } from "./respond.ts";
import { buildResponseFields, toAddedLines } from "./response-headers.ts";
import { NOT_LISTED } from "./roster.ts";
import { beginTurn, decideTurn, denyAfter, findAssertion, record, type Turn, toResponseAdditions } from "./turn.ts";

/** A request to switch protocols, and the connection it came on. */
export interface UpgradeRequest {
  readonly head: RequestHead;
  readonly peer: Peer;
  readonly socket: Socket;
  /** What the client sent behind its request, before it could know the answer. */
  readonly rest: Buffer;
}

/** Passes upgraded connections through, decided like any other request. */
export type UpgradeForwarder = (request: UpgradeRequest, gateway: Gateway) => void;

/** A turn that has only a socket to answer on, and may hand it over to the upstream. */
interface UpgradeTurn extends Turn {
  readonly head: RequestHead;
  readonly socket: Socket;
  readonly rest: Buffer;
  readonly proxy: ProxyServer;
}

// RFC 6455 §5.5.1: a server's close frame, unmasked, with status 1008 (policy violation, §7.4.1).
const CLOSE_FRAME = Buffer.from([0x88, 0x02, 0x03, 0xf0]);

// For the client's own end after ours, and for what it has not received yet.
const CLOSE_WAIT_MS = 10_000;

/** Whether a request may become another protocol. Others, such as h2c, are answered as plain HTTP/1.1. */
export function isUpgrade({ version, method, upgrade }: RequestHead): boolean {
  // RFC 9110 §7.8: one in HTTP/1.0 is ignored.
  return version === "1.1" && method === "GET" && upgrade === "websocket";
}

/** `open` holds every socket from its upgrade request to its close, so that a drain can end them. */
export function createUpgradeForwarder(settings: UpstreamSettings, open: Set<Socket>): UpgradeForwarder {
  const proxy = createProxyServer({ target: toTarget(settings), ignorePath: true, prependPath: false });
  return ({ head, peer, socket, rest }, gateway) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    // A reset is reported by "close" as well; unheard it would end the process.
    socket.on("error", () => {});
    try {
      begin({ ...beginTurn(head, peer, gateway), head, socket, rest, proxy });
    } catch {
      socket.destroy();
    }
  };
}

function begin(turn: UpgradeTurn): void {
  const { gateway } = turn;
  try {
    const decision = gateway.isDraining() ? deny("draining") : decideTurn(turn);
    if (decision instanceof Promise) {
      decision.then((settled) => conclude(turn, settled)).catch((error: unknown) => failClosed(turn, error));
    } else conclude(turn, decision);
  } catch (error) {
    failClosed(turn, error);
  }
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

function conclude(turn: UpgradeTurn, decision: Settled): void {
  try {
    if (decision.kind === "deny") refuse(turn, decision);
    else answer(turn, decision);
  } catch (error) {
    failClosed(turn, error);
  }
}

function failClosed(turn: UpgradeTurn, error: unknown): void {
  try {
    refuse(turn, denyBroken(error));
  } catch {
    turn.socket.destroy();
  }
}

function refuse(turn: UpgradeTurn, denial: Denial): void {
  const { gateway, generation, requestId, socket } = turn;
  const answer = renderDenial(denial, requestId, generation, gateway.clock.now);
  socket.end(toRawAnswer(answer), "latin1");
  // Unread, what else the client sends would hide its own end.
  socket.resume();
  record(turn, denial, answer.status, "complete", "");
}

function answer(turn: UpgradeTurn, permit: Allowed): void {
  const { generation, requestId } = turn;
  const { facts, origin, peer } = turn.arrival;
  const built = buildRequestFields(facts.rawHeaders, permit, origin, peer, requestId, generation);
  if (built.kind === "invalid" || turn.head.framing.kind !== "none") {
    // No body is read here: its bytes would travel as the first of the other protocol.
    const problem = built.kind === "invalid" ? built.problem : "an upgrade with a body";
    refuse(turn, denyAfter(permit, "request_invalid", problem));
    return;
  }
  const target = toForwardTarget(facts.target, permit.route, generation.configuration.policy);
  const assertion = findAssertion(turn, permit);
  if (assertion instanceof Promise) {
    assertion
      .then((field) => tunnel(turn, permit, target, built.fields + field))
      .catch((error: unknown) => failClosed(turn, error));
  } else {
    tunnel(turn, permit, target, built.fields + assertion);
  }
}

function tunnel(turn: UpgradeTurn, permit: Allowed, target: string, fields: FieldText): void {
  const { socket, rest, proxy } = turn;
  const writtenBefore = socket.bytesWritten;
  const request = toIncomingMessage(turn, toFieldLines(fields));
  const onRequest = (outgoing: ClientRequest): void => {
    try {
      prepare(turn, permit, outgoing, target);
    } catch (error) {
      outgoing.on("error", () => {});
      outgoing.destroy();
      throw error;
    }
  };
  // `ws` makes its request, and so emits this, before it returns; if it throws, the next one must not get ours.
  proxy.once("proxyReqWs", onRequest);
  try {
    proxy.ws(request, socket, rest, {}, (error) => {
      if (socket.bytesWritten > writtenBefore) return;
      if (socket.destroyed) record(turn, permit, 0, "aborted", "the client went away");
      else failOver(turn, permit, error);
    });
  } finally {
    proxy.off("proxyReqWs", onRequest);
  }
}

function failOver(turn: UpgradeTurn, permit: Allowed, error: Error): void {
  try {
    refuse(turn, denyAfter(permit, toFailure(error), describe(error)));
  } catch (broken) {
    failClosed(turn, broken);
  }
}

/** The upstream let the time for its answer pass. */
class UpgradeTimeout extends Error {
  readonly code = "UPGRADE_TIMEOUT";
}

/** Sets the exact bytes of the path, and reports the exchange from what the upstream answers. */
function prepare(turn: UpgradeTurn, permit: Allowed, outgoing: ClientRequest, target: string): void {
  outgoing.path = target;
  const { socket } = turn;
  const { responseTimeoutMs, idleTimeoutMs } = turn.generation.configuration.settings.upstream;
  outgoing.setTimeout(responseTimeoutMs, () =>
    outgoing.destroy(new UpgradeTimeout("no answer to the upgrade in time")),
  );
  // A client that leaves before the answer takes its request with it.
  socket.once("close", () => outgoing.destroy());
  outgoing.prependListener("upgrade", (answer: IncomingMessage, upstream: Socket) =>
    guard(turn, () => open(turn, permit, answer, upstream, idleTimeoutMs)),
  );
  outgoing.prependListener("response", (answer: IncomingMessage) =>
    guard(turn, () => relayRefusal(turn, permit, answer)),
  );
}

/** What an event calls has no caller to catch what it throws: the connection ends, and the upstream's with it. */
function guard(turn: UpgradeTurn, work: () => void): void {
  try {
    work();
  } catch {
    turn.socket.destroy();
  }
}

/** The upstream switched: from here on it and the client speak to each other. */
function open(
  turn: UpgradeTurn,
  permit: Allowed,
  answer: IncomingMessage,
  upstream: Socket,
  idleTimeoutMs: number,
): void {
  const { socket } = turn;
  let ending: AccessRecord["ending"] = "complete";
  const exchange = {
    key: permit.principal?.key,
    startedMs: turn.startedMs,
    place: NOT_LISTED,
    end: () => {
      ending = "ended";
      upstream.unpipe(socket);
      socket.end(CLOSE_FRAME);
      upstream.destroy();
    },
  };
  upstream.once("close", () => guard(turn, () => readToEnd(turn, upstream)));
  socket.once("close", () => {
    record(turn, permit, 101, ending, "");
    upstream.destroySoon();
    guard(turn, () => turn.gateway.openExchanges.remove(exchange));
  });
  turn.gateway.openExchanges.add(exchange);
  const added = toAddedLines(toResponseAdditions(turn, permit));
  for (let index = 0; index < added.length; index += 2) {
    answer.headers[(added[index] ?? "").toLowerCase()] = added[index + 1];
  }
  socket.setTimeout(idleTimeoutMs, () => socket.destroy());
}

/** The upstream answers an upgrade in plain HTTP: its head is made like others, its body must end as it should. */
function relayRefusal(turn: UpgradeTurn, permit: Allowed, answer: IncomingMessage): void {
  const { socket } = turn;
  const status = answer.statusCode ?? 0;
  const framing = readFraming(answer.rawHeaders, true);
  const problem = typeof framing === "string" ? framing : undefined;
  if (problem !== undefined) socket.destroy();
  const { text } = buildResponseFields(status, answer.rawHeaders, toResponseAdditions(turn, permit));
  answer.headers = toAnswerHeaders(toFieldLines(text));
  answer.once("close", () => {
    if (!answer.complete) socket.destroy();
    const ending = answer.complete && problem === undefined ? "complete" : "truncated";
    record(turn, permit, status, ending, problem ?? "the upstream refused the upgrade");
  });
}

function toAnswerHeaders(lines: readonly string[]): Record<string, string[]> {
  const values = new Map<string, string[]>();
  for (let index = 0; index < lines.length; index += 2) {
    const name = (lines[index] ?? "").toLowerCase();
    values.set(name, [...(values.get(name) ?? []), lines[index + 1] ?? ""]);
  }
  // This connection was the client's offer to switch; it ends with the refusal.
  values.set("connection", ["close"]);
  return Object.fromEntries(values);
}

/**
 * What a client sends when its upstream is gone has nowhere to go, but unread it would hide the client's own end, and
 * this side would never close. Unpiped first: the pipe pauses its source when it finds the upstream closed.
 */
function readToEnd({ gateway, socket }: UpgradeTurn, upstream: Socket): void {
  if (socket.destroyed) return;
  socket.unpipe(upstream);
  socket.resume();
  const deadline = gateway.clock.after(CLOSE_WAIT_MS, () => socket.destroy());
  socket.once("close", () => deadline.cancel());
}

/** The request as the library that passes it through takes one: with our headers, and none of the client's. */
function toIncomingMessage({ head, socket }: UpgradeTurn, headers: readonly string[]): IncomingMessage {
  const message = new IncomingMessage(socket);
  message.method = head.method;
  message.url = head.target;
  message.httpVersion = head.version;
  message.headers = toHeaderObject(headers);
  return message;
}

function toHeaderObject(headers: readonly string[]): Record<string, string> {
  // A map, for names such as `constructor`, which every object already has.
  const values = new Map([
    ["connection", "Upgrade"],
    ["upgrade", "websocket"],
  ]);
  for (let index = 0; index < headers.length; index += 2) {
    const name = (headers[index] ?? "").toLowerCase();
    const value = headers[index + 1] ?? "";
    const earlier = values.get(name);
    // RFC 9110 §5.3 joins repeated lines with commas; only cookies join with semicolons (RFC 6265 §5.4).
    values.set(name, earlier === undefined ? value : `${earlier}${name === "cookie" ? "; " : ", "}${value}`);
  }
  return Object.fromEntries(values);
}
