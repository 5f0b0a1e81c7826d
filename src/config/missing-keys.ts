import type { Diagnostic } from "./diagnostics.ts";
import type { Document } from "./document.ts";
import type { Main } from "./schema.ts";

/** A file that was cut off behind its routes looks the same, so that none is taken to be meant only when it is written. */
export function findMissingKeys({ file, value }: Document, { routes, management }: Main): readonly Diagnostic[] {
  if (Object.hasOwn(Object(value), "keys")) return [];
  const [keyed] = routes.flatMap((route, index) => (route.public ? [] : [`routes[${index}] needs`]));
  const needs = keyed ?? (management === undefined ? undefined : "management needs");
  if (needs === undefined) return [];
  return [
    {
      severity: "error",
      file,
      line: 0,
      column: 0,
      path: "keys",
      message: `Required field is missing: ${needs} a key, and no keys are named`,
      fix: "Write keys: keys.yaml, or keys: [] if there are to be none",
    },
  ];
}
