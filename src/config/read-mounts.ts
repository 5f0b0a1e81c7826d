import { readFile, realpath, stat } from "node:fs/promises";
import type { Diagnostic } from "./diagnostics.ts";
import { parseMountPoints, warnOfFileMounts } from "./mounts.ts";

/** Warns of config files whose changes can never be seen; says nothing where the system does not tell of mounts. */
export async function findFileMounts(files: readonly string[]): Promise<readonly Diagnostic[]> {
  try {
    const mountPoints = parseMountPoints(await readFile("/proc/self/mountinfo", "utf8"));
    const real = await Promise.all(files.map(toRealFile));
    return warnOfFileMounts([...new Set(real.flat())], mountPoints);
  } catch {
    return [];
  }
}

/** Mount points are told without symbolic links. Directories may well be mounts. */
async function toRealFile(path: string): Promise<readonly string[]> {
  try {
    const real = await realpath(path);
    return (await stat(real)).isFile() ? [real] : [];
  } catch {
    return [];
  }
}
