import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { fuzz, type Subject } from "./fuzzer.ts";
import { SUBJECTS } from "./subjects/all.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/fuzz.ts", import.meta.url));

// In a process of its own, where nothing but the subjects and what they use is loaded and measured.
test("every subject keeps its invariants on its seeds and on ten seconds of mutations", { timeout: 90_000 }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, "--seconds", "10", "--seed", "1"], {
    encoding: "utf8",
  });
  expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
  for (const { name } of SUBJECTS) {
    const [, executions = "0", covered = "0"] =
      new RegExp(`^${name}: (\\d+) executions, ([\\d.]+)% covered`, "m").exec(stdout) ?? [];
    expect(Number(executions), name).toBeGreaterThan(10);
    expect(Number(covered), name).toBeGreaterThan(80);
  }
});

test("fuzz() finds a fault and shrinks it to what it takes", () => {
  const subject: Subject = {
    name: "word",
    sources: [],
    dictionary: ["k", "e", "y", "!"],
    maxLength: 64,
    limitMs: 1000,
    run: (input) => {
      if (input.includes("key!")) throw new Error("found");
    },
  };
  const report = fuzz(subject, { seeds: ["...ke.y.!..."], milliseconds: 5000, seed: 1 });
  expect(report.findings[0]?.input).toBe("key!");
});
