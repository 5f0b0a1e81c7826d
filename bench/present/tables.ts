import type {
  ChecksFigures,
  Circumstances,
  ContenderFigures,
  Growth,
  MicroFigures,
  Paced,
  Percentiles,
  Report,
  StartFigures,
} from "../report.ts";
import { alignTable } from "./align.ts";

// What everything is quoted against: the same job in C, and the pass-through in Node.
const SAME_JOB = "haproxy";
const PASS_THROUGH = "http-proxy-3";

/** Every table that the report has figures for, with its title. */
export function toTables(report: Report): readonly { readonly title: string; readonly table: string }[] {
  const { contenders, checks, growth, start, micro } = report;
  const tables = [];
  if (contenders !== undefined) {
    tables.push({ title: "Cost and throughput", table: toCostTable(contenders) });
    tables.push({ title: "Latency, ms (p50 / p99 / p99.9)", table: toLatencyTable(contenders) });
    tables.push({ title: "Memory and bodies", table: toMemoryTable(contenders) });
    tables.push({ title: "Targets", table: toTargetTable(contenders, checks) });
  }
  if (growth !== undefined) tables.push({ title: "Growth", table: toGrowthTable(growth) });
  if (start !== undefined) tables.push({ title: "Start", table: toStartTable(start) });
  if (micro !== undefined) tables.push({ title: "Parts", table: toMicroTable(micro) });
  return tables;
}

export function toCostTable(contenders: readonly ContenderFigures[]): string {
  const sameJob = find(contenders, SAME_JOB)?.saturated;
  const passThrough = find(contenders, PASS_THROUGH)?.saturated;
  return alignTable(
    ["", "CPU µs per request", "÷ HAProxy", "requests/s", "× http-proxy-3"],
    contenders.map(({ label, saturated }) => [
      label,
      saturated.cpuUs.toFixed(1),
      toRatio(saturated.cpuUs, sameJob?.cpuUs),
      toCount(saturated.perSecond),
      toRatio(saturated.perSecond, passThrough?.perSecond),
    ]),
  );
}

export function toLatencyTable(contenders: readonly ContenderFigures[]): string {
  const common = contenders[0]?.commonRate.perSecond ?? 0;
  return alignTable(
    ["", "saturated", "at half its throughput", "that is", `all at ${toCount(common)}/s`],
    contenders.map(({ label, saturated, halfLoad, commonRate }) => [
      label,
      toLatencies(saturated),
      toPaced(halfLoad),
      `${toCount(halfLoad.perSecond)}/s`,
      toPaced(commonRate),
    ]),
  );
}

export function toMemoryTable(contenders: readonly ContenderFigures[]): string {
  const sameJob = find(contenders, SAME_JOB);
  return alignTable(
    ["", "MB idle", "MB at 1,000 connections", "CPU ms per 100 MB down", "÷ HAProxy", "up", "÷ HAProxy"],
    contenders.map(({ label, idleRssMb, busyRssMb, downCpuMs, upCpuMs }) => [
      label,
      idleRssMb.toFixed(0),
      busyRssMb.toFixed(0),
      downCpuMs.toFixed(0),
      toRatio(downCpuMs, sameJob?.downCpuMs),
      upCpuMs.toFixed(0),
      toRatio(upCpuMs, sameJob?.upCpuMs),
    ]),
  );
}

