/**
 * What a large keys file costs the built program: time and CPU to its ready line, memory, and the event loop before,
 * during and after a reload under a steady stream of requests. Run with `npm run build && node bench/reload.ts
 * [keys] [json|yaml]`; 100,000 and both by default. Times hold for a machine that does nothing else: where the event
 * loop is held for long before the reload too, others had the cores.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { hash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { Agent, createServer, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const KEYS = Number(process.argv[2] ?? 100_000);
const KINDS = (["json", "yaml"] as const).filter((kind) => (process.argv[3] ?? kind) === kind);
const PROGRAM = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const PROBE = new URL("event-loop-probe.ts", import.meta.url).href;
// Under the 64 MiB that one file may have.
const KEYS_PER_FILE = 200_000;
const REQUESTS_PER_SECOND = 500;
const SETTLE_MS = 6_000;
const PHASE_MS = 5_000;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const credentialOf = (index: number) => `ord_live_${index}`;

function toRecord(index: number, suffix: string) {
  const sha256 = hash("sha256", credentialOf(index), "hex");
  const scopes = [["orders:read"], ["orders:read", "orders:write"], ["clients:read", "orders:read"]][index % 3] ?? [];
  const name = `Client ${index}${index % 100 === 0 ? suffix : ""}`;
  return { id: `key-${index}`, name, hash: `sha256:${sha256}`, tenant: `tenant-${index % 500}`, scopes };
}

function toText(kind: "json" | "yaml", first: number, count: number, suffix: string): string {
  const records = Array.from({ length: count }, (_, at) => toRecord(first + at, suffix));
  if (kind === "json") return `{"keys": [\n${records.map((record) => JSON.stringify(record)).join(",\n")}\n]}\n`;
  const lines = records.map(
    ({ id, name, hash: digest, tenant, scopes }) =>
      `  - id: ${id}\n    name: ${name}\n    hash: ${digest}\n    tenant: ${tenant}\n    scopes: [${scopes.map((scope) => `"${scope}"`).join(", ")}]\n`,
  );
  return `keys:\n${lines.join("")}`;
}

async function writeKeys(folder: string, kind: "json" | "yaml", keys: number, suffix: string): Promise<void> {
  for (let first = 0; first < keys; first += KEYS_PER_FILE) {
    const text = toText(kind, first, Math.min(KEYS_PER_FILE, keys - first), suffix);
    await writeFile(join(folder, `keys-${first}.${kind}`), text, { mode: 0o600 });
  }
}

interface Running {
  readonly child: ChildProcess;
  readonly readyMs: number;
  readonly readyCpuMs: number;
  readonly port: string;
  readonly waitFor: (text: string) => Promise<string>;
  readonly eventLoop: () => Promise<Readonly<Record<string, number>>>;
}

async function start(folder: string, kind: "json" | "yaml", upstream: string): Promise<Running> {
  const config = join(folder, `latchkey-${kind}.yaml`);
  const routes = 'routes: [{ match: "GET /**", anyScope: [orders:read] }]';
  await writeFile(config, `upstream: ${upstream}\nlog: { requests: none }\n${routes}\nkeys: "keys-*.${kind}"\n`);
  const eventLoopFile = join(folder, "event-loop.json");
  const args = ["serve", "--config", config, "--listen", "127.0.0.1:0", "--admin", "off"];
  const begunMs = performance.now();
  const child = spawn(process.execPath, ["--import", PROBE, PROGRAM, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, EVENT_LOOP_FILE: eventLoopFile },
  });
  let log = "";
  const checks = new Set<() => void>();
  child.stdout?.on("data", (bytes: Buffer) => {
    log += bytes.toString();
    for (const check of checks) check();
  });
  const waitFor = (text: string) =>
    new Promise<string>((resolve) => {
      const check = () => {
        const line = log.split("\n").find((candidate) => candidate.includes(text) && candidate.endsWith("}"));
        if (line === undefined) return;
        checks.delete(check);
        resolve(line);
      };
      checks.add(check);
      check();
    });
  const ready = await waitFor('"msg":"ready"');
  const readyMs = performance.now() - begunMs;
  const readyCpuMs = await cpuOf(child);
  return {
    child,
    readyMs,
    readyCpuMs,
    port: /"listen":"127\.0\.0\.1:(\d+)"/.exec(ready)?.[1] ?? "",
    waitFor,
    eventLoop: async () => {
      await rm(eventLoopFile, { force: true });
      child.kill("SIGUSR2");
      for (;;) {
        const text = await readFile(eventLoopFile, "utf8").catch(() => "");
        if (text.endsWith("}")) return JSON.parse(text);
        await pause(20);
      }
    },
  };
}

async function stop({ child }: Running): Promise<void> {
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await exited;
}

// USER_HZ, in which Linux tells CPU time: 100 on every architecture that Node runs on.
const TICK_MS = 10;

/** CPU time of all threads so far; the numbers that follow the name of the program in proc_pid_stat(5). */
async function cpuOf({ pid }: ChildProcess): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

