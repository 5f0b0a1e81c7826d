import type { Diagnostic } from "../config/diagnostics.ts";
import { formatDiagnostics } from "../config/diagnostics.ts";
import { type LoadResult, parseConfiguration } from "../config/load.ts";
import type { Snapshot } from "../config/snapshot.ts";
import { createSourceIo, readSnapshot } from "../config/source.ts";
import { toOverrides } from "./overrides.ts";
import type { Terminal } from "./terminal.ts";

/** The config file a command reads: the flag, else LATCHKEY_CONFIG, else latchkey.yaml here. */
export function toConfigFile(flag: string | undefined, { env }: Pick<Terminal, "env">): string {
  return flag ?? (env["LATCHKEY_CONFIG"] || "latchkey.yaml");
}

export interface ReadConfig {
  readonly loaded: LoadResult;
  readonly snapshot: Snapshot;
}

/** Reads and compiles the config as `serve` would in the same environment. */
export async function readConfig(file: string, { env }: Pick<Terminal, "env">, nowMs: number): Promise<ReadConfig> {
  const snapshot = await readSnapshot(file, createSourceIo(env));
  return { loaded: parseConfiguration(snapshot, toOverrides({}, env), nowMs), snapshot };
}

/** Findings for people, each with the line it stands on. */
export function showDiagnostics(diagnostics: readonly Diagnostic[], of: Snapshot, colour: boolean): string {
  return `${formatDiagnostics(diagnostics, { color: colour, textOf: textsOf([of]) })}\n`;
}

/** The text of each file of these, by its name. */
export function textsOf(snapshots: readonly Snapshot[]): (file: string) => string | undefined {
  const texts = new Map<string, string>();
  for (const { main, keysFiles } of snapshots) {
    for (const { path, text } of main === undefined ? keysFiles : [...keysFiles, main]) texts.set(path, text);
  }
  return (file) => texts.get(file);
}
