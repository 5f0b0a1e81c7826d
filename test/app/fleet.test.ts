import { afterEach, beforeEach, expect, test } from "vitest";
import { createBcryptVerifier } from "../../src/app/bcrypt-verifier.ts";
import { systemClock } from "../../src/app/clock.ts";
import { createFlag } from "../../src/app/flag.ts";
import { type Fleet, type FleetOptions, openFleet } from "../../src/app/fleet.ts";
import { createLoader } from "../../src/app/loader.ts";
import { createLineBatches, type LineBytes } from "../../src/telemetry/line-batches.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { createMetrics, type Metrics } from "../../src/telemetry/metrics.ts";
import { formatTotal } from "../../src/telemetry/metrics-total.ts";
import {
  createFolder,
  exchangeBytes,
  type Folder,
  parseResponse,
  sha256Of,
  startUpstream,
  type Upstream,
} from "../e2e/harness.ts";

const KEY = "lk_11111111111111111111111111111111";

let folder: Folder;
let upstream: Upstream;
let fleet: Fleet;
let written: string;
const ALLOWED = 'latchkey_requests_total{route="* /**",decision="allow"';

let metrics: Metrics;

beforeEach(async () => {
  folder = await createFolder();
  upstream = await startUpstream();
  written = "";
  metrics = createMetrics("test");
});

async function open(more: Partial<FleetOptions> = {}): Promise<void> {
  const file = await folder.write(
    "latchkey.yaml",
    `upstream: ${upstream.url}
listen: 127.0.0.1:0
routes: [{ match: "* /**", authenticated: true }]
keys: [{ id: one, hash: "${sha256Of(KEY)}", limits: 10/hour }]
`,
  );
  const workerUrl = (name: string) => new URL(`../../src/app/${name}.ts`, import.meta.url);
  const clock = systemClock;
  const loaderOptions = { configFile: file, overrides: {}, env: {}, clock, isStarting: true };
  const first = await createLoader({ ...loaderOptions, workerUrl: workerUrl("load-worker") }).load();
  if (first.kind === "rejected") throw new Error(JSON.stringify(first.diagnostics));
  const writeLines = (lines: LineBytes): void => {
    written += Buffer.from(lines).toString();
  };
  fleet = await openFleet({
    first,
    tls: undefined,
    threads: 2,
    draining: createFlag(),
    workerUrl: workerUrl("plane-worker"),
    verifier: createBcryptVerifier(workerUrl("bcrypt-worker")),
    keyOperations: { run: async () => ({ kind: "done", body: {} }) },
    log: createLog("info", createLineBatches(writeLines, clock.after), clock.now),
    metrics,
    clock,
    writeLines,
    version: "test",
    ...more,
  });
}

afterEach(async () => {
  await fleet.drain(0);
  await fleet.close();
  await upstream.close();
  await folder.remove();
});

async function ask(connection = "close"): Promise<number> {
  const { address } = fleet;
  if (address.kind !== "tcp") throw new Error("a port was asked for");
  const head = `GET /x HTTP/1.1\r\nHost: a\r\nX-API-Key: ${KEY}\r\nConnection: ${connection}\r\n\r\n`;
  return parseResponse(await exchangeBytes(address.port, head)).status;
}

async function countOf(name: string): Promise<number> {
  const text = await formatTotal(metrics.registry, await fleet.metrics());
  return Number(
    text
      .split("\n")
      .find((line) => line.startsWith(name))
      ?.split(" ")
      .at(-1),
  );
}

test("openFleet() replaces a thread that dies; the port, the buckets and the counts outlive it", {
  timeout: 60_000,
}, async () => {
  await open();
  for (let request = 0; request < 6; request += 1) expect(await ask()).toBe(200);
  expect(await countOf(ALLOWED)).toBe(6);

  const [victim, other] = fleet.threads();
  if (victim === undefined || other === undefined) throw new Error("there are two threads");
  await victim.terminate();
  // The other one takes what comes meanwhile.
  expect(await ask()).toBe(200);
  await expect.poll(() => fleet.threads().length, { timeout: 20_000 }).toBe(2);
  expect(fleet.threads().map(({ number }) => number)).not.toContain(victim.number);
  expect(written).toContain("a worker thread ended, another takes its place");
  expect(await countOf("latchkey_worker_restarts_total")).toBe(1);

  // Seven of ten are spent, whoever counted them.
  const rest = await Promise.all(Array.from({ length: 12 }, () => ask()));
  expect(rest.filter((status) => status === 200)).toHaveLength(3);
  expect(rest.filter((status) => status === 429)).toHaveLength(9);
  expect(await countOf(ALLOWED)).toBe(10);
});

test("openFleet() listens again after all of its threads died at once, and no lock stays held", {
  timeout: 60_000,
}, async () => {
  await open();
  expect(await ask()).toBe(200);
  await Promise.all(fleet.threads().map((thread) => thread.terminate()));
  await expect.poll(() => fleet.isListening()).toBe(false);
  await expect.poll(() => fleet.threads().length, { timeout: 20_000 }).toBe(2);
  const rest = await Promise.all(Array.from({ length: 12 }, () => ask()));
  expect(rest.filter((status) => status === 200)).toHaveLength(9);
  // Nobody had asked for what the dead counted.
  expect(await countOf(ALLOWED)).toBe(10);
});

test("openFleet() ends a thread that hangs and replaces it", { timeout: 60_000 }, async () => {
  await open({ workerUrl: new URL("./hanging-worker.ts", import.meta.url), lookIntervalMs: 500 });
  const hanging = fleet.threads()[0]?.number;
  const numbers = () => fleet.threads().map(({ number }) => number);
  await expect.poll(() => numbers().includes(hanging ?? 0), { timeout: 30_000 }).toBe(false);
  await expect.poll(() => fleet.threads().length, { timeout: 20_000 }).toBe(2);
  expect(await Promise.all(Array.from({ length: 10 }, () => ask()))).toEqual(Array.from({ length: 10 }, () => 200));
  expect(await countOf("latchkey_worker_restarts_total")).toBeGreaterThanOrEqual(1);
});

test("openFleet() tells no thread of a certificate that cannot be used", { timeout: 60_000 }, async () => {
  await open();
  const before = fleet.threads();
  expect(() => fleet.renewTls({ cert: "no certificate", key: "no key" })).toThrow();
  expect(await Promise.all(Array.from({ length: 10 }, () => ask()))).toEqual(Array.from({ length: 10 }, () => 200));
  expect(fleet.threads()).toEqual(before);
});

test("openFleet() begins nothing that would last once it drains, in no thread and in none that begins later", {
  timeout: 60_000,
}, async () => {
  const draining = createFlag();
  await open({ draining });
  const askToUpgrade = () => Promise.all(Array.from({ length: 10 }, () => ask("Upgrade\r\nUpgrade: websocket")));
  draining.raise();
  const refusals = Array.from({ length: 10 }, () => 503);
  expect(await askToUpgrade()).toEqual(refusals);
  const victims = fleet.threads();
  await Promise.all(victims.map((thread) => thread.terminate()));
  await expect.poll(() => fleet.threads().length, { timeout: 20_000 }).toBe(2);
  expect(await askToUpgrade()).toEqual(refusals);
});
