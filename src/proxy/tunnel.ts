import type { Socket } from "node:net";
import type { RequestHead } from "../http1/request-head.ts";
import type { HandedOver } from "./client-exchange.ts";
import type { Clock } from "./clock.ts";

/** A client and the upstream that speak another protocol with each other. */
export interface Tunnel {
  /** Ends it because the key may no longer be used. */
  readonly end: () => void;
  /** Ends it because this process does. */
  readonly destroySoon: () => void;
}

/** The upstream's side of a tunnel. */
export interface UpstreamEnd {
  /** Paused. */
  readonly socket: Socket;
  /** What it sent behind its 101. */
  readonly first: Buffer;
}

export interface TunnelTimes {
  /** For either side to say something. */
  readonly idleMs: number;
  readonly after: Clock["after"];
}

// RFC 6455 §5.5.1: a server's close frame, unmasked, with its status (§7.4.1): policy violation, and going away.
const POLICY_VIOLATION = Buffer.from([0x88, 0x02, 0x03, 0xf0]);
const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

// For the client's own end after ours, and for what either side has not received yet.
const CLOSE_WAIT_MS = 10_000;

/** What a request asks to switch to. Anything else, such as h2c, is answered as plain HTTP/1.1. */
export function findProtocol({ version, method, upgrade }: RequestHead): "websocket" | undefined {
  // RFC 9110 §7.8: one in HTTP/1.0 is ignored.
  return version === "1.1" && method === "GET" && upgrade === "websocket" ? upgrade : undefined;
}

/** Passes on what either side sends until one ends; `closed` is called when the client's connection is gone. */
export function openTunnel(
  { socket: client, rest }: HandedOver,
  { socket: upstream, first }: UpstreamEnd,
  { idleMs, after }: TunnelTimes,
  closed: () => void,
): Tunnel {
  const endWith = (frame: Buffer): void => {
    upstream.unpipe(client);
    client.end(frame);
    upstream.destroy();
  };
  // Resets are reported by "close" as well; unheard they would end the process.
  client.on("error", ignore);
  upstream.on("error", ignore);
  upstream.once("close", () => readToEnd(client, upstream, after));
  client.once("close", () => {
    upstream.destroySoon();
    upstream.setTimeout(CLOSE_WAIT_MS, () => upstream.destroy());
    closed();
  });
  client.setTimeout(idleMs, () => client.destroy());
  if (first.length > 0) client.write(first);
  if (rest.length > 0) upstream.write(rest);
  upstream.pipe(client);
  client.pipe(upstream);
  return {
    end: () => endWith(POLICY_VIOLATION),
    destroySoon: () => {
      endWith(GOING_AWAY);
      client.destroySoon();
    },
  };
}

/**
 * What a client sends when its upstream is gone has nowhere to go, but unread it would hide the client's own end, and
 * this side would never close. Unpiped first: the pipe pauses its source when it finds the upstream closed.
 */
function readToEnd(client: Socket, upstream: Socket, after: Clock["after"]): void {
  if (client.destroyed) return;
  client.unpipe(upstream);
  client.end();
  client.resume();
  const deadline = after(CLOSE_WAIT_MS, () => client.destroy());
  client.once("close", () => deadline.cancel());
}

function ignore(): void {}
