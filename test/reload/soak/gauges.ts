import { readdir, readFile } from "node:fs/promises";
import type { Program } from "../../e2e/harness.ts";

/** What the program held at one moment. */
export interface Sample {
  readonly atMs: number;
  readonly rssMb: number;
  readonly heapMb: number;
  readonly descriptors: number;
  readonly handles: number;
  readonly resources: number;
  readonly upgrades: number;
}

const MEBIBYTE = 1024 * 1024;

export async function takeSample(program: Program, nowMs: number): Promise<Sample> {
  const proc = `/proc/${program.process.pid}`;
  const [status, descriptors, metrics] = await Promise.all([
    readFile(`${proc}/status`, "utf8"),
    readdir(`${proc}/fd`),
    fetch(`${program.adminUrl}/metrics`).then((response) => response.text()),
  ]);
  const read = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(metrics)?.[1] ?? Number.NaN);
  return {
    atMs: nowMs,
    rssMb: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024,
    heapMb: read("nodejs_heap_size_used_bytes") / MEBIBYTE,
    descriptors: descriptors.length,
    handles: read("nodejs_active_handles_total"),
    resources: read("nodejs_active_resources_total"),
    upgrades: read("latchkey_upgraded_connections_open"),
  };
}

export function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Growth by least squares, a minute. */
export function slopeAMinute(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const meanX = samples.reduce((sum, { atMs }) => sum + atMs, 0) / samples.length;
  const meanY = samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const covariance = samples.reduce((sum, sample) => sum + (sample.atMs - meanX) * (of(sample) - meanY), 0);
  const variance = samples.reduce((sum, { atMs }) => sum + (atMs - meanX) ** 2, 0);
  return variance === 0 ? 0 : (covariance / variance) * 60_000;
}
