import { FORWARDED_METHODS, KNOWN_METHODS } from "../http1/methods.ts";
import { findNearest, type Path } from "./diagnostics.ts";
import type { Report } from "./report.ts";
import { quote } from "./values.ts";

/** Says of a method that no request with it is ever forwarded, so that what is written of it would be without effect. */
export function checkMethod(method: string, report: Report, path: Path): void {
  const problem = findMethodProblem(method);
  if (problem !== undefined) report.error(path, problem.message, problem.fix);
}

/** Why no request with that method is ever forwarded; undefined where one may be. */
export function findMethodProblem(
  method: string,
): { readonly message: string; readonly fix: string | undefined } | undefined {
  if (FORWARDED_METHODS.has(method)) return undefined;
  if (KNOWN_METHODS.has(method)) {
    return { message: `Requests with ${method} are refused before any check; expected another method`, fix: undefined };
  }
  const capitals = method.toUpperCase();
  if (FORWARDED_METHODS.has(capitals)) {
    return { message: `Methods are written in capitals; found ${quote(method)}`, fix: `Write ${capitals}` };
  }
  const nearest = findNearest(method, FORWARDED_METHODS);
  const fix = nearest === undefined ? undefined : `Did you mean ${nearest}?`;
  return { message: `No request has the method ${quote(method)}`, fix };
}
