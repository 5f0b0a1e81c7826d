import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { RequestFacts } from "../policy/facts.ts";
import { type Address, parseAddress } from "../policy/network.ts";
import { findOrigin, type Origin, type Peer } from "./client-address.ts";
import type { Generation } from "./generation.ts";

/** A request in the plain terms of the core, and where it came from. The only reader of `IncomingMessage` on the way in. */
export interface Arrival {
  readonly facts: RequestFacts;
  readonly peer: Peer;
  readonly origin: Origin;
}

// A peer on a unix socket has no address; it is on this machine, and is trusted only if 127.0.0.1 is.
const LOCAL_PEER: Address = { text: "127.0.0.1", family: "ipv4", neighbourhood: "127.0.0.1" };

const PEERS = new WeakMap<Socket, Peer>();

/** The peer of a connection; parsed at its first request. */
export function peerOf(socket: Socket): Peer {
  let peer = PEERS.get(socket);
  if (peer === undefined) {
    const address = parseAddress(socket.remoteAddress ?? "") ?? LOCAL_PEER;
    const encrypted = "encrypted" in socket && socket.encrypted === true;
    peer = { address, encrypted, inFlight: 0 };
    PEERS.set(socket, peer);
  }
  return peer;
}

export function readArrival(request: IncomingMessage, generation: Generation): Arrival {
  const peer = peerOf(request.socket);
  const origin = findOrigin(peer, request.rawHeaders, generation.configuration.settings.listen.trustedProxies);
  return {
    peer,
    origin,
    facts: {
      method: request.method ?? "",
      target: request.url ?? "",
      rawHeaders: request.rawHeaders,
      clientAddress: origin.clientAddress,
      secure: origin.secure,
    },
  };
}

/** Requests that are refused before any check: what this proxy cannot forward faithfully. */
export function findRequestProblem(
  request: Pick<IncomingMessage, "method" | "rawHeaders"> & Partial<Pick<IncomingMessage, "httpVersion">>,
  maxHeaders: number,
): { readonly reason: "request_invalid" | "headers_too_large"; readonly detail: string } | undefined {
  if (request.method === "TRACE" || request.method === "CONNECT") {
    return { reason: "request_invalid", detail: `${request.method} is not forwarded` };
  }
  // Node takes HTTP/0.9 and HTTP/2.0 in a request line for HTTP/1.1.
  const { httpVersion = "1.1" } = request;
  if (httpVersion !== "1.1" && httpVersion !== "1.0") {
    return { reason: "request_invalid", detail: `HTTP/${httpVersion} is not spoken here` };
  }
  if (httpVersion === "1.0" && hasTransferCoding(request.rawHeaders)) {
    // RFC 9112 §6.1: its framing is faulty, whatever the coding.
    return { reason: "request_invalid", detail: "a transfer coding in HTTP/1.0" };
  }
  // Counted here and not by Node, which drops the lines beyond its limit unseen (CVE-2026-58044).
  if (request.rawHeaders.length > maxHeaders * 2) {
    return { reason: "headers_too_large", detail: `more than ${maxHeaders} header lines` };
  }
  return undefined;
}

function hasTransferCoding(rawHeaders: readonly string[]): boolean {
  return rawHeaders.some((name, index) => index % 2 === 0 && name.toLowerCase() === "transfer-encoding");
}
