import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { parseOptions, USAGE } from "../../bench/options.ts";
import { drawBars, drawLine } from "../../bench/present/chart.ts";
import { toCharts } from "../../bench/present/charts.ts";
import { renderPage } from "../../bench/present/page.ts";
import {
  describe as describeRun,
  toCostTable,
  toLatencyTable,
  toMemoryTable,
  toTargetTable,
} from "../../bench/present/tables.ts";
import type { ChecksFigures, Circumstances, ContenderFigures, Report } from "../../bench/report.ts";

const CIRCUMSTANCES: Circumstances = {
  takenAt: "2026-11-22T10:00:00.000Z",
  revision: "abc1234",
  node: "v26.0.0",
  kernel: "6.1",
  processor: "A Processor",
  cores: 2,
  memoryGb: 24,
  loadAverage: 0.1,
  preliminary: undefined,
  settings: { rounds: 3, seconds: 4, warmUpSeconds: 4, connections: 32, keys: 1000, answerBytes: 204 },
};

function contender(name: string, cpuUs: number, perSecond: number, mb = 40): ContenderFigures {
  const saturated = { perSecond, cpuUs, p50Ms: 0.456, p99Ms: 1.5, p999Ms: 12.4 };
  const paced = { perSecond: 1500, p50Ms: 0.2, p99Ms: 0.9, p999Ms: 150.6, clientMs: 0.2 };
  return {
    name,
    label: name.toUpperCase(),
    job: `what ${name} does`,
    version: "1.0",
    saturated,
    rounds: [saturated],
    halfLoad: paced,
    commonRate: paced,
    idleRssMb: mb,
    busyRssMb: mb * 2,
    downCpuMs: cpuUs * 10,
    upCpuMs: cpuUs * 5,
  };
}

const CONTENDERS = [
  contender("haproxy", 14, 68_600, 15),
  contender("latchkey", 28, 33_000),
  contender("latchkey-unchecked", 25, 36_000),
  contender("http-proxy-3", 70, 12_000, 64),
];

describe("the tables", () => {
  test("cost is quoted against HAProxy, throughput against http-proxy-3", () => {
    expect(toCostTable(CONTENDERS)).toBe(
      `
|                    | CPU µs per request | ÷ HAProxy | requests/s | × http-proxy-3 |
| ------------------ | -----------------: | --------: | ---------: | -------------: |
| HAPROXY            |               14.0 |      1.00 |     68,600 |           5.72 |
| LATCHKEY           |               28.0 |      2.00 |     33,000 |           2.75 |
| LATCHKEY-UNCHECKED |               25.0 |      1.79 |     36,000 |           3.00 |
| HTTP-PROXY-3       |               70.0 |      5.00 |     12,000 |           1.00 |`.trim(),
    );
  });

  test("without what a ratio is quoted against there is none", () => {
    expect(toCostTable([contender("latchkey", 28, 33_000)])).toBe(
      `
|          | CPU µs per request | ÷ HAProxy | requests/s | × http-proxy-3 |
| -------- | -----------------: | --------: | ---------: | -------------: |
| LATCHKEY |               28.0 |           |     33,000 |                |`.trim(),
    );
  });

  test("latencies have as many digits as they are known to", () => {
    expect(toLatencyTable([contender("latchkey", 28, 33_000)])).toBe(
      `
|          |        saturated | at half its throughput | that is |    all at 1,500/s |
| -------- | ---------------: | ---------------------: | ------: | ----------------: |
| LATCHKEY | 0.46 / 1.50 / 12 |      0.20 / 0.90 / 151 | 1,500/s | 0.20 / 0.90 / 151 |`.trim(),
    );
  });

  test("a latency that may be the client's own is an upper bound", () => {
    const [figures] = CONTENDERS;
    if (figures === undefined) throw new Error("no contender");
    const halfLoad = { ...figures.halfLoad, clientMs: 0.21 };
    expect(
      toLatencyTable([{ ...figures, halfLoad }])
        .split("\n")
        .at(-1),
    ).toBe("| HAPROXY | 0.46 / 1.50 / 12 |    ≤ 0.20 / 0.90 / 151 | 1,500/s | 0.20 / 0.90 / 151 |");
  });

  test("memory is in MB, bodies are quoted against HAProxy each way", () => {
    expect(toMemoryTable(CONTENDERS.slice(0, 2))).toBe(
      `
|          | MB idle | MB at 1,000 connections | CPU ms per 100 MB down | ÷ HAProxy |  up | ÷ HAProxy |
| -------- | ------: | ----------------------: | ---------------------: | --------: | --: | --------: |
| HAPROXY  |      15 |                      30 |                    140 |      1.00 |  70 |      1.00 |
| LATCHKEY |      40 |                      80 |                    280 |      2.00 | 140 |      2.00 |`.trim(),
    );
  });

  test("a target is met or missed, and left out where this run cannot judge it", () => {
    const rowsOf = (contenders: readonly ContenderFigures[], checks?: ChecksFigures) =>
      toTargetTable(contenders, checks).split("\n").slice(2);
    expect(rowsOf(CONTENDERS)).toEqual([
      "| CPU per request, of HAProxy's            |    at most 1.9 |     2.00 | missed |",
      "| throughput, of keep-alive http-proxy-3's |  at least 2.75 |     2.75 | met    |",
      "| memory, idle                             |  at most 60 MB |    40 MB | met    |",
      "| memory at 1,000 connections              | at most 120 MB |    80 MB | met    |",
    ]);
    expect(rowsOf([contender("latchkey", 28, 33_000, 61)])).toEqual([
      "| memory, idle                |  at most 60 MB |    61 MB | missed |",
      "| memory at 1,000 connections | at most 120 MB |   122 MB | missed |",
    ]);
    expect(rowsOf([contender("haproxy", 14, 68_600)])).toEqual([]);
    const severalStarts = { starts: [12, 9.5, 10], meanPercent: 10.5, errorPercent: 0.764 };
    expect(rowsOf([contender("latchkey", 28, 33_000)], severalStarts)[0]).toBe(
      "| throughput that checks cost |    at most 10% | 10.5% ± 0.8, 3 starts | missed |",
    );
  });

  test("a busy machine is told of before anything else", () => {
    expect(describeRun({ ...CIRCUMSTANCES, preliminary: "the machine was busy" })).toMatch(
      /^\*\*Preliminary: the machine was busy\.\*\*/,
    );
    expect(describeRun(CIRCUMSTANCES)).toMatch(/^Taken 2026-11-22 at revision abc1234 on A Processor, 2 cores/);
  });
});

