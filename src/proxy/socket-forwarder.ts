import type { UpstreamSettings } from "../config/settings.ts";
import type { Clock } from "./clock.ts";
import type { Forwarder } from "./forward.ts";
import { Relay } from "./relay.ts";
import { createUpstreamPool } from "./upstream-pool.ts";
import type { UpstreamAddress } from "./upstream-socket.ts";

/** Forwards over connections of our own: HTTP/1.1, one request at a time on each. */
export function createSocketForwarder(
  settings: UpstreamSettings,
  clock: Pick<Clock, "elapsed" | "after" | "afterPass">,
): Forwarder {
  const pool = createUpstreamPool(
    toAddress(settings),
    { connectMs: settings.connectTimeoutMs, responseMs: settings.responseTimeoutMs, idleMs: settings.idleTimeoutMs },
    { connections: settings.maxConnections, queue: settings.maxQueue },
    clock,
  );
  return {
    forward: (exchange, fields) => new Relay(pool, exchange, fields).start(),
    close: pool.close,
    destroy: pool.destroy,
  };
}

function toAddress({ origin, socketPath, ca }: UpstreamSettings): UpstreamAddress {
  if (socketPath !== undefined) return { kind: "unix", path: socketPath };
  const { protocol, hostname, port } = new URL(origin);
  const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  if (protocol === "https:") return { kind: "tls", host, port: port === "" ? 443 : Number(port), ca };
  return { kind: "tcp", host, port: port === "" ? 80 : Number(port) };
}
