import type { TrustedProxies } from "../config/settings.ts";
import { type Address, type NetworkSet, parseAddress } from "../policy/network.ts";

/** The other end of a connection, parsed once. */
export interface Peer {
  readonly address: Address;
  readonly encrypted: boolean;
}

/** Who a request is believed to come from and how it reached the first trusted hop. */
export interface Origin {
  readonly clientAddress: Address;
  readonly secure: boolean;
  /** What the peer was believed, and so is passed on with ours appended; undefined where it was not. */
  readonly forwardedFor: string | undefined;
  readonly forwardedHost: string | undefined;
}

const FORWARDED_FOR = "x-forwarded-for";
const FORWARDED_PROTO = "x-forwarded-proto";
const FORWARDED_HOST = "x-forwarded-host";

/**
 * Finds the client address. Without trusted proxies every forwarding header is ignored. With them the
 * list is walked from the right to the first untrusted address; anything unparsable means the peer.
 * A peer is believed of the address, the scheme and the host apart.
 */
export function findOrigin(peer: Peer, rawHeaders: readonly string[], trusted: TrustedProxies): Origin {
  const { address } = peer;
  const forwardedFor = trusted.address?.contains(address) ? readForwardedFor(rawHeaders) : undefined;
  const proto = trusted.scheme?.contains(address) ? readScheme(rawHeaders) : undefined;
  return {
    clientAddress: walk(forwardedFor, address, trusted.address) ?? address,
    secure: proto === "https" || (proto !== "http" && peer.encrypted),
    forwardedFor,
    forwardedHost: trusted.host?.contains(address) ? readList(rawHeaders, FORWARDED_HOST) : undefined,
  };
}

/** The scheme that `X-Forwarded-Proto` states: each hop appends, so of several the last is our peer's. */
export function readScheme(rawHeaders: readonly string[]): string | undefined {
  const stated = readList(rawHeaders, FORWARDED_PROTO)?.split(",").at(-1)?.trim().toLowerCase();
  return stated && (WEBSOCKET_SCHEMES.get(stated) ?? stated);
}

// Traefik states these of an upgrade; RFC 6455 §3 makes them of http and https.
const WEBSOCKET_SCHEMES: ReadonlyMap<string, string> = new Map([
  ["ws", "http"],
  ["wss", "https"],
]);

/** The client address as a peer states it that is believed in any case; undefined where it states none. */
export function readForwardedAddress(
  rawHeaders: readonly string[],
  peer: Address,
  trusted: NetworkSet | undefined,
): Address | undefined {
  const forwardedFor = readForwardedFor(rawHeaders);
  if (forwardedFor === undefined) return undefined;
  const contains = (address: Address) => address.text === peer.text || trusted?.contains(address) === true;
  return walk(forwardedFor, peer, { contains });
}

/** A list without an entry is none (RFC 9110 §5.6.1.2). */
function readForwardedFor(rawHeaders: readonly string[]): string | undefined {
  const list = readList(rawHeaders, FORWARDED_FOR);
  return list === undefined || /^[ \t,]*$/.test(list) ? undefined : list;
}

/** From the right to the first address that is not trusted; undefined where an entry on the way is no address. */
function walk(
  forwardedFor: string | undefined,
  peer: Address,
  trusted: Pick<NetworkSet, "contains"> | undefined,
): Address | undefined {
  if (forwardedFor === undefined || trusted === undefined) return peer;
  let candidate = peer;
  for (const entry of forwardedFor.split(",").reverse()) {
    const address = parseEntry(entry.trim());
    if (address === undefined) return undefined;
    candidate = address;
    if (!trusted.contains(address)) return address;
  }
  return candidate;
}

/** Some proxies add the port: `203.0.113.7:51234`, `[2001:db8::1]:51234`. */
function parseEntry(entry: string): Address | undefined {
  const bracketed = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(entry)?.[1];
  const unported = /^(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}$/.exec(entry)?.[1];
  return parseAddress(bracketed ?? unported ?? entry);
}

/** A list field's lines joined in order (RFC 9110 §5.3); undefined when there is none. */
function readList(rawHeaders: readonly string[], lowerName: string): string | undefined {
  let joined: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    if (name.length !== lowerName.length || name.toLowerCase() !== lowerName) continue;
    const value = rawHeaders[index + 1] ?? "";
    joined = joined === undefined ? value : `${joined}, ${value}`;
  }
  return joined;
}
