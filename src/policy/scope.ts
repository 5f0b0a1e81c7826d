/** What a key may do, compiled from its scopes, the catalogue's implications and wildcards. */
export interface Grants {
  readonly all: boolean;
  readonly exact: ReadonlySet<string>;
  readonly patterns: readonly RegExp[];
}

/** A scope and those it includes, as the config's catalogue declares them. */
export type ScopeCatalogue = ReadonlyMap<string, readonly string[]>;

/** The scope that grants all others, and the only one that grants what has no name. */
export const ALL_SCOPES = "*";

// A scope is written into headers, challenges and templates: visible ASCII without quotes, commas or blanks.
const SCOPE_TEXT = /^[A-Za-z0-9_*][A-Za-z0-9_.:*/@+~-]{0,127}$/;
// Matching `*a*a*a*b` against a long path parameter takes time beyond all bounds, and no system writes such a scope.
const TWO_WILDCARDS_IN_SEGMENT = /\*[^.:]*\*/;

/** Whether a text can be a scope (or a scope pattern) at all. */
export function isScopeText(text: string): boolean {
  return SCOPE_TEXT.test(text) && !TWO_WILDCARDS_IN_SEGMENT.test(text);
}

/** Whether a text can be one scope, and not a pattern of several. */
export function isPlainScope(text: string): boolean {
  return isScopeText(text) && !text.includes("*");
}

/** Compiles a key's scopes: `*` grants all, `orders:*` by segment; implications are followed to their end. */
export function compileGrants(scopes: readonly string[], catalogue: ScopeCatalogue): Grants {
  const exact = new Set<string>();
  const pending = [...scopes];
  for (let scope = pending.pop(); scope !== undefined; scope = pending.pop()) {
    if (exact.has(scope)) continue;
    exact.add(scope);
    pending.push(...(catalogue.get(scope) ?? []));
    if (!isPattern(scope)) continue;
    const pattern = compilePattern(scope);
    for (const known of catalogue.keys()) if (pattern.test(known)) pending.push(known);
  }
  return toGrants(exact);
}

/** Grants of scopes whose implications are among them. */
export function toGrants(scopes: Iterable<string>): Grants {
  const exact = new Set(scopes);
  return { all: exact.has(ALL_SCOPES), exact, patterns: [...exact].filter(isPattern).map(compilePattern) };
}

function isPattern(scope: string): boolean {
  return scope !== ALL_SCOPES && scope.includes("*") && !TWO_WILDCARDS_IN_SEGMENT.test(scope);
}

export function grantsScope(grants: Grants, scope: string): boolean {
  return grants.all || grants.exact.has(scope) || grants.patterns.some((pattern) => pattern.test(scope));
}

/**
 * A `*` stands for one segment between `.` or `:`, a last one for one or more. Each becomes a
 * character class that cannot match a separator, and a segment has one at most, so no match takes long.
 */
function compilePattern(scope: string): RegExp {
  const last = scope.endsWith("*") ? scope.slice(0, -1) : scope;
  const body = last.split("*").map(RegExp.escape).join("[^.:]+");
  return new RegExp(`^${body}${scope.endsWith("*") ? ".+" : ""}$`);
}
