import type { Limit } from "./bucket.ts";
import { LiteralIndex } from "./literal-index.ts";
import { loosenSegment } from "./loose-path.ts";
import type { NetworkSet } from "./network.ts";
import type { Segments } from "./target.ts";

/** The place in a config file that a compiled thing came from; lines count from 1. */
export interface Source {
  readonly file: string;
  readonly line: number;
}

/** What a route asks of its caller; exactly one kind per route. */
export type Access =
  | { readonly kind: "public" }
  | { readonly kind: "authenticated" }
  | { readonly kind: "scopes"; readonly need: "all" | "any"; readonly scopes: readonly ScopeTemplate[] };

/** A scope, or a recipe for one: `{resource}.{action}` with each part from the path or the method. */
export interface ScopeTemplate {
  readonly text: string;
  /** Undefined for a plain scope, which is `text` itself. */
  readonly parts: readonly ScopePart[] | undefined;
}

export type ScopePart =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "action" }
  | { readonly kind: "parameter"; readonly position: number };

/** Renames path parameters in derived scopes: exact names first, then `*ies: "*y"` in the order written. */
export interface Aliases {
  readonly exact: ReadonlyMap<string, string>;
  readonly endings: readonly { readonly from: string; readonly to: string }[];
}

export interface Route {
  /** As written, `GET /api/v1/orders/**`: the name of the route in logs, metrics and limits. */
  readonly match: string;
  readonly pattern: RoutePattern;
  readonly access: Access;
  readonly aliases: Aliases;
  readonly cost: number;
  readonly limits: readonly Limit[];
  readonly networks: NetworkSet | undefined;
  readonly allowMethodOverride: boolean;
  readonly source: Source;
}

export type PatternSegment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "parameter"; readonly name: string | undefined };

export type PatternSegments = readonly PatternSegment[];

export interface RoutePattern {
  /** Undefined for `*`: any method. */
  readonly methods: ReadonlySet<string> | undefined;
  readonly segments: PatternSegments;
  /** Whether a last `**` takes any number of further segments, including none. */
  readonly rest: boolean;
}

export type ParsedPattern =
  | { readonly kind: "pattern"; readonly pattern: RoutePattern }
  | { readonly kind: "problem"; readonly problem: string };

