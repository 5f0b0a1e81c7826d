import { stat } from "node:fs/promises";
import { join } from "node:path";

const NAMES: readonly string[] = ["latchkey.yaml", "latchkey.yml", "latchkey.json"];

/** The main file somebody means: the file itself, or the one that a directory holds. */
export async function findMainFile(path: string): Promise<string> {
  if (!(await isKind(path, "isDirectory"))) return path;
  for (const name of NAMES) {
    if (await isKind(join(path, name), "isFile")) return join(path, name);
  }
  // Missing like any other: what is wrong is said where it is read.
  return join(path, NAMES[0] ?? "");
}

async function isKind(path: string, kind: "isFile" | "isDirectory"): Promise<boolean> {
  try {
    return (await stat(path))[kind]();
  } catch {
    return false;
  }
}
