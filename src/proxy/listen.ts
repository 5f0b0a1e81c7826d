import { isIP, type Server } from "node:net";
import type { SocketAddress } from "../config/settings.ts";

// More than Node asks for by itself: clients come back all at once after a restart.
const BACKLOG = 1024;

/**
 * Listens, or rejects with the system's error when the address cannot be had. `shared` lets other threads listen at the
 * same address: the kernel gives each new connection to one of them.
 */
export async function listen(server: Server, address: SocketAddress, shared = false): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    if (address.kind === "unix") server.listen({ path: address.path });
    else if (shared || !listenAlone(server, address.host, address.port))
      server.listen({ host: address.host, port: address.port, backlog: BACKLOG, reusePort: shared });
  });
}

/**
 * Listens as `listen` does, without asking `node:cluster` first whether this is one of its processes: that brings in
 * three modules with all that they need, 3 MB. The step is one of Node's own, under a name that it keeps for those who
 * wrap it (`lib/net.js`). Whether it was there, and the address one that is not to be looked up.
 */
function listenAlone(server: Server, host: string, port: number): boolean {
  const step: unknown = Reflect.get(server, "_listen2");
  const family = isIP(host);
  if (typeof step !== "function" || family === 0) return false;
  Reflect.apply(step, server, [host, port, family, BACKLOG, undefined, 0]);
  return true;
}