describe("the charts", () => {
  test("drawBars() makes bars as long as their values, and texts that are no markup", () => {
    const svg = drawBars("a < b", [
      { label: "one & only", value: 10, ours: true },
      { label: "two", value: 5, ours: false },
    ]);
    const widths = [...svg.matchAll(/<rect x='240' y='\d+' width='([\d.]+)'/g)].map(([, width]) => Number(width));
    expect(widths).toEqual([410, 205]);
    expect(svg).toContain("<title>a &lt; b</title>");
    expect(svg).toContain(">one &amp; only</text>");
  });

  test("drawLine() puts powers of ten at equal distances and nothing at the bottom", () => {
    const svg = drawLine("growth", "keys", [
      { at: 10, value: 25 },
      { at: 100, value: 50 },
      { at: 1000, value: 100 },
    ]);
    expect(/points='([^']+)'/.exec(svg)?.[1]).toBe("64.0,221.0 372.0,166.0 680.0,56.0");
    expect(svg).toContain(">1,000</text>");
  });

  test("toCharts() draws what the report has", () => {
    const growth = [{ of: "keys", points: [{ at: 10, cpuUs: 25, rssMb: 60 }] }] as const;
    expect([...toCharts({ circumstances: CIRCUMSTANCES, contenders: CONTENDERS, growth }).keys()]).toEqual([
      "cpu.svg",
      "throughput.svg",
      "growth-keys.svg",
    ]);
    expect(toCharts({ circumstances: CIRCUMSTANCES }).size).toBe(0);
  });
});

describe("docs/performance.md", () => {
  test("is what its report says, and so are its charts", async () => {
    const report: Report = JSON.parse(await readFile("docs/performance/report.json", "utf8"));
    const page = await readFile("docs/performance.md", "utf8");
    expect(renderPage(page, report)).toBe(page);
    const charts = toCharts(report);
    expect(charts.size).toBe(6);
    for (const [name, chart] of charts) expect(await readFile(`docs/performance/${name}`, "utf8"), name).toBe(chart);
  });

  test("renderPage() refuses a page that lacks a section or asks for another", () => {
    const report = { circumstances: CIRCUMSTANCES };
    expect(() => renderPage("nothing", report)).toThrow("no place for circumstances, jobs, cost");
    expect(() => renderPage("<!-- bench:speed -->\n<!-- end of bench:speed -->", report)).toThrow("speed");
  });
});

describe("parseOptions()", () => {
  test("takes everything by default, and shortens with --quick", () => {
    const usual = parseOptions([]);
    const quick = parseOptions(["--quick", "--only", "haproxy, latchkey"]);
    expect(usual).toMatchObject({ rounds: 3, seconds: 4, docs: false });
    expect(typeof usual === "object" && usual.contenders.length).toBe(10);
    expect(quick).toMatchObject({ rounds: 1, seconds: 1, contenders: [{ name: "haproxy" }, { name: "latchkey" }] });
  });

  test("takes each option as docs/performance.md writes it, and the usage has no other", async () => {
    const page = await readFile("docs/performance.md", "utf8");
    const written = [...page.matchAll(/^\| `(--[^`]+)` \|/gm)].map(([, option = ""]) => option.split(" "));
    for (const option of written) expect(parseOptions(option), option.join(" ")).toBeTypeOf("object");
    const named = [...USAGE.matchAll(/^ {2}(--\w+)/gm)].map(([, option]) => option);
    expect(written.map(([option]) => option).toSorted()).toEqual(named.toSorted());
  });

  test("says what is wrong", () => {
    expect(parseOptions(["--only", "apache"])).toMatch(/^--only: there is no apache\n/);
    expect(parseOptions(["--rounds", "0"])).toMatch(/^--rounds takes/);
    expect(parseOptions(["--seconds", "0.5"])).toMatch(/^--seconds takes/);
    expect(parseOptions(["--docs", "--only", "latchkey"])).toMatch(/^--docs is of all contenders/);
    expect(parseOptions(["--fast"])).toContain("Unknown option '--fast'");
  });
});
