import { BlockList, isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";

/** An address in canonical text: IPv4-mapped IPv6 is IPv4. Parse it once per connection, not per request. */
export interface Address {
  readonly text: string;
  readonly family: "ipv4" | "ipv6";
  /** Whose failures are counted together: the IPv4 address itself, or the IPv6 /64 one subscriber holds. */
  readonly neighbourhood: string;
}

/** A compiled allowlist: CIDR ranges, tested in one native call. */
export interface NetworkSet {
  readonly ranges: readonly string[];
  readonly contains: (address: Address) => boolean;
}

/** Parses an address as sockets and forwarding headers spell it; undefined when it is none. */
export function parseAddress(text: string): Address | undefined {
  if (!text.includes(":")) {
    // `isValidFourPartDecimal` keeps out the octal, hex and short forms that inet_aton readers disagree on.
    return ipaddr.IPv4.isValidFourPartDecimal(text) ? toIPv4(ipaddr.IPv4.parse(text)) : undefined;
  }
  const unzoned = text.replace(/%[A-Za-z0-9._-]+$/, "");
  // ipaddr.js takes those forms in the tail of a mapped address too, and a second zone; Node's parser takes neither.
  if (unzoned.includes("%") || !isIPv6(unzoned)) return undefined;
  const parsed = ipaddr.IPv6.parse(unzoned);
  if (parsed.isIPv4MappedAddress()) return toIPv4(parsed.toIPv4Address());
  const network = parsed.parts.slice(0, 4).map((part) => part.toString(16));
  return { text: parsed.toString(), family: "ipv6", neighbourhood: `${network.join(":")}::/64` };
}

function toIPv4(parsed: ipaddr.IPv4): Address {
  const text = parsed.toString();
  return { text, family: "ipv4", neighbourhood: text };
}

/** Why a text is no network, or its address and prefix length. A lone address is a network of one. */
export function parseNetwork(text: string): { readonly address: Address; readonly prefix: number } | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = address.family === "ipv4" ? 32 : 128;
  if (slash === -1) return { address, prefix: bits };
  const written = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(written)) return undefined;
  // `::ffff:10.0.0.0/104` names IPv4 addresses in 128 bits; matching happens in 32.
  const mapped = address.family === "ipv4" && text.includes(":");
  const prefix = mapped ? Number(written) - 96 : Number(written);
  return prefix >= 0 && prefix <= bits ? { address, prefix } : undefined;
}

/** Compiles ranges that `parseNetwork` accepts; the others were reported as config problems and match nothing. */
export function compileNetworks(ranges: readonly string[]): NetworkSet {
  // One list a family: a BlockList compares IPv4 in its mapped form, so `::/0` would admit every IPv4 address.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const range of ranges) {
    const network = parseNetwork(range);
    if (network === undefined) continue;
    const { text, family } = network.address;
    lists[family].addSubnet(text, network.prefix, family);
  }
  // The requests of one connection all come from one address, and the native check costs more than all else of a decision.
  let latest = "";
  let wasContained = false;
  return {
    ranges,
    contains: ({ text, family }) => {
      if (text === latest) return wasContained;
      wasContained = lists[family].check(text, family);
      latest = text;
      return wasContained;
    },
  };
}
