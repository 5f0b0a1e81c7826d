import { loosen } from "./loose-path.ts";
import type { Policy } from "./policy.ts";
import { areSpellings, findLooseRoute, findRoute, isLooseTable, type Route, toScope } from "./route.ts";
import { ALL_SCOPES } from "./scope.ts";
import type { JudgedTarget, Segments } from "./target.ts";

/** What a request is authorised as. */
export interface Routed {
  readonly route: Route | undefined;
  /** Whose first reading the segments are. */
  readonly target: JudgedTarget;
  readonly segments: Segments;
  /** Why no route is taken to match although one does; for the log. */
  readonly detail: string;
}

/** Every reading an upstream may have of the path must be the same route with the same scopes. */
export function matchRoute(target: JudgedTarget, method: string, policy: Policy): Routed | "ambiguous" {
  const { readings, undecoded } = target;
  const segments = readings[0] ?? [];
  const route = findRoute(policy.routes, method, segments);
  for (let index = 1; index < readings.length; index += 1) {
    const other = readings[index] ?? [];
    if (findRoute(policy.routes, method, other) !== route) return "ambiguous";
    if (
      route !== undefined &&
      neededScopes(route, method, other, policy).join() !== neededScopes(route, method, segments, policy).join()
    ) {
      return "ambiguous";
    }
  }
  const detail =
    route === undefined
      ? undefined
      : findDoubt(route, segments, undecoded === undefined ? readings : [...readings, ...undecoded], method, policy);
  // Taken for no route, and not for a bad target: strangers must not learn by it how routes are spelt.
  return detail === undefined
    ? { route, target, segments, detail: "" }
    : { route: undefined, target, segments, detail };
}

/**
 * Why an upstream that ignores case and the like may see another route here, one that asks for something else. The route
 * is what was found for the path as it `stands`.
 */
function findDoubt(
  route: Route,
  stands: Segments,
  readings: readonly Segments[],
  method: string,
  policy: Policy,
): string | undefined {
  for (const reading of readings) {
    for (const loosened of loosen(reading)) {
      if (loosened === stands && isLooseTable(policy.routes)) continue;
      const other = findLooseRoute(policy.routes, method, loosened);
      if (other === undefined) return "to an upstream that reads paths loosely no route matches";
      if (other === route || areSpellings(route, other)) continue;
      const needed = neededScopes(route, method, reading, policy).join();
      if (!asksTheSame(route, other) || neededScopes(other, method, loosened, policy).join() !== needed) {
        return `an upstream that reads paths loosely may take it for ${other.match}`;
      }
    }
  }
  return undefined;
}

function asksTheSame(route: Route, other: Route): boolean {
  const needs = ({ access }: Route) => (access.kind === "scopes" ? access.need : access.kind);
  const isBare = ({ networks, limits }: Route) => networks === undefined && limits.length === 0;
  return needs(route) === needs(other) && isBare(route) && isBare(other) && route.cost === other.cost;
}

/** The scopes a request needs; with a part that has no meaning here (an unmapped method), all of them. */
export function neededScopes(route: Route, method: string, path: Segments, policy: Policy): readonly string[] {
  if (route.access.kind !== "scopes") return [];
  return route.access.scopes.map((template) => toScope(template, route, method, path, policy.actions) ?? ALL_SCOPES);
}
