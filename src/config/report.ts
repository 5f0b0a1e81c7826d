import { type Diagnostic, formatPath, type Path } from "./diagnostics.ts";
import type { Document } from "./document.ts";

/** Collects findings about one document; places are looked up only when there is something to say. */
export interface Report {
  readonly error: (path: Path, message: string, fix?: string) => void;
  readonly warning: (path: Path, message: string, fix?: string) => void;
}

/** A report that adds its findings to `found`, in the words and places of `document`. */
export function createReport(document: Document, found: Diagnostic[]): Report {
  const add = (severity: Diagnostic["severity"], path: Path, message: string, fix: string | undefined) => {
    const place = locateNearest(document, path);
    const base = {
      severity,
      file: document.file,
      line: place?.line ?? 0,
      column: place?.column ?? 0,
      path: formatPath(path),
      message,
    };
    found.push(fix === undefined ? base : { ...base, fix });
  };
  return {
    error: (path, message, fix) => add("error", path, message, fix),
    warning: (path, message, fix) => add("warning", path, message, fix),
  };
}

/** Where a value stands, or the nearest thing around it that was written: a short form has no inner places. */
export function locateNearest(document: Document, path: Path) {
  for (let length = path.length; length > 0; length -= 1) {
    const place = document.locate(path.slice(0, length), "value");
    if (place !== undefined) return place;
  }
  return undefined;
}
