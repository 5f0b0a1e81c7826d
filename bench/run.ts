/** `npm run bench`: measures, prints tables, writes JSON and charts. See docs/performance.md. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { measureChecks } from "./checks.ts";
import { compare } from "./compare.ts";
import { measureGrowth } from "./growth.ts";
import { describeCircumstances } from "./machine/circumstances.ts";
import { findNeeds } from "./machine/needs.ts";
import { CORES } from "./machine/process.ts";
import { progress } from "./machine/progress.ts";
import { ANSWER_BYTES } from "./machine/upstream.ts";
import { measureParts } from "./micro/run.ts";
import { type Options, parseOptions } from "./options.ts";
import { toCharts } from "./present/charts.ts";
import { renderPage } from "./present/page.ts";
import { describe, toTables } from "./present/tables.ts";
import type { Report, Settings } from "./report.ts";
import { measureStart } from "./start.ts";

const PAGE = fileURLToPath(new URL("../docs/performance.md", import.meta.url));
const DOCS_REPORT = fileURLToPath(new URL("../docs/performance/report.json", import.meta.url));
const CONNECTIONS = 32;
const KEYS = 1000;
const STARTS = 10;
const QUICK_STARTS = 2;
const CHECKED_STARTS = 12;

const options = parseOptions(process.argv.slice(2));
if (typeof options === "string") fail(options);
else {
  const problem = await findNeeds(options.contenders, options.install);
  if (problem !== undefined) fail(problem);
  else await run(options);
}

function fail(problem: string): void {
  process.stderr.write(problem);
  process.exitCode = 2;
}

async function run(options: Options): Promise<void> {
  const { rounds, seconds, warmUpSeconds } = options;
  const settings = { rounds, seconds, warmUpSeconds, connections: CONNECTIONS, keys: KEYS, answerBytes: ANSWER_BYTES };
  const circumstances = describeCircumstances(settings, options.quick);
  progress(`load average ${circumstances.loadAverage}${circumstances.preliminary ? ": figures are preliminary" : ""}`);
  // This program has nothing to do while it measures; what little it does shall not be on the proxy's core.
  spawnSync("taskset", ["-cpa", CORES.load, String(process.pid)]);
  const folder = await mkdtemp(join(tmpdir(), "latchkey-bench-"));
  // However it ends, by Ctrl-C too.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const report = toRounded({ circumstances, ...(await measure(options, settings, folder)) });
  print(report);
  if (options.json !== undefined) await writeReport(options.json, report);
  if (options.docs) {
    await writeReport(DOCS_REPORT, report);
    await writeFile(PAGE, renderPage(await readFile(PAGE, "utf8"), report));
  }
}

async function measure(options: Options, settings: Settings, folder: string): Promise<Omit<Report, "circumstances">> {
  const { contenders, docs, quick, seconds, warmUpSeconds } = options;
  const grow = () => measureGrowth({ seconds: Math.min(2, seconds), warmUpSeconds, quick }, folder);
  if (options.growth && !docs) return { growth: await grow() };
  const compared = { contenders: await compare(contenders, settings, folder) };
  if (!docs) return compared;
  const checks = await measureChecks(quick ? QUICK_STARTS : CHECKED_STARTS, settings, folder);
  const start = await measureStart(quick ? QUICK_STARTS : STARTS, folder);
  progress("parts");
  const micro = measureParts(quick);
  return { ...compared, checks, growth: await grow(), start, micro };
}

function print(report: Report): void {
  const bold = (title: string) => (process.stdout.isTTY ? `\u001b[1m${title}\u001b[22m` : title);
  for (const { title, table } of toTables(report)) process.stdout.write(`\n${bold(title)}\n\n${table}\n`);
  process.stdout.write(`\n${describe(report.circumstances)}\n`);
}

/** The report, and its charts beside it. */
async function writeReport(file: string, report: Report): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  for (const [name, chart] of toCharts(report)) await writeFile(join(dirname(file), name), chart);
  progress(`written: ${file}`);
}

/** Nothing here is known to more than a thousandth; what is printed and drawn is what is written. */
function toRounded(report: Report): Report {
  const round = (_: string, value: unknown) => (typeof value === "number" ? Math.round(value * 1000) / 1000 : value);
  return JSON.parse(JSON.stringify(report, round));
}
