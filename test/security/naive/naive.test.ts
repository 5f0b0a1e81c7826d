import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { judge } from "../bench/judge.ts";
import { type RecordingUpstream, startRecordingUpstream } from "../bench/recording-upstream.ts";
import { findReached, runCases } from "../bench/run.ts";
import { CASES } from "../cases/all.ts";

const PROXY = fileURLToPath(new URL("./naive-proxy.ts", import.meta.url));
const AUTHORIZER = fileURLToPath(new URL("./naive-authorizer.ts", import.meta.url));
const DEADLINE_MS = 3000;

/** Cases in which the naive proxy must do harm, by class; fewer would mean that the bench had become blind. */
const LEAST_FAILURES: Readonly<Record<string, number>> = {
  target: 140,
  framing: 15,
  headers: 120,
  identity: 250,
  credential: 30,
  method: 65,
  upgrade: 12,
  response: 2,
  authoriser: 380,
};

/** Advisories it repeats: the library's own, and those a check like this one invites. */
const REPEATED: readonly string[] = [
  "CVE-2025-64484",
  "CVE-2026-88011",
  "GHSA-49wc-4hcv-v58q",
  "GHSA-7r4p-vjf4-gxv4",
  "GHSA-ggv3-7p47-pfv8",
  "GHSA-7x63-xv5r-3p2x",
  "GHSA-pxq7-h93f-9jrg",
];

// An odd status may be a matter of taste; what reached the upstream, or the wrong client, is not. To a gateway 200
// is what lets a request reach it.
const HARM =
  /^answered \[200\], expected|reached the upstream|upstream also received|^two of |^bytes that are no message|broken answer looks complete|the client got/;

describe("a key check on http-proxy-3 alone, and a forward-auth endpoint of the same kind", () => {
  let upstream: RecordingUpstream;
  const children: ChildProcess[] = [];
  const failures = new Map<string, number>();
  const advisories = new Set<string>();

  beforeAll(async () => {
    upstream = await startRecordingUpstream();
    const start = async (program: string): Promise<number> => {
      const child = spawn(process.execPath, [program, String(upstream.port)], { stdio: ["ignore", "pipe", "ignore"] });
      children.push(child);
      return Number(String((await once(child.stdout, "data"))[0]));
    };
    const [front, asked] = (await Promise.all([start(PROXY), start(AUTHORIZER)])).map((port) => ({ port, upstream }));
    if (front === undefined || asked === undefined) throw new Error("a naive program has no port");
    const classes = Object.entries(CASES).filter(([attack]) => attack !== "address" && attack !== "resource");
    const attackOf = new Map(classes.flatMap(([attack, cases]) => cases.map((sent) => [sent, attack] as const)));
    const runs = await runCases(
      [...attackOf.keys()],
      { plain: front, trusting: front, authoriser: asked },
      DEADLINE_MS,
    );
    for (const child of children) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await upstream.close();
    for (const run of runs) {
      const problems = judge(run, findReached(run.tag, [upstream]));
      if (!problems.some((problem) => HARM.test(problem))) continue;
      const attack = attackOf.get(run.sent) ?? "";
      failures.set(attack, (failures.get(attack) ?? 0) + 1);
      if (run.sent.advisory !== undefined) advisories.add(run.sent.advisory);
    }
  }, 120_000);
  afterAll(() => {
    for (const child of children) child.kill("SIGKILL");
  });

  test.for(Object.entries(LEAST_FAILURES))("does harm in many cases of a class: %s, at least %i", ([attack, least]) => {
    expect(failures.get(attack) ?? 0).toBeGreaterThanOrEqual(least);
  });

  test("repeats published vulnerabilities, so that the bench is seen to find them", () => {
    expect([...advisories].sort()).toEqual(expect.arrayContaining([...REPEATED]));
  });
});
