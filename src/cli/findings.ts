import { type Diagnostic, type FormatOptions, formatDiagnostics } from "../config/diagnostics.ts";

/** What a config comes to, and whether it may be used. */
export interface Verdict {
  readonly summary: string;
  readonly failed: boolean;
}

const REJECTED: Verdict = { summary: "", failed: true };

/** All that is to be said of a config: what was found in it, what it comes to, and how many findings there are. */
export function formatFindings(
  diagnostics: readonly Diagnostic[],
  options: FormatOptions,
  { summary, failed }: Verdict = REJECTED,
): string {
  if (diagnostics.length === 0) return summary;
  const end = failed ? "" : "; the config is valid";
  return `${formatDiagnostics(diagnostics, options)}\n${summary}\n${countFindings(diagnostics)}${end}\n`;
}

function countFindings(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter(({ severity }) => severity === "error").length;
  const counted = [count(errors, "error"), count(diagnostics.length - errors, "warning")];
  return counted.filter((text) => text !== "").join(", ");
}

function count(number: number, noun: string): string {
  return number === 0 ? "" : `${number} ${noun}${number === 1 ? "" : "s"}`;
}