/** The project's own targets; a row for each that this run can judge. */
export function toTargetTable(contenders: readonly ContenderFigures[], checks: ChecksFigures | undefined): string {
  const ours = find(contenders, "latchkey");
  const sameJob = find(contenders, SAME_JOB)?.saturated.cpuUs;
  const passThrough = find(contenders, PASS_THROUGH)?.saturated.perSecond;
  const rows: (readonly [target: string, bound: string, measured: string, met: boolean])[] = [];
  const add = (target: string, bound: string, measured: number, digits: number, met: boolean, unit: string) =>
    rows.push([target, bound, `${measured.toFixed(digits)}${unit}`, met]);
  if (ours !== undefined) {
    const { cpuUs, perSecond } = ours.saturated;
    if (sameJob !== undefined) {
      const ratio = cpuUs / sameJob;
      add("CPU per request, of HAProxy's", "at most 1.9", ratio, 2, ratio <= 1.9, "");
    }
    if (passThrough !== undefined) {
      const ratio = perSecond / passThrough;
      add("throughput, of keep-alive http-proxy-3's", "at least 2.75", ratio, 2, ratio >= 2.75, "");
    }
    if (checks !== undefined) {
      const { meanPercent, errorPercent, starts } = checks;
      const doubt = `% ± ${errorPercent.toFixed(1)}, ${starts.length} starts`;
      add("throughput that checks cost", "at most 10%", meanPercent, 1, meanPercent <= 10, doubt);
    }
    add("memory, idle", "at most 60 MB", ours.idleRssMb, 0, ours.idleRssMb <= 60, " MB");
    add("memory at 1,000 connections", "at most 120 MB", ours.busyRssMb, 0, ours.busyRssMb <= 120, " MB");
  }
  return alignTable(
    ["", "target", "measured", ""],
    rows.map(([target, bound, measured, met]) => [target, bound, measured, met ? "met" : "missed"]),
  );
}

export function toGrowthTable(growth: readonly Growth[]): string {
  const rows = growth.flatMap(({ of, points }) =>
    points.map(({ at, cpuUs, rssMb }, index) => [
      index === 0 ? of : "",
      toCount(at),
      cpuUs.toFixed(1),
      rssMb.toFixed(0),
    ]),
  );
  return alignTable(["", "of them", "CPU µs per request", "MB"], rows);
}

export function toStartTable(start: readonly StartFigures[]): string {
  return alignTable(
    ["", "ms to ready", "of CPU", "MB when settled"],
    start.map(({ variant, wallMs, cpuMs, rssMb }) => [variant, wallMs.toFixed(0), cpuMs.toFixed(0), rssMb.toFixed(0)]),
  );
}

export function toMicroTable(micro: readonly MicroFigures[]): string {
  return alignTable(
    ["", "", "ns, median", "least", "bytes allocated"],
    micro.map(({ group, name, medianNs, leastNs, bytes }, index) => [
      micro[index - 1]?.group === group ? "" : group,
      name,
      medianNs.toFixed(0),
      leastNs.toFixed(0),
      toCount(bytes),
    ]),
  );
}

/** What each does to a request: figures of different jobs are no race. */
export function toJobTable(contenders: readonly ContenderFigures[]): string {
  return alignTable(
    ["", "version", "what it does to a request"],
    contenders.map(({ label, version, job }) => [label, version, job]),
    ["left", "left", "left"],
  );
}

export function describe(circumstances: Circumstances): string {
  const { takenAt, revision, processor, cores, memoryGb, kernel, node, loadAverage, preliminary, settings } =
    circumstances;
  const doubt = preliminary === undefined ? "" : `**Preliminary: ${preliminary}.** Ratios tell more than figures.\n\n`;
  return `${doubt}Taken ${takenAt.slice(0, 10)} at revision ${revision} on ${processor}, ${cores} cores, ${memoryGb} GB, Linux ${kernel}, Node ${node}, load average before it ${loadAverage}. ${settings.rounds} rounds of ${settings.seconds} s after ${settings.warmUpSeconds} s of warming up, ${settings.connections} connections, ${toCount(settings.keys)} keys, answers of ${settings.answerBytes} bytes.`;
}

const find = (contenders: readonly ContenderFigures[], wanted: string): ContenderFigures | undefined =>
  contenders.find(({ name }) => name === wanted);

const toCount = (value: number): string => Math.round(value).toLocaleString("en");

const toRatio = (value: number, base: number | undefined): string =>
  base === undefined ? "" : (value / base).toFixed(2);

/** Marked as an upper bound where the client's own delays were above the median. */
const toPaced = (paced: Paced): string => `${paced.clientMs > paced.p50Ms ? "≤ " : ""}${toLatencies(paced)}`;

/** As many digits as a latency of that size is known to. */
const toLatencies = ({ p50Ms, p99Ms, p999Ms }: Percentiles): string =>
  [p50Ms, p99Ms, p999Ms].map((ms) => (ms < 10 ? ms.toFixed(2) : ms.toFixed(0))).join(" / ");
