/**
 * What the parts of a request cost in one thread, in nanoseconds and in bytes: `npm run bench:micro`,
 * with `-- --quick` for rough figures and `-- TEXT` for those that TEXT is part of.
 */

import { toMicroTable } from "../present/tables.ts";
import type { MicroFigures } from "../report.ts";
import { around } from "./around.ts";
import { decisions, steps } from "./decide.ts";
import { measure, ROUGH, THOROUGH } from "./measure.ts";
import { shadows } from "./shadow.ts";

/** Measures every part whose group or name holds the text. */
export function measureParts(quick: boolean, text = ""): readonly MicroFigures[] {
  return [...decisions(), ...steps(), ...around(), ...shadows()]
    .filter(({ group, name }) => `${group} ${name}`.includes(text))
    .map((subject) => measure(subject, quick ? ROUGH : THOROUGH));
}

if (import.meta.main) {
  const args = process.argv.slice(2);
  const figures = measureParts(
    args.includes("--quick"),
    args.find((arg) => !arg.startsWith("--")),
  );
  process.stdout.write(`${toMicroTable(figures)}\n`);
}
