import type { Policy } from "../policy/policy.ts";
import type { PatternSegment, Route } from "../policy/route.ts";
import type { Grants } from "../policy/scope.ts";

/** An example of the requests that a route is for. */
export interface Probe {
  readonly method: string;
  readonly target: string;
  /** For people: the method and the route's own path, with the values that its scopes depend on. */
  readonly shown: string;
}

/**
 * Example requests for every route of two policies. A path parameter that scopes are derived from takes
 * every word that stands in a scope of some key, so that each scope that anybody holds is asked for.
 */
export function createProbes(old: Policy, next: Policy): readonly Probe[] {
  const words = [ANY_VALUE, ...collectWords([old, next])];
  const probes = new Map<string, Probe>();
  for (const { routes } of [old.routes, next.routes]) {
    for (const route of routes) {
      for (const method of methodsOf(route)) {
        for (const probe of probesOf(route, method, words)) probes.set(`${probe.method} ${probe.target}`, probe);
      }
    }
  }
  return [...probes.values()];
}

// Nobody names a resource so; what holds for it holds for every value that no scope names.
const ANY_VALUE = "any-value";
const COMMON_METHODS: readonly string[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** HEAD goes with GET (RFC 9110 §9.3.2), so it is asked for only where it stands alone. */
function methodsOf({ pattern: { methods } }: Route): readonly string[] {
  if (methods === undefined) return COMMON_METHODS;
  return [...methods].filter((method) => method !== "HEAD" || !methods.has("GET"));
}

function probesOf(route: Route, method: string, words: readonly string[]): readonly Probe[] {
  const derived = derivedPositions(route);
  const values = derived.size === 0 ? [ANY_VALUE] : withInverseAliases(words, route);
  const { segments, rest } = route.pattern;
  // An earlier, more special route often takes one of a `**` route's forms, so several are asked for.
  const endings: readonly (readonly string[])[] = rest ? [[], [ANY_VALUE], [ANY_VALUE, ANY_VALUE]] : [[]];
  return values.flatMap((value) => {
    const path = segments.map((segment, index) => fill(segment, derived.has(index) ? value : ANY_VALUE));
    const shown = segments.map((segment, index) => (derived.has(index) ? value : show(segment)));
    return endings.map((ending) => ({
      method,
      target: `/${[...path, ...ending].map(encodeURIComponent).join("/")}`,
      shown: `${method} /${[...shown, ...(rest ? ["**"] : [])].join("/")}`,
    }));
  });
}

function fill(segment: PatternSegment, value: string): string {
  return segment.kind === "literal" ? segment.text : value;
}

function show(segment: PatternSegment): string {
  if (segment.kind === "literal") return segment.text;
  return segment.name === undefined ? "*" : `{${segment.name}}`;
}

/** The path segments that go into a scope. */
function derivedPositions({ access }: Route): ReadonlySet<number> {
  if (access.kind !== "scopes") return new Set();
  const parts = access.scopes.flatMap((scope) => scope.parts ?? []);
  return new Set(parts.flatMap((part) => (part.kind === "parameter" ? [part.position] : [])));
}

/** What may stand in a path for the words to stand in the scope. */
function withInverseAliases(words: readonly string[], { aliases }: Route): readonly string[] {
  const inverse = words.flatMap((word) => [
    ...[...aliases.exact].filter(([, to]) => to === word).map(([from]) => from),
    ...aliases.endings
      .filter(({ to }) => word.endsWith(to))
      .map(({ from, to }) => word.slice(0, word.length - to.length) + from),
  ]);
  return [...new Set([...words, ...inverse])];
}

// Beyond this many words a config gives every key scopes of its own, and the examples would take minutes.
const MAX_WORDS = 500;
const WORD = /^[A-Za-z0-9_-]+$/;

function collectWords(policies: readonly Policy[]): readonly string[] {
  const words = new Set<string>();
  const seen = new Set<Grants>();
  for (const { keys } of policies) {
    for (const { grants } of keys.all()) {
      if (seen.has(grants)) continue;
      seen.add(grants);
      for (const word of [...grants.exact].flatMap((scope) => scope.split(/[.:]/))) {
        if (WORD.test(word) && words.size < MAX_WORDS) words.add(word);
      }
    }
  }
  return [...words];
}
