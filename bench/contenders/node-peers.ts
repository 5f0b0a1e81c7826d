import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startPinned } from "../machine/process.ts";
import type { Contender } from "./contender.ts";

/** Where the packages of the Node peers are, with a lock of their own. */
export const PEERS = fileURLToPath(new URL("../peers/", import.meta.url));

/** A program of `peers/`, run by the Node that runs Latchkey; it passes through and does nothing else. */
function nodePeer(name: string, label: string, program: string, packageName: string, job: string): Contender {
  return {
    name,
    label,
    job,
    version: async () =>
      JSON.parse(await readFile(join(PEERS, "node_modules", packageName, "package.json"), "utf8")).version,
    start: async ({ port, upstreamPort, folder }) =>
      startPinned([process.execPath, join(PEERS, program), String(port), String(upstreamPort), name], {
        core: "proxy",
        errorFile: join(folder, `${name}.stderr.txt`),
        env: { NODE_ENV: "production" },
      }),
  };
}

export const NODE_PEERS: readonly Contender[] = [
  nodePeer(
    "http-proxy-3",
    "http-proxy-3, keep-alive agent",
    "http-proxy-3.js",
    "http-proxy-3",
    "nothing but passing through",
  ),
  nodePeer(
    "http-proxy-3-defaults",
    "http-proxy-3, defaults",
    "http-proxy-3.js",
    "http-proxy-3",
    "nothing but passing through, `Connection: close` on both sides",
  ),
  nodePeer(
    "fastify",
    "fastify + @fastify/http-proxy",
    "fastify.js",
    "@fastify/http-proxy",
    "nothing but passing through",
  ),
  nodePeer(
    "express",
    "express + http-proxy-middleware",
    "express.js",
    "http-proxy-middleware",
    "nothing but passing through, keep-alive agent",
  ),
];
