import { readdirSync } from "node:fs";

/** Configs to begin with, a folder each: beside the sources, or where the build copies them to. */
export const STARTING_POINTS = new URL(
  import.meta.url.endsWith(".ts") ? "../../config/systems/" : "./systems/",
  import.meta.url,
);

/** The names of the configs there are to begin with, whichever this installation holds. */
export function listStartingPoints(): readonly string[] {
  try {
    const entries = readdirSync(STARTING_POINTS, { withFileTypes: true });
    return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).toSorted();
  } catch {
    return [];
  }
}
