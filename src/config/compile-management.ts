import { parseRoutePattern, type Route } from "../policy/route.ts";
import { isPlainScope, type ScopeCatalogue } from "../policy/scope.ts";
import { checkScope } from "./compile-routes.ts";
import type { MainLines } from "./main-lines.ts";
import type { Report } from "./report.ts";
import type { Main } from "./schema.ts";
import type { KeyOperation } from "./settings.ts";
import { quote } from "./values.ts";

/** The operations a config offers, as routes that Latchkey answers itself. */
export function compileManagement(
  { management, paths }: Main,
  catalogue: ScopeCatalogue | undefined,
  { file, management: line }: MainLines,
  report: Report,
): ReadonlyMap<Route, KeyOperation> {
  const operations = new Map<Route, KeyOperation>();
  if (management === undefined) return operations;
  const { scopes } = management;
  for (const operation of ["rotate", "revoke", "suspend", "resume"] as const) {
    const scope = scopes[operation];
    if (scope === undefined) continue;
    const path = ["management", "scopes", operation];
    if (!isPlainScope(scope)) {
      report.error(path, `Expected a scope without wildcards or blanks; found ${quote(scope)}`);
      continue;
    }
    checkScope(scope, catalogue, (message, fix) => report.error(path, message, fix));
    const match = `POST ${management.path}/{id}/${operation}`;
    const parsed = parseRoutePattern(match, paths.caseSensitive);
    if (parsed.kind === "problem") {
      report.error(["management", "path"], parsed.problem);
      continue;
    }
    operations.set(toRoute(match, parsed.pattern, scope, { file, line }), operation);
  }
  return operations;
}

function toRoute(match: string, pattern: Route["pattern"], scope: string, source: Route["source"]): Route {
  return {
    match,
    pattern,
    access: { kind: "scopes", need: "all", scopes: [{ text: scope, parts: undefined }] },
    aliases: { exact: new Map(), endings: [] },
    cost: 1,
    limits: [],
    networks: undefined,
    allowMethodOverride: false,
    source,
  };
}
