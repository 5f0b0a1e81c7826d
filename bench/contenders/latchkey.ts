import { hash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pkg from "../../package.json" with { type: "json" };
import { startPinned } from "../machine/process.ts";
import { findFreePort } from "../machine/ready.ts";
import { type Contender, keyIdOf, type Task } from "./contender.ts";

/** The built program, as the image runs it. */
export const PROGRAM = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

const CHECKS = "SHA-256 of the key, format, scope, IP allowlist, two limits per key, identity headers, metrics";

export const LATCHKEY: readonly Contender[] = [
  latchkey("latchkey", "Latchkey", `${CHECKS}, access log to /dev/null`, { requests: "all", checked: true }),
  latchkey("latchkey-no-log", "Latchkey, access log off", CHECKS, { requests: "none", checked: true }),
  latchkey(
    "latchkey-unchecked",
    "Latchkey, public routes",
    "the same routes, made public: no check and no limit; metrics, access log to /dev/null",
    { requests: "all", checked: false },
  ),
];

interface Variant {
  readonly requests: "all" | "none";
  readonly checked: boolean;
}

function latchkey(name: string, label: string, job: string, variant: Variant): Contender {
  return {
    name,
    label,
    job,
    version: async () => pkg.version,
    start: async (task) => {
      const folder = join(task.folder, name);
      const routes = variant.checked ? CHECKED_ROUTES : CHECKED_ROUTES.map(({ match }) => ({ match, public: true }));
      const config = await writeLatchkeyConfig(folder, task, routes, variant.requests);
      return startPinned([process.execPath, PROGRAM, "serve", "--config", config], {
        core: "proxy",
        errorFile: join(folder, "stderr.txt"),
        env: AS_IN_IMAGE,
      });
    },
  };
}

// What the Dockerfile sets and a figure depends on.
const AS_IN_IMAGE = { MALLOC_ARENA_MAX: "1" };

const CHECKED_ROUTES = [
  { match: "GET /health", public: true },
  ...["orders", "clients", "invoices", "items"].flatMap((resource) => [
    { match: `GET /api/v1/${resource}/**`, scopes: [`${resource}:read`] },
    { match: `POST,PUT,PATCH,DELETE /api/v1/${resource}/**`, scopes: [`${resource}:write`] },
  ]),
  { match: "GET /bodies/**", scopes: ["orders:read"] },
  { match: "POST /bodies/**", scopes: ["orders:write"] },
];

// Under the 64 MiB that one file may have.
const KEYS_PER_FILE = 150_000;
// More than any run spends: it is the passing that is measured.
const LIMITS = ["1000000000/minute", "1000000000/hour"];

/** Writes a full configuration, keys as digests in JSON beside it; the name of its main file. */
export async function writeLatchkeyConfig(
  folder: string,
  { port, upstreamPort, credentials }: Omit<Task, "folder">,
  routes: readonly object[] = CHECKED_ROUTES,
  requests: "all" | "none" = "all",
): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (let first = 0; first < credentials.length; first += KEYS_PER_FILE) {
    const records = credentials
      .slice(first, first + KEYS_PER_FILE)
      .map((credential, at) => JSON.stringify(toRecord(credential, first + at)));
    await writeFile(join(folder, `keys-${first}.json`), `{"keys":[\n${records.join(",\n")}\n]}\n`, { mode: 0o600 });
  }
  const file = join(folder, "latchkey.json");
  const config = {
    listen: { address: `127.0.0.1:${port}`, maxConnections: 20_000 },
    // Connections as by default; the queue holds what ten thousand clients have under way at once.
    upstream: { url: `http://127.0.0.1:${upstreamPort}`, maxQueue: 20_000 },
    admin: `127.0.0.1:${await findFreePort()}`,
    keyFormats: ["bk_{environment:live|test}_{secret:hex(32)}"],
    accept: { environment: "live" },
    routes,
    keys: { files: ["keys-*.json"] },
    log: { requests },
  };
  await writeFile(file, JSON.stringify(config, null, 2));
  return file;
}

function toRecord(credential: string, index: number): object {
  return {
    id: keyIdOf(index),
    name: `Client ${index}`,
    hash: `sha256:${hash("sha256", credential, "hex")}`,
    tenant: `tenant-${index % 500}`,
    scopes: ["orders:read", "orders:write", "clients:read"],
    limits: LIMITS,
    allowIps: ["127.0.0.0/8"],
  };
}

/** Distinct keys in the form of `keyFormats`. */
export function createCredentials(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `bk_live_${index.toString(16).padStart(32, "0")}`);
}
