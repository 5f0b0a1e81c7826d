import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, type Folder, type Program, startProgram } from "../e2e/harness.ts";
import { testOver } from "../oracle/only-ours.ts";
import type { Case } from "./bench/case.ts";
import { judge, titleOf } from "./bench/judge.ts";
import { type RecordingUpstream, startRecordingUpstream } from "./bench/recording-upstream.ts";
import { findReached, type Run, runCases } from "./bench/run.ts";
import { CREDENTIALS, toConfig } from "./bench/words.ts";
import { CASES } from "./cases/all.ts";

const DEADLINE_MS = 12_000;

const ADVISORIES = [
  "CVE-2025-64484",
  "CVE-2026-88011",
  "CVE-2026-88004",
  "GHSA-49wc-4hcv-v58q",
  "GHSA-7r4p-vjf4-gxv4",
  "GHSA-5hvv-m4w4-gf6v",
  "GHSA-7x63-xv5r-3p2x",
  "GHSA-7rh7-c77v-6434",
  "GHSA-pxq7-h93f-9jrg",
  "CVE-2022-31813",
  "GHSA-ggv3-7p47-pfv8",
];

const ALL = Object.values(CASES).flat();

describe("the built program, under adversarial bytes", () => {
  let folder: Folder;
  let upstreams: readonly RecordingUpstream[] = [];
  let programs: readonly Program[] = [];
  let adminAnswers = "";
  const outcomes = new Map<Case, Run>();

  beforeAll(async () => {
    folder = await createFolder();
    const [plain, trusting, asked] = await Promise.all([
      startRecordingUpstream(),
      startRecordingUpstream(),
      startRecordingUpstream(),
    ]);
    upstreams = [plain, trusting, asked];
    const start = async (name: string, upstream: RecordingUpstream, listen: string, admin = "") =>
      startProgram(await folder.write(name, toConfig(upstream.url, listen, admin)));
    const [first, second, third] = await Promise.all([
      start("plain.yaml", plain, ""),
      start("trusting.yaml", trusting, 'trustedProxies: ["127.0.0.2/32", "10.0.0.0/8"]'),
      start("authoriser.yaml", asked, "", "admin: { authorizer: 127.0.0.2 }"),
    ]);
    programs = [first, second, third];
    const fronts = {
      plain: { port: first.port, upstream: plain },
      trusting: { port: second.port, upstream: trusting },
      authoriser: { port: third.adminPort, upstream: asked },
    };
    for (const run of await runCases(ALL, fronts, DEADLINE_MS)) outcomes.set(run.sent, run);
    for (const { adminUrl } of programs) {
      for (const path of ["/metrics", "/readyz", "/livez", "/", "/.well-known/jwks.json"]) {
        adminAnswers += await (await fetch(`${adminUrl}${path}`)).text();
      }
    }
    // Only when all connections are closed is it known what the upstream got.
    await Promise.all(programs.map((program) => program.stop()));
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  }, 120_000);
  afterAll(() => folder.remove());

  for (const [attack, cases] of Object.entries(CASES)) {
    for (const sent of cases) {
      const title = titleOf(sent);
      testOver(title)(`${attack}: ${title}`, () => {
        const run = outcomes.get(sent);
        if (run === undefined) throw new Error("the case was not run");
        expect(judge(run, findReached(run.tag, upstreams))).toEqual([]);
      });
    }
  }

  test("no message reached an upstream that belongs to no case", () => {
    const stray = upstreams
      .flatMap(({ connections }) => connections.flatMap(({ messages }) => messages))
      .filter((message) => !/Q\d{4}/.test(JSON.stringify(message)));
    expect(stray).toEqual([]);
  });

  test("no credential stands in a log line, a metric, an admin answer, or any byte an upstream received", () => {
    const written = {
      logs: JSON.stringify(programs.map(({ lines, stderr }) => [lines, stderr()])),
      admin: adminAnswers,
      upstreams: upstreams.flatMap(({ connections }) => connections.map(({ bytes }) => bytes)).join("\n"),
      answers: [...outcomes.values()].map(({ received }) => received.bytes).join("\n"),
    };
    for (const [place, text] of Object.entries(written)) {
      expect(text.length, place).toBeGreaterThan(0);
      for (const [word, credential] of Object.entries(CREDENTIALS)) {
        for (const form of [credential, encodeURIComponent(credential), credential.slice(-24)]) {
          expect(text.includes(form), `{${word}} in ${place}`).toBe(false);
        }
      }
    }
  });

  test("every request left one line in the log, and nothing broke", () => {
    const lines = programs.flatMap(({ lines }) => lines);
    expect(lines.filter((line) => line["reason"] === "internal_error")).toEqual([]);
    const ids = lines.flatMap((line) => (typeof line["requestId"] === "string" ? [line["requestId"]] : []));
    expect(ids.length).toBeGreaterThan(ALL.length / 2);
  });
});

describe("the cases", () => {
  test("every advisory has its case", () => {
    const named = new Set(ALL.map(({ advisory }) => advisory));
    expect(ADVISORIES.filter((advisory) => !named.has(advisory))).toEqual([]);
  });

  test("no two cases of a class have one name", () => {
    for (const cases of Object.values(CASES)) {
      const names = cases.map(titleOf);
      expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
    }
  });
});
