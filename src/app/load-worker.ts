import { platform, setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import type { CompileInput } from "../config/compile.ts";
import type { Diagnostic } from "../config/diagnostics.ts";
import { describeCopyFailure, keepLastGood, openLastGood } from "../config/last-good.ts";
import {
  type FindingList,
  type LoadedConfiguration,
  type Overrides,
  parseConfiguration,
  type RejectedConfiguration,
} from "../config/load.ts";
import { type Basis, compareWith } from "../config/reload-comparison.ts";
import type { Finding } from "../config/report.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { createSourceIo, readSnapshot } from "../config/source.ts";
import type { KeyTable } from "../policy/key.ts";
import { giveBackMemory } from "./give-back.ts";

/** Where a configuration is loaded from, and what else has a say in it. */
export interface LoadRequest {
  readonly configFile: string;
  readonly overrides: Overrides;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: number;
  /** The directory of the last good copy, to read that in place of the files themselves. */
  readonly copy: string | undefined;
  /** What is in force, to say how the new configuration differs from it. */
  readonly basis: Basis | undefined;
}

/** What the thread is asked: one load after another, each perhaps followed by a copy, and to hold nothing at its end. */
export type LoadQuestion =
  | { readonly kind: "load"; readonly request: LoadRequest }
  | { readonly kind: "keep"; readonly directory: string; readonly nowMs: number }
  | { readonly kind: "empty" };

export type LoadAnswer =
  /** All of a configuration that can go to another thread; its keys are shared, not copied. */
  | (Omit<LoadedConfiguration, "configuration"> & { readonly input: CompileInput; readonly keys: KeyTable })
  | RejectedConfiguration
  | { readonly kind: "kept"; readonly problem: string | undefined }
  | { readonly kind: "emptied" };

let snapshot: Snapshot | undefined;

parentPort?.on("message", async (question: LoadQuestion) => parentPort?.postMessage(await answer(question)));

async function answer(question: LoadQuestion): Promise<LoadAnswer> {
  switch (question.kind) {
    case "load":
      return load(question.request);
    case "keep":
      return { kind: "kept", problem: await keep(question.directory, question.nowMs) };
    case "empty":
      snapshot = undefined;
      // V8 keeps the pages of a thread that ended for the other threads until one of these happens to let go of them:
      // 50 MB after a load of 100,000 keys. What is collected before the end goes back to the system.
      giveBackMemory();
      return { kind: "emptied" };
    default:
      return question satisfies never;
  }
}

async function load({ configFile, overrides, env, nowMs, copy, basis }: LoadRequest): Promise<LoadAnswer> {
  if (basis !== undefined) giveWay();
  snapshot = undefined;
  const io = copy === undefined ? createSourceIo(env) : (await openLastGood(copy, env)).io;
  const read = await readSnapshot(configFile, io);
  const result = parseConfiguration(read, overrides, nowMs, createBoundedFindings);
  if (result.kind === "rejected") return { ...result, diagnostics: bound(result.diagnostics) };
  snapshot = read;
  const { kind, configuration, input, warnings, files, digests } = result;
  const comparison = basis && compareWith(basis, configuration);
  const keys = configuration.policy.keys.table;
  return { kind, input, keys, warnings: bound(warnings), files, digests, comparison };
}

// Of 19; a thread of this niceness gets a quarter of a busy core. A key that is revoked should not wait for long.
const NICENESS = 5;

/** Requests are answered meanwhile, perhaps on the only core. On Linux a priority is a thread's own (setpriority(2), Notes). */
function giveWay(): void {
  if (platform() !== "linux") return;
  try {
    setPriority(NICENESS);
  } catch {
    // A seccomp profile may forbid it; loading is as good without.
  }
}

// Beyond this the finder only counts: where every record is wrong, the first ones say how.
const MAX_FINDINGS = 1_000;

function createBoundedFindings(): FindingList {
  const kept = { error: [] as Finding[], warning: [] as Finding[] };
  let more = 0;
  return {
    push: (finding) => {
      if (kept[finding.severity].length < MAX_FINDINGS) kept[finding.severity].push(finding);
      else more += 1;
    },
    list: () => {
      const all = [...kept.error, ...kept.warning];
      if (more === 0) return all;
      const message = `There are ${more} more findings; \`latchkey check\` shows all`;
      return [...all, { severity: "warning", file: "", path: [], message }];
    },
  };
}

// Where every record of a large file is wrong, the receiver has requests to answer, and a reader stops long before.
const MAX_DIAGNOSTICS = 2_500;

function bound(all: readonly Diagnostic[]): readonly Diagnostic[] {
  if (all.length <= MAX_DIAGNOSTICS) return all;
  const isError = all.some(({ severity }) => severity === "error");
  const message = `There are ${all.length - MAX_DIAGNOSTICS} more findings; \`latchkey check\` shows all`;
  const severity = isError ? "error" : "warning";
  return [...all.slice(0, MAX_DIAGNOSTICS), { severity, file: "", line: 0, column: 0, path: "", message }];
}

async function keep(directory: string, nowMs: number): Promise<string | undefined> {
  if (snapshot === undefined) return "nothing was loaded";
  try {
    await keepLastGood(snapshot, directory, nowMs);
    return undefined;
  } catch (error) {
    return describeCopyFailure(error);
  }
}