async function memoryOf({ child }: Running): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}

/** A steady stream of requests by many keys; returns how many failed once it is told to end. */
function startStream(port: string, keys: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  let [sent, failed, under] = [0, 0, 0];
  const send = () => {
    under += 1;
    const headers = { "x-api-key": credentialOf((sent++ * 7919) % keys) };
    const request = get({ port, host: "127.0.0.1", path: "/orders", headers, agent }, (response) => {
      if (response.statusCode !== 200) failed += 1;
      response.resume().on("end", () => {
        under -= 1;
      });
    });
    request.on("error", () => {
      under -= 1;
      failed += 1;
    });
  };
  const timer = setInterval(() => {
    for (let count = 0; count < REQUESTS_PER_SECOND / 100; count += 1) send();
  }, 10);
  return async () => {
    clearInterval(timer);
    while (under > 0) await pause(20);
    agent.destroy();
    return { sent, failed };
  };
}

const show = (label: string, value: unknown) => process.stdout.write(`${label.padEnd(34)} ${String(value)}\n`);
const toLine = (held: Readonly<Record<string, number>>) =>
  Object.entries(held)
    .map(([name, value]) => `${name} ${name === "samples" ? value : value.toFixed(1)}`)
    .join("  ");

const upstream = createServer((_, response) => response.end("ok"));
await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
const bound = upstream.address();
const upstreamUrl = `http://127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
const folder = await mkdtemp(join(tmpdir(), "latchkey-bench-"));

await writeKeys(folder, "json", 1, "");
const empty = await start(folder, "json", upstreamUrl);
await pause(SETTLE_MS);
const emptyMb = await memoryOf(empty);
const endEmptyStream = startStream(empty.port, 1);
await pause(2 * PHASE_MS);
await endEmptyStream();
await pause(SETTLE_MS);
const emptyServedMb = await memoryOf(empty);
show(
  "1 key: ready",
  `${Math.round(empty.readyMs)} ms, ${empty.readyCpuMs} ms of CPU, ${emptyMb} MB, ${emptyServedMb} MB after requests`,
);
await stop(empty);

for (const kind of KINDS) {
  await writeKeys(folder, kind, KEYS, "");
  const program = await start(folder, kind, upstreamUrl);
  show(`${KEYS} keys, ${kind}: ready`, `${Math.round(program.readyMs)} ms, ${program.readyCpuMs} ms of CPU`);
  await pause(SETTLE_MS);
  const settled = await memoryOf(program);
  show("  memory, settled", `${settled} MB, ${settled - emptyMb} more than with 1 key`);
  const endStream = startStream(program.port, KEYS);
  await pause(PHASE_MS);
  await program.eventLoop();
  await pause(PHASE_MS);
  show("  event loop held, before (ms)", toLine(await program.eventLoop()));
  await writeKeys(folder, kind, KEYS, " renamed");
  const changedMs = performance.now();
  const changedCpuMs = await cpuOf(program.child);
  await program.waitFor('"msg":"policy reloaded"');
  const reloadMs = Math.round(performance.now() - changedMs);
  const reloadCpuMs = (await cpuOf(program.child)) - changedCpuMs;
  show("  reload, from the last write", `${reloadMs} ms, ${reloadCpuMs} ms of CPU with the requests`);
  show("  event loop held, during (ms)", toLine(await program.eventLoop()));
  await pause(PHASE_MS);
  show("  event loop held, after (ms)", toLine(await program.eventLoop()));
  const { sent, failed } = await endStream();
  show("  requests", `${sent} sent, ${failed} failed`);
  await pause(SETTLE_MS);
  const after = await memoryOf(program);
  show("  memory after the reload", `${after} MB, ${after - emptyServedMb} more than with 1 key after requests`);
  await stop(program);
}
upstream.close();
await rm(folder, { recursive: true });