const METHOD = /^[A-Z][A-Z-]*$/;
const LITERAL_SEGMENT = /^[A-Za-z0-9\-._~!$&'()+,=:@ \u0080-\uffff]+$/;
const PARAMETER_SEGMENT = /^\{([A-Za-z][A-Za-z0-9_]*)\}$/;

/** Parses `METHODS PATH`. The path is written decoded; `caseSensitive: false` folds its literals. */
export function parseRoutePattern(text: string, caseSensitive: boolean): ParsedPattern {
  const [methodsText, pathText, ...more] = text.trim().split(/\s+/);
  if (methodsText === undefined || pathText === undefined || more.length > 0) {
    return problem('expected "METHODS PATH", such as "GET /orders/**"');
  }
  const methods = parseMethods(methodsText);
  if (methods === "invalid") {
    return problem(`expected methods in capitals, separated by commas, or *; found "${methodsText}"`);
  }
  if (!pathText.startsWith("/")) return problem(`expected a path that starts with /; found "${pathText}"`);
  const written = pathText.slice(1).split("/");
  const rest = written.at(-1) === "**";
  if (rest) written.pop();
  const segments: PatternSegment[] = [];
  for (const [index, segment] of written.entries()) {
    const parsed = parseSegment(segment, index === written.length - 1 && !rest, caseSensitive);
    if (typeof parsed === "string") return problem(parsed);
    segments.push(parsed);
  }
  return { kind: "pattern", pattern: { methods, segments, rest } };
}

function problem(text: string): ParsedPattern {
  return { kind: "problem", problem: text };
}

function parseMethods(text: string): ReadonlySet<string> | undefined | "invalid" {
  if (text === "*") return undefined;
  const methods = new Set(text.split(","));
  for (const method of methods) if (!METHOD.test(method)) return "invalid";
  // RFC 9110 §9.3.2: HEAD is GET without the content, so it needs no rule of its own.
  if (methods.has("GET")) methods.add("HEAD");
  return methods;
}

function parseSegment(text: string, isLast: boolean, caseSensitive: boolean): PatternSegment | string {
  if (text === "" && isLast) return { kind: "literal", text };
  if (text === "*") return { kind: "parameter", name: undefined };
  if (text === "**") return "** may stand only at the end of a path";
  const name = PARAMETER_SEGMENT.exec(text)?.[1];
  if (name !== undefined) return { kind: "parameter", name };
  if (text === "." || text === ".." || !LITERAL_SEGMENT.test(text)) {
    return `expected a literal, {name}, * or a last **; found "${text}"`;
  }
  return { kind: "literal", text: caseSensitive ? text : text.toLowerCase() };
}

interface Entry {
  readonly index: number;
  readonly methods: ReadonlySet<string> | undefined;
}

interface TreeNode {
  readonly literals: LiteralIndex<TreeNode>;
  parameter: TreeNode | undefined;
  /** Routes that end here, and routes whose `**` begins here; both in the order written. */
  readonly ends: Entry[];
  readonly rests: Entry[];
}

/** Routes in a tree by segment: a lookup costs what the path is long, not what the list is. */
export interface RouteTable {
  readonly routes: readonly Route[];
  readonly root: TreeNode;
  /** The same routes with their literals loosened; the same tree where all of them are loose as they are written. */
  readonly looseRoot: TreeNode;
}

export function compileRoutes(routes: readonly Route[]): RouteTable {
  const root = createTree(routes, (segments) => segments);
  const isLoose = routes.every(({ pattern }) => pattern.segments.every(isLooseSegment));
  return { routes, root, looseRoot: isLoose ? root : createTree(routes, loosenPattern) };
}

function createTree(routes: readonly Route[], spell: (segments: PatternSegments) => PatternSegments): TreeNode {
  const root = createNode();
  for (const [index, { pattern }] of routes.entries()) {
    addEntry(root, spell(pattern.segments), pattern.rest, { index, methods: pattern.methods });
  }
  return root;
}

function addEntry(root: TreeNode, segments: PatternSegments, rest: boolean, entry: Entry): void {
  let node = root;
  for (const segment of segments) node = childFor(node, segment);
  (rest ? node.rests : node.ends).push(entry);
}

function isLooseSegment(segment: PatternSegment): boolean {
  return segment.kind === "parameter" || (segment.text !== "" && loosenSegment(segment.text) === segment.text);
}

function loosenPattern(segments: PatternSegments): PatternSegments {
  return segments
    .map((segment) => (segment.kind === "literal" ? { ...segment, text: loosenSegment(segment.text) } : segment))
    .filter((segment) => segment.kind === "parameter" || segment.text !== "");
}

function createNode(): TreeNode {
  return { literals: new LiteralIndex(), parameter: undefined, ends: [], rests: [] };
}

function childFor(node: TreeNode, segment: PatternSegment): TreeNode {
  if (segment.kind === "parameter") {
    node.parameter ??= createNode();
    return node.parameter;
  }
  let child = node.literals.get(segment.text);
  if (child === undefined) {
    child = createNode();
    node.literals.add(segment.text, child);
  }
  return child;
}

/** The first route, in the order written, that matches; undefined when none does. */
export function findRoute(table: RouteTable, method: string, segments: Segments): Route | undefined {
  const index = firstMatch(table.root, method, segments, 0, Number.POSITIVE_INFINITY);
  return table.routes[index];
}

/** The first route that the loosest upstream could take this path for: see `loosen`. */
export function findLooseRoute(table: RouteTable, method: string, loosened: Segments): Route | undefined {
  const index = firstMatch(table.looseRoot, method, loosened, 0, Number.POSITIVE_INFINITY);
  return table.routes[index];
}

/** Whether the look-up of a path that is its own loose form was one by its loose form as well. */
export function isLooseTable({ root, looseRoot }: RouteTable): boolean {
  return root === looseRoot;
}

/** Whether two routes differ in nothing but what `loosen` ignores: who wrote both, told them apart on purpose. */
export function areSpellings(route: Route, other: Route): boolean {
  const spellingOf = ({ pattern: { segments, rest } }: Route) =>
    JSON.stringify([loosenPattern(segments).map((segment) => segment.kind === "literal" && segment.text), rest]);
  return spellingOf(route) === spellingOf(other);
}

function firstMatch(node: TreeNode, method: string, segments: Segments, depth: number, bound: number): number {
  let best = firstEntry(node.rests, method, bound);
  const segment = segments[depth];
  if (segment === undefined) return firstEntry(node.ends, method, best);
  const literal = node.literals.get(segment);
  if (literal !== undefined) best = firstMatch(literal, method, segments, depth + 1, best);
  // A trailing slash is a path of its own: `{id}` and `*` stand for something, never for nothing.
  if (node.parameter !== undefined && segment !== "") {
    best = firstMatch(node.parameter, method, segments, depth + 1, best);
  }
  return best;
}

function firstEntry(entries: readonly Entry[], method: string, bound: number): number {
  for (const entry of entries) {
    if (entry.index >= bound) return bound;
    if (entry.methods === undefined || entry.methods.has(method)) return entry.index;
  }
  return bound;
}

// What a path parameter may add to a scope: no separator, no wildcard, nothing that needs decoding.
const SCOPE_PARAMETER = /^[A-Za-z0-9_-]+$/;

/** The scope a template means for this request; undefined when the path or method gives it no meaning. */
export function toScope(
  template: ScopeTemplate,
  route: Route,
  method: string,
  segments: Segments,
  actions: ReadonlyMap<string, string>,
): string | undefined {
  if (template.parts === undefined) return template.text;
  let scope = "";
  for (const part of template.parts) {
    const text = partText(part, route, method, segments, actions);
    if (text === undefined) return undefined;
    scope += text;
  }
  return scope;
}

function partText(
  part: ScopePart,
  route: Route,
  method: string,
  segments: Segments,
  actions: ReadonlyMap<string, string>,
): string | undefined {
  switch (part.kind) {
    case "literal":
      return part.text;
    case "action":
      return actions.get(method);
    case "parameter": {
      const value = segments[part.position];
      return value !== undefined && SCOPE_PARAMETER.test(value) ? renameParameter(value, route.aliases) : undefined;
    }
    default:
      return part satisfies never;
  }
}

function renameParameter(value: string, aliases: Aliases): string {
  const exact = aliases.exact.get(value);
  if (exact !== undefined) return exact;
  const ending = aliases.endings.find(({ from }) => value.length > from.length && value.endsWith(from));
  return ending === undefined ? value : value.slice(0, value.length - ending.from.length) + ending.to;
}
