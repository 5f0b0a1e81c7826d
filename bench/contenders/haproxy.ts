import { execFile } from "node:child_process";
import { hash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { startPinned } from "../machine/process.ts";
import { type Contender, keyIdOf, type Task } from "./contender.ts";

/** The same job as Latchkey's: a SHA-256 digest, a look-up, a limit per key, an identity header. */
export const haproxy: Contender = {
  name: "haproxy",
  label: "HAProxy",
  job: "SHA-256 of the key looked up in a `map`, stick-table rate per key, identity header",
  version: async () => {
    const { stdout } = await promisify(execFile)("haproxy", ["-v"]);
    return /version ([\d.]+)/.exec(stdout)?.[1] ?? "?";
  },
  start: async (task) => {
    const digests = join(task.folder, "haproxy-keys.map");
    await writeFile(digests, task.credentials.map(toMapLine).join(""));
    const file = join(task.folder, "haproxy.cfg");
    await writeFile(file, toConfig(task, digests));
    return startPinned(["haproxy", "-db", "-f", file], {
      core: "proxy",
      errorFile: join(task.folder, "haproxy.stderr.txt"),
    });
  },
};

const toMapLine = (credential: string, index: number): string =>
  `${hash("sha256", credential, "hex").toUpperCase()} ${keyIdOf(index)}\n`;

function toConfig({ port, upstreamPort }: Task, digests: string): string {
  return `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option http-keep-alive
  timeout connect 2s
  timeout client 65s
  timeout server 60s
  timeout http-request 10s
frontend front
  bind 127.0.0.1:${port} backlog 4096
  stick-table type string len 64 size 100k expire 10m store http_req_rate(60s)
  http-request set-var(txn.key) req.hdr(x-api-key),sha2(256),hex,map(${digests})
  http-request deny deny_status 401 unless { var(txn.key) -m found }
  http-request track-sc0 var(txn.key)
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 1000000000 }
  http-request del-header x-api-key
  http-request set-header X-Key-Id %[var(txn.key)]
  default_backend app
backend app
  http-reuse always
  server app 127.0.0.1:${upstreamPort}
`;
}
