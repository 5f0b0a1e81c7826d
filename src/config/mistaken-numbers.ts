import { type Diagnostic, formatPath } from "./diagnostics.ts";
import type { Document } from "./document.ts";
import { isSecret } from "./schema-problems.ts";

/** Metadata reaches the upstream as text: a post code or an account would be another one there than in the file. */
export function findMistakenNumbers({ file, respelt, locate }: Document): readonly Diagnostic[] {
  return respelt.flatMap(({ path, text, value }) => {
    if (path[0] !== "keys" || path[2] !== "metadata") return [];
    const { line, column } = locate(path, "value") ?? { line: 0, column: 0 };
    const base = { severity: "error", file, line, column, path: formatPath(path) } as const;
    if (isSecret(path))
      return [{ ...base, message: "Expected text: as a number it is another one", fix: "Write it in quotes" }];
    const message = `Expected text: ${text} is the number ${value}, and would be passed on as that`;
    return [{ ...base, message, fix: `Write it in quotes: "${text}"` }];
  });
}
