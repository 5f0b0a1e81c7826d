import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type FuzzReport, fuzz, type Subject } from "../test/fuzz/fuzzer.ts";
import { SUBJECTS } from "../test/fuzz/subjects/all.ts";

// Fuzzes every subject, or `--only NAME`, for `--seconds N` in all; `--seed N` repeats a run. Exits with 1 on a finding.
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    only: { type: "string" },
  },
});

const chosen = SUBJECTS.filter(({ name }) => values.only === undefined || values.only === name);
if (chosen.length === 0) throw new Error(`expected one of ${SUBJECTS.map(({ name }) => name).join(", ")}`);
const milliseconds = (Number(values.seconds) * 1000) / chosen.length;
let findings = 0;
for (const subject of chosen) {
  const report = fuzz(subject, { seeds: readSeeds(subject), milliseconds, seed: Number(values.seed) });
  describe(subject, report);
  findings += report.findings.length;
}
process.exitCode = findings === 0 ? 0 : 1;

function readSeeds({ name }: Subject): readonly string[] {
  const folder = new URL(`../test/fuzz/seeds/${name}/`, import.meta.url);
  return readdirSync(folder)
    .sort()
    .map((file) => readFileSync(new URL(file, folder), "utf8"));
}

function describe({ name }: Subject, { executions, corpus, coverage, findings: found }: FuzzReport): void {
  let covered = 0;
  let total = 0;
  for (const file of coverage.values()) {
    covered += file.covered;
    total += file.total;
  }
  const share = ((100 * covered) / Math.max(1, total)).toFixed(1);
  console.log(
    `${name}: ${executions} executions, ${share}% covered, corpus ${corpus.length}, ${found.length} findings`,
  );
  for (const { input, error } of found) {
    console.log(`  ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    console.log(`  input (seed ${values.seed}): ${JSON.stringify(input)}`);
  }
}
