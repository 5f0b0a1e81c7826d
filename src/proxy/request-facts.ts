import type { Socket } from "node:net";
import { FORWARDED_METHODS } from "../http1/methods.ts";
import type { RequestHead } from "../http1/request-head.ts";
import type { RequestFacts } from "../policy/facts.ts";
import { type Address, parseAddress } from "../policy/network.ts";
import { findOrigin, type Origin, type Peer } from "./client-address.ts";
import type { Generation } from "./generation.ts";

/** A request in the plain terms of the core, and where it came from. */
export interface Arrival {
  readonly facts: RequestFacts;
  readonly peer: Peer;
  readonly origin: Origin;
}

// A peer on a unix socket has no address; it is on this machine, and is trusted only if 127.0.0.1 is.
const LOCAL_PEER: Address = { text: "127.0.0.1", family: "ipv4", neighbourhood: "127.0.0.1" };

/** The peer of a connection. */
export function toPeer(socket: Socket): Peer {
  const address = parseAddress(socket.remoteAddress ?? "") ?? LOCAL_PEER;
  return { address, encrypted: "encrypted" in socket && socket.encrypted === true };
}

export function readArrival(head: RequestHead, peer: Peer, generation: Generation): Arrival {
  const origin = findOrigin(peer, head.rawHeaders, generation.configuration.settings.listen.trustedProxies);
  return {
    peer,
    origin,
    facts: {
      method: head.method,
      target: head.target,
      rawHeaders: head.rawHeaders,
      clientAddress: origin.clientAddress,
      secure: origin.secure,
    },
  };
}

/** Requests that are refused before any check: what this proxy does not forward. */
export function findRequestProblem(
  { method, rawHeaders }: Pick<RequestFacts, "method" | "rawHeaders">,
  maxHeaders: number,
): { readonly reason: "request_invalid" | "headers_too_large"; readonly detail: string } | undefined {
  if (!FORWARDED_METHODS.has(method)) {
    return { reason: "request_invalid", detail: `${method} is not forwarded` };
  }
  // Counted and refused: lines left out beyond a limit could be those that frame the message (CVE-2026-58044).
  if (rawHeaders.length > maxHeaders * 2) {
    return { reason: "headers_too_large", detail: `more than ${maxHeaders} header lines` };
  }
  return undefined;
}
