import { expect, test } from "vitest";
import type { Report } from "../../bench/report.ts";
import { readPageOf } from "../docs/blocks.ts";
import { findFault } from "../docs/faults.ts";
import { runPage } from "../docs/session.ts";

const NAME = "test/bench/run.peers.test.ts";
// Some forty seconds where nobody else is at work.
const PATIENCE_MS = 240_000;

test("what docs/performance.md shows measures Latchkey beside HAProxy, and writes tables, JSON and charts", {
  timeout: PATIENCE_MS,
}, async () => {
  const page = await readPageOf(NAME, "docs/performance.md");
  const ran = await runPage(page, { name: NAME, enter: [], programs: {}, env: {}, deadlineMs: PATIENCE_MS });
  expect(ran.flatMap(findFault)).toEqual([]);

  const outputOf = (start: string) => ran.find(({ text }) => text.startsWith(start))?.output ?? `no ${start}`;
  const bench = outputOf("npm run bench ");
  expect(bench).toMatch(/\n\| HAProxy +\| +[\d.]+ \| +1\.00 \|/);
  expect(bench).toMatch(/\n\| Latchkey +\| +[\d.]+ \| +[\d.]+ \|/);
  expect(bench).toMatch(/\d s {2}round 1, Latchkey: \d+ req\/s/);
  expect(outputOf("npm run bench:micro ")).toMatch(/\n\| decide\(\) +\| allow: typical +\| +\d+ \|/);
  // Nobody is coloured who does not sit at a terminal.
  expect(ran.map(({ output }) => output).join("")).not.toContain("\u001b");

  const { contenders = [] }: Report = JSON.parse(outputOf("grep "));
  expect(contenders.map(({ name }) => name)).toEqual(["haproxy", "latchkey"]);
  for (const { saturated, halfLoad, idleRssMb, busyRssMb, downCpuMs, upCpuMs } of contenders) {
    for (const figure of [saturated.cpuUs, halfLoad.p999Ms, idleRssMb, busyRssMb, downCpuMs, upCpuMs]) {
      expect(figure).toBeGreaterThan(0);
    }
  }
});
