import { readFile } from "node:fs/promises";
import { describeCopyFailure, openLastGood } from "../config/last-good.ts";
import type { LoadedConfiguration, RejectedConfiguration } from "../config/load.ts";
import type { SourceIo } from "../config/source.ts";
import type { Loader } from "./loader.ts";

export type FirstLoad = Begun | RejectedConfiguration;

export interface Begun {
  readonly kind: "loaded";
  readonly first: LoadedConfiguration;
  readonly fallback: Fallback | undefined;
}

/** Why the configuration in force is not that of the files, but the last good copy of them. */
export interface Fallback {
  readonly rejected: RejectedConfiguration;
  /** When the copy was made. */
  readonly keptAt: string;
  /** Reads the other files of the copy, such as a certificate. */
  readonly readFile: SourceIo["readFile"];
}

/** Loads the files or, where they are wrong and there is a good copy in `lastGood`, that copy. */
export async function loadFirst(
  loader: Loader,
  lastGood: string | undefined,
  env: SourceIo["environment"],
): Promise<FirstLoad> {
  const loaded = await loader.load();
  if (loaded.kind === "loaded") return { kind: "loaded", first: loaded, fallback: undefined };
  if (lastGood === undefined) return loaded;
  try {
    const { io, keptAtMs } = await openLastGood(lastGood, env);
    const first = await loader.load({ copy: lastGood });
    if (first.kind === "rejected") return refuse(loaded, lastGood, "it does not load either", first);
    const fallback = { rejected: loaded, keptAt: new Date(keptAtMs).toISOString(), readFile: io.readFile };
    return { kind: "loaded", first, fallback };
  } catch (error) {
    return refuse(loaded, lastGood, describeCopyFailure(error));
  }
}

/** A certificate from the files, or from the copy that is in force in their place. */
export function readerOf(fallback: Fallback | undefined): SourceIo["readFile"] {
  return fallback === undefined ? (path) => readFile(path) : fallback.readFile;
}

function refuse(
  rejected: RejectedConfiguration,
  directory: string,
  problem: string,
  copy?: RejectedConfiguration,
): RejectedConfiguration {
  const place = { severity: "error", file: directory, line: 0, column: 0, path: "" } as const;
  const note = { ...place, message: `There is no last good copy to start from: ${problem}` };
  return { ...rejected, diagnostics: [...rejected.diagnostics, note, ...(copy?.diagnostics ?? [])] };
}
