import { type Diagnostic, formatPath, type Path } from "./diagnostics.ts";
import type { Document } from "./document.ts";

/**
 * Something to say of a place that is still to be looked up. It is plain data: the thread that compiles
 * finds what is wrong, and the one that holds the documents knows the lines.
 */
export interface Finding {
  readonly severity: Diagnostic["severity"];
  readonly file: string;
  readonly path: Path;
  readonly message: string;
  readonly fix?: string;
}

/** Takes findings in: a list, or something that stops counting. */
export interface Findings {
  readonly push: (finding: Finding) => unknown;
}

/** Collects findings about one file. */
export interface Report {
  readonly error: (path: Path, message: string, fix?: string) => void;
  readonly warning: (path: Path, message: string, fix?: string) => void;
}

/** A report that adds its findings to `found`, under the name of `file`. */
export function createReport(file: string, found: Findings): Report {
  const add = (severity: Finding["severity"], path: Path, message: string, fix: string | undefined) =>
    found.push(fix === undefined ? { severity, file, path, message } : { severity, file, path, message, fix });
  return {
    error: (path, message, fix) => add("error", path, message, fix),
    warning: (path, message, fix) => add("warning", path, message, fix),
  };
}

/** The findings with their places, in the documents of that name. */
export function locateFindings(
  findings: readonly Finding[],
  documents: ReadonlyMap<string, Document>,
): readonly Diagnostic[] {
  return findings.map(({ severity, file, path, message, fix }) => {
    const document = documents.get(file);
    const place = document && locateNearest(document, path);
    const base = {
      severity,
      file,
      line: place?.line ?? 0,
      column: place?.column ?? 0,
      path: formatPath(path),
      message,
    };
    return fix === undefined ? base : { ...base, fix };
  });
}

/** Where a value stands, or the nearest thing around it that was written: a short form has no inner places. */
export function locateNearest(document: Document, path: Path) {
  // An entry of a list that is the short form of a map with the list as a field.
  const short = typeof path.at(-1) === "number" ? [...path.slice(0, -2), ...path.slice(-1)] : undefined;
  const exact = document.locate(path, "value") ?? (short && document.locate(short, "value"));
  if (exact !== undefined) return exact;
  for (let length = path.length - 1; length > 0; length -= 1) {
    const place = document.locate(path.slice(0, length), "value");
    if (place !== undefined) return place;
  }
  return undefined;
}
