import { lstatSync, unlinkSync } from "node:fs";
import { connect, isIP, type Server } from "node:net";
import type { SocketAddress } from "../config/settings.ts";
import { codeOf } from "./forward-failure.ts";

// More than Node asks for by itself: clients come back all at once after a restart.
const BACKLOG = 1024;

/**
 * Listens, or rejects with the system's error when the address cannot be had. `shared` lets other threads listen at the
 * same address: the kernel gives each new connection to one of them. A socket file that a killed process left is removed.
 */
export async function listen(server: Server, address: SocketAddress, shared = false): Promise<void> {
  try {
    await listenOnce(server, address, shared);
  } catch (error) {
    if (address.kind !== "unix" || codeOf(error) !== "EADDRINUSE" || !(await removeAbandoned(address.path)))
      throw error;
    await listenOnce(server, address, shared);
  }
}

async function listenOnce(server: Server, address: SocketAddress, shared: boolean): Promise<void> {
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

/**
 * Removes a socket file behind which nobody listens any more; false where somebody does. Of two processes that start at
 * once each may find it abandoned, and the slower one must not remove what the faster one has put in its place: it is
 * looked at once more, which leaves them microseconds. Only a lock would leave nothing, and that can be abandoned as well.
 */
async function removeAbandoned(path: string): Promise<boolean> {
  const before = identityOf(path);
  if (await isAnswered(path)) return false;
  const found = identityOf(path);
  if (found === undefined) return true;
  if (found !== before) return false;
  unlinkSync(path);
  return true;
}

/** Which file it is, by more than its inode, whose number the next one may get; undefined where there is none. */
function identityOf(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isSocket()) throw new Error(`listen ${path}: There is a file already, which is no socket`);
  return `${stats.dev}:${stats.ino}:${stats.ctimeNs}`;
}

/** Whether anybody listens there, or it cannot be told. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => resolve(codeOf(error) !== "ECONNREFUSED" && codeOf(error) !== "ENOENT"));
  });
}
