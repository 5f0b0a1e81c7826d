import type { PatternSegment, Route, RoutePattern } from "../policy/route.ts";

/** A route that can never match, and the earlier ones that together take everything from it. */
export interface Shadowed {
  readonly index: number;
  readonly by: readonly number[];
}

// The comparison is quadratic; a file beyond this is generated, and its generator knows the order.
const MAX_COMPARED = 3000;

/** Finds routes whose every request an earlier route takes. It may miss some, but names none wrongly. */
export function findShadowed(routes: readonly Route[]): readonly Shadowed[] {
  const shadowed: Shadowed[] = [];
  for (const [index, { pattern }] of routes.slice(0, MAX_COMPARED).entries()) {
    const covered = new Set<string>();
    const by: number[] = [];
    for (let earlier = 0; earlier < index; earlier += 1) {
      const other = routes[earlier]?.pattern;
      if (other === undefined || !coversPath(other, pattern)) continue;
      if (other.methods === undefined || coversMethods(other.methods, pattern.methods)) {
        shadowed.push({ index, by: [earlier] });
        break;
      }
      const news = [...other.methods].filter((method) => pattern.methods?.has(method) && !covered.has(method));
      if (news.length === 0) continue;
      by.push(earlier);
      for (const method of news) covered.add(method);
      if (!coversMethods(covered, pattern.methods)) continue;
      shadowed.push({ index, by });
      break;
    }
  }
  return shadowed;
}

function coversMethods(covered: ReadonlySet<string>, methods: ReadonlySet<string> | undefined): boolean {
  return methods?.isSubsetOf(covered) ?? false;
}

/** Whether every path the inner pattern matches is matched by the outer one as well. */
function coversPath(outer: RoutePattern, inner: RoutePattern): boolean {
  if (inner.rest && !outer.rest) return false;
  if (!outer.rest && outer.segments.length !== inner.segments.length) return false;
  if (outer.segments.length > inner.segments.length) return false;
  return outer.segments.every((segment, index) => coversSegment(segment, inner.segments[index]));
}

function coversSegment(outer: PatternSegment, inner: PatternSegment | undefined): boolean {
  if (inner === undefined) return false;
  if (outer.kind === "literal") return inner.kind === "literal" && inner.text === outer.text;
  // A parameter stands for something: the empty last segment of a trailing slash is not covered.
  return inner.kind === "parameter" || inner.text !== "";
}
