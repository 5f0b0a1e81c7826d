import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { Report } from "../../bench/report.ts";

test("npm run bench measures Latchkey against a real upstream, and writes tables, JSON and charts", {
  timeout: 90_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), "latchkey-bench-test-"));
  try {
    const json = join(folder, "report.json");
    const args = ["bench/run.ts", "--quick", "--only", "latchkey", "--json", json];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toMatch(/\n\| Latchkey +\| +[\d.]+ \|/);
    expect(stderr).toMatch(/\d s {2}round 1, Latchkey: \d+ req\/s/);
    // Nobody is coloured who does not sit at a terminal.
    expect(stdout + stderr).not.toContain("\u001b");
    const { contenders = [] }: Report = JSON.parse(await readFile(json, "utf8"));
    expect(contenders.map(({ name }) => name)).toEqual(["latchkey"]);
    const [{ saturated, halfLoad, idleRssMb, busyRssMb, downCpuMs, upCpuMs } = {}] = contenders;
    for (const figure of [saturated?.cpuUs, halfLoad?.p999Ms, idleRssMb, busyRssMb, downCpuMs, upCpuMs]) {
      expect(figure).toBeGreaterThan(0);
    }
    expect(await readFile(join(folder, "cpu.svg"), "utf8")).toContain(">Latchkey</text>");
  } finally {
    await rm(folder, { recursive: true });
  }
});
