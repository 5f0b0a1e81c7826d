import { findMethodProblem } from "../config/compile-methods.ts";
import { parseUpstream } from "../config/values.ts";
import { parseRoutePattern } from "../policy/route.ts";
import { isScopeText } from "../policy/scope.ts";

/** What a starting config is made of. */
export interface Answers {
  readonly upstream: string;
  readonly routes: readonly StartingRoute[];
}

export interface StartingRoute {
  readonly match: string;
  readonly access: "public" | "authenticated" | readonly string[];
}

export type ParsedAnswers =
  | { readonly kind: "answers"; readonly answers: Answers }
  | { readonly kind: "problem"; readonly problem: string };

/** Names of the files that `init` writes. */
export const CONFIG_FILE = "latchkey.yaml";
export const KEYS_FILE = "keys.yaml";

/** Understands what was given on the command line or typed; every route is one the config will take. */
export function parseAnswers(upstream: string, routes: readonly string[]): ParsedAnswers {
  const parsed = parseUpstream(upstream);
  if (parsed.kind === "problem") return { kind: "problem", problem: `Expected ${parsed.problem}` };
  const understood: StartingRoute[] = [];
  for (const text of routes) {
    const found = parseStartingRoute(text.trim());
    if (typeof found === "string") return { kind: "problem", problem: found };
    understood.push(...found);
  }
  return { kind: "answers", answers: { upstream, routes: understood } };
}

const ROUTE_SHAPE = 'a path such as /api/v1/orders, or "METHODS PATH ACCESS" such as "GET /health public"';

/** `/orders` alone is a resource to read and to write; `GET /orders/** orders:read` says it in full. */
function parseStartingRoute(text: string): readonly StartingRoute[] | string {
  const words = text.split(/\s+/);
  const [methods, path, access, ...more] = words;
  if (words.length === 1 && text.startsWith("/")) return toResource(text.replace(/(?:\/\*\*|\/)$/, ""));
  if (methods === undefined || path === undefined || access === undefined || more.length > 0) {
    return `Expected ${ROUTE_SHAPE}; found "${text}"`;
  }
  const match = `${methods} ${path}`;
  const pattern = parseRoutePattern(match, true);
  if (pattern.kind === "problem") return `${match}: ${pattern.problem}`;
  const [bad] = [...(pattern.pattern.methods ?? [])].flatMap((method) => findMethodProblem(method) ?? []);
  if (bad !== undefined) return [`${match}: ${bad.message}`, bad.fix].filter((part) => part !== undefined).join(". ");
  if (access === "public" || access === "authenticated") return [{ match, access }];
  const scopes = access.split(",");
  const wrong = scopes.find((scope) => !isScopeText(scope));
  return wrong === undefined
    ? [{ match, access: scopes }]
    : `"${wrong}" cannot be a scope; expected one as orders:read`;
}

function toResource(path: string): readonly StartingRoute[] | string {
  const name = path.split("/").at(-1) ?? "";
  const pattern = parseRoutePattern(`GET ${path}/**`, true);
  if (pattern.kind === "problem") return pattern.problem;
  if (path === "") return [{ match: "* /**", access: "authenticated" }];
  if (!isScopeText(`${name}:read`)) return `"${name}" cannot name a scope; write the route in full: ${ROUTE_SHAPE}`;
  return [
    { match: `GET ${path}/**`, access: [`${name}:read`] },
    { match: `* ${path}/**`, access: [`${name}:write`] },
  ];
}

/** The texts that `init` writes. */
export interface Start {
  readonly config: string;
  readonly keys: string;
  /** A scope that a first key will want. */
  readonly scope: string | undefined;
}

/** What the answers come to: the few lines that are enough, or a config that says what each part is for. */
export function toStart(answers: Answers, minimal: boolean): Start {
  const config = minimal ? minimalConfig(answers) : commentedConfig(answers);
  return { config, keys: EMPTY_KEYS, scope: minimal ? undefined : scopesOf(answers.routes)[0] };
}

/** The four lines that are enough: any valid key may do anything. */
function minimalConfig({ upstream }: Answers): string {
  return `upstream: ${JSON.stringify(upstream)}
keys: ${KEYS_FILE}
routes:
  - { match: "* /**", authenticated: true }
`;
}

/** A starting config that says what each part is for. */
function commentedConfig({ upstream, routes }: Answers): string {
  const chosen: readonly StartingRoute[] = routes.length > 0 ? routes : [{ match: "* /**", access: "authenticated" }];
  return `# Latchkey: who may call the app behind it. Edit and save: a running Latchkey takes it up at once,
# and keeps the last good policy when something in it is wrong. \`latchkey check\` says what is wrong.
# Editors complete and check it with the output of \`latchkey schema\`.

# Where clients connect, and the app that they reach. Let the app listen on loopback only:
# whoever reaches it directly needs no key.
listen: 0.0.0.0:8080
upstream: ${JSON.stringify(upstream)}

# Health and metrics, for this machine only.
admin: 127.0.0.1:9090

# Where a key may be presented.
credentials:
  locations: ["Authorization: Bearer", "X-API-Key"]

# What keys look like; \`latchkey keys create\` makes them so. The checksum tells a mistyped key at once.
keyFormats:
  - "lk_{secret:base62(40)}{checksum:crc32}"

${scopeCatalogue(chosen)}# What may be called. The first match wins, and what nothing matches is refused.
# Each route is public, takes any valid key (authenticated), or needs scopes.
routes:
${withHealth(chosen).map(toRouteLine).join("\n")}

# How often a key may call; every window must admit a request. A key may have limits of its own.
limits:
  default: ["100/minute", "1000/hour"]
  # Refused keys per client address, so that nobody guesses.
  failures: 30/minute

# The keys. Add one with: latchkey keys create --id my-first-key${scopeHint(chosen)}
keys: ${KEYS_FILE}
`;
}

/** A health check needs no key, unless somebody said otherwise. */
function withHealth(routes: readonly StartingRoute[]): readonly StartingRoute[] {
  if (routes.some(({ match }) => match.endsWith(" /health"))) return routes;
  return [{ match: "GET /health", access: "public" }, ...routes];
}

function toRouteLine({ match, access }: StartingRoute): string {
  const said = typeof access === "string" ? `${access}: true` : `scopes: ${toList(access)}`;
  return `  - { match: ${JSON.stringify(match)}, ${said} }`;
}

function toList(texts: readonly string[]): string {
  return `[${texts.map((text) => JSON.stringify(text)).join(", ")}]`;
}

function scopesOf(routes: readonly StartingRoute[]): readonly string[] {
  return [...new Set(routes.flatMap(({ access }) => (typeof access === "string" ? [] : access)))];
}

function scopeHint(routes: readonly StartingRoute[]): string {
  const [first] = scopesOf(routes);
  return first === undefined ? "" : ` --scopes ${first}`;
}

function scopeCatalogue(routes: readonly StartingRoute[]): string {
  const scopes = scopesOf(routes);
  if (scopes.length === 0) return "";
  const lines = scopes.map((scope) => {
    const read = scope.replace(/:write$/, ":read");
    const implied = read !== scope && scopes.includes(read) ? `{ implies: ${toList([read])} }` : "{}";
    return `  ${JSON.stringify(scope)}: ${implied}`;
  });
  return `# The scopes there are. With this list, a misspelt scope in a route is an error.\nscopes:\n${lines.join("\n")}\n\n`;
}

/** A keys file without keys. */
const EMPTY_KEYS = `# API keys, as digests only: the keys themselves are nowhere but with their holders.
# Add one with: latchkey keys create --id my-first-key
keys: []
`;
