import { parentPort } from "node:worker_threads";
import type { CompileInput } from "../config/compile.ts";
import type { Diagnostic } from "../config/diagnostics.ts";
import { describeCopyFailure, keepLastGood, openLastGood } from "../config/last-good.ts";
import {
  type LoadedConfiguration,
  type Overrides,
  type Prepared,
  parseConfiguration,
  prepareConfiguration,
  type RejectedConfiguration,
} from "../config/load.ts";
import type { RecordBatch } from "../config/record-batch.ts";
import type { Finding } from "../config/report.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { createSourceIo, readSnapshot } from "../config/source.ts";

/** Where a configuration is loaded from, and what else has a say in it. */
export interface LoadRequest {
  readonly configFile: string;
  readonly overrides: Overrides;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: number;
  /** The directory of the last good copy, to read that in place of the files themselves. */
  readonly copy: string | undefined;
}

/** What the thread is asked, in this order: one load, more of it until there is no more, a verdict, and perhaps a copy. */
export type LoadQuestion =
  | { readonly kind: "load"; readonly request: LoadRequest }
  | { readonly kind: "more" }
  | { readonly kind: "judge"; readonly found: readonly Finding[] }
  | { readonly kind: "keep"; readonly directory: string; readonly nowMs: number };

export type Verdict = Omit<LoadedConfiguration, "configuration"> | RejectedConfiguration;

export type LoadAnswer =
  | { readonly kind: "prepared"; readonly input: CompileInput }
  /** Undefined: there are no more. */
  | { readonly kind: "batch"; readonly batch: RecordBatch | undefined }
  | { readonly kind: "judged"; readonly verdict: Verdict }
  | { readonly kind: "kept"; readonly problem: string | undefined };

interface Loading {
  readonly snapshot: Snapshot;
  readonly prepared: Prepared;
  readonly batches: Iterator<RecordBatch>;
}

let loading: Loading | undefined;

parentPort?.on("message", async (question: LoadQuestion) => parentPort?.postMessage(await answer(question)));

async function answer(question: LoadQuestion): Promise<LoadAnswer> {
  switch (question.kind) {
    case "load":
      return load(question.request);
    case "more":
      return { kind: "batch", batch: loading?.batches.next().value };
    case "judge":
      return { kind: "judged", verdict: judge(question.found) };
    case "keep":
      return { kind: "kept", problem: await keep(question.directory, question.nowMs) };
    default:
      return question satisfies never;
  }
}

async function load({ configFile, overrides, env, nowMs, copy }: LoadRequest): Promise<LoadAnswer> {
  loading = undefined;
  const io = copy === undefined ? createSourceIo(env) : (await openLastGood(copy, env)).io;
  const snapshot = await readSnapshot(configFile, io);
  const prepared = prepareConfiguration(snapshot, overrides, nowMs);
  if (prepared.kind === "rejected") return { kind: "judged", verdict: bound(prepared) };
  if (prepared.input.isPartial) {
    // It will be rejected, so it is compiled here for the sake of what else is wrong with it.
    const { kind, ...rest } = parseConfiguration(snapshot, overrides, nowMs);
    if (kind === "rejected" && "diagnostics" in rest) return { kind: "judged", verdict: bound({ kind, ...rest }) };
    throw new Error("an invalid file made a valid configuration");
  }
  loading = { snapshot, prepared, batches: prepared.batches()[Symbol.iterator]() };
  return { kind: "prepared", input: prepared.input };
}

function judge(found: readonly Finding[]): Verdict {
  if (loading === undefined) throw new Error("nothing is being loaded");
  const verdict = loading.prepared.judge(found);
  return verdict.kind === "rejected" ? bound(verdict) : { ...verdict, warnings: boundList(verdict.warnings) };
}

// Where every record of a large file is wrong, the receiver has requests to answer, and a reader stops long before.
const MAX_DIAGNOSTICS = 2_500;

function bound(verdict: RejectedConfiguration): RejectedConfiguration {
  return { ...verdict, diagnostics: boundList(verdict.diagnostics) };
}

function boundList(all: readonly Diagnostic[]): readonly Diagnostic[] {
  if (all.length <= MAX_DIAGNOSTICS) return all;
  const isError = all.some(({ severity }) => severity === "error");
  const message = `There are ${all.length - MAX_DIAGNOSTICS} more findings; \`latchkey check\` shows all`;
  const severity = isError ? "error" : "warning";
  return [...all.slice(0, MAX_DIAGNOSTICS), { severity, file: "", line: 0, column: 0, path: "", message }];
}

async function keep(directory: string, nowMs: number): Promise<string | undefined> {
  if (loading === undefined) return "nothing was loaded";
  try {
    await keepLastGood(loading.snapshot, directory, nowMs);
    return undefined;
  } catch (error) {
    return describeCopyFailure(error);
  }
}
