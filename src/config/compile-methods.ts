import { FORWARDED_METHODS, KNOWN_METHODS } from "../http1/methods.ts";
import { findNearest, type Path } from "./diagnostics.ts";
import type { Report } from "./report.ts";
import { quote } from "./values.ts";

/** Says of a method that no request with it is ever forwarded, so that what is written of it would be without effect. */
export function checkMethod(method: string, report: Report, path: Path): void {
  if (FORWARDED_METHODS.has(method)) return;
  if (KNOWN_METHODS.has(method)) {
    report.error(path, `Requests with ${method} are refused before any check; expected another method`);
    return;
  }
  const capitals = method.toUpperCase();
  if (FORWARDED_METHODS.has(capitals)) {
    report.error(path, `Methods are written in capitals; found ${quote(method)}`, `Write ${capitals}`);
    return;
  }
  const nearest = findNearest(method, FORWARDED_METHODS);
  const fix = nearest === undefined ? undefined : `Did you mean ${nearest}?`;
  report.error(path, `No request has the method ${quote(method)}`, fix);
}
