import { mkdir, writeFile } from "node:fs/promises";
import { join, normalize } from "node:path";
import { CONFIG_FILE, KEYS_FILE, type Start } from "./init-files.ts";

export type WrittenStart =
  | {
      readonly kind: "written";
      readonly configFile: string;
      readonly keysFile: string;
      /** Whether a keys file was there, which is never touched. */
      readonly keysKept: boolean;
    }
  | { readonly kind: "problem"; readonly problem: string };

// Digests are nobody's business but the proxy's; the config holds nothing secret.
const KEYS_MODE = 0o600;
const CONFIG_MODE = 0o644;

/** Writes the starting files. The config is overwritten only by `force`, and a keys file by nothing. */
export async function writeStart(start: Start, directory: string, force: boolean): Promise<WrittenStart> {
  const configFile = normalize(join(directory, CONFIG_FILE));
  const keysFile = normalize(join(directory, KEYS_FILE));
  try {
    await mkdir(directory, { recursive: true });
    if (!(await writeNew(configFile, start.config, CONFIG_MODE, force ? "w" : "wx"))) {
      return { kind: "problem", problem: `${configFile} exists; --force overwrites it` };
    }
    const keysKept = !(await writeNew(keysFile, start.keys, KEYS_MODE, "wx"));
    return { kind: "written", configFile, keysFile, keysKept };
  } catch (error) {
    return { kind: "problem", problem: error instanceof Error ? error.message : String(error) };
  }
}

/** False when there is such a file already. */
async function writeNew(path: string, text: string, mode: number, flag: "w" | "wx"): Promise<boolean> {
  try {
    await writeFile(path, text, { mode, flag });
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}
