import type { NetworkSet } from "../policy/network.ts";
import {
  type Access,
  type Aliases,
  parseRoutePattern,
  type Route,
  type RoutePattern,
  type ScopePart,
  type ScopeTemplate,
} from "../policy/route.ts";
import { isPlainScope, type ScopeCatalogue } from "../policy/scope.ts";
import { compileLimits, smallestCapacity } from "./compile-limits.ts";
import { checkMethod } from "./compile-methods.ts";
import { compileRanges } from "./compile-networks.ts";
import { findNearest, type Path } from "./diagnostics.ts";
import type { MainLines } from "./main-lines.ts";
import type { Report } from "./report.ts";
import type { Main, WrittenRoute } from "./schema.ts";
import { quote } from "./values.ts";

/** Compiles the routes in the order written; those with errors are reported and left out. */
export function compileRouteList(
  main: Main,
  catalogue: ScopeCatalogue | undefined,
  lines: MainLines,
  report: Report,
): readonly Route[] {
  return main.routes.flatMap((written, index) => {
    const path = ["routes", index];
    const parsed = parseRoutePattern(written.match, main.paths.caseSensitive);
    if (parsed.kind === "problem") {
      report.error([...path, "match"], capitalize(parsed.problem));
      return [];
    }
    const { pattern } = parsed;
    for (const method of pattern.methods ?? []) checkMethod(method, report, [...path, "match"]);
    checkParameters(pattern, report, path);
    const access = compileAccess(written, pattern, catalogue, report, path);
    if (access === undefined) return [];
    const match = written.match.trim().replace(/\s+/g, " ");
    const limits =
      written.limits === undefined ? [] : compileLimits(written.limits, `route:${match}`, report, [...path, "limits"]);
    if (written.cost > smallestCapacity(limits)) {
      report.error([...path, "cost"], `Cost ${written.cost} is above what this route's own limits ever admit`);
    }
    const networks: NetworkSet | undefined = compileRanges(written.allowIps ?? [], report, [...path, "allowIps"]);
    const source = { file: lines.file, line: lines.routes[index] ?? 0 };
    const aliases = compileAliases(written.aliases, report, [...path, "aliases"]);
    const { cost, allowMethodOverride } = written;
    return [{ match, pattern, access, aliases, cost, limits, networks, allowMethodOverride, source }];
  });
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function checkParameters(pattern: RoutePattern, report: Report, path: Path): void {
  const names = new Set<string>();
  for (const segment of pattern.segments) {
    const meant = segment.kind === "literal" ? /^:([A-Za-z][A-Za-z0-9_]*)$/.exec(segment.text)?.[1] : undefined;
    if (meant !== undefined) {
      report.warning(
        [...path, "match"],
        `The segment ":${meant}" matches this very text and no other`,
        `Did you mean {${meant}}?`,
      );
    }
    if (segment.kind !== "parameter" || segment.name === undefined) continue;
    if (names.has(segment.name)) report.error([...path, "match"], `The parameter {${segment.name}} stands twice`);
    if (segment.name === "action") {
      report.error([...path, "match"], "The name {action} is taken: in scopes it means the method's action");
    }
    names.add(segment.name);
  }
}

const ACCESS_FIELDS = ["public", "authenticated", "scopes", "anyScope"] as const;

function compileAccess(
  written: WrittenRoute,
  pattern: RoutePattern,
  catalogue: ScopeCatalogue | undefined,
  report: Report,
  path: Path,
): Access | undefined {
  const chosen = ACCESS_FIELDS.filter((field) => written[field] !== undefined);
  if (chosen.length !== 1) {
    const found = chosen.length === 0 ? "none" : chosen.join(" and ");
    report.error(path, `Expected exactly one of public, authenticated, scopes or anyScope; found ${found}`);
    return undefined;
  }
  if (written.public) return { kind: "public" };
  if (written.authenticated) return { kind: "authenticated" };
  const field = written.scopes === undefined ? "anyScope" : "scopes";
  const texts = written[field] ?? [];
  if (texts.length === 0) {
    report.error([...path, field], "Expected at least one scope", "For any valid key write `authenticated: true`");
    return undefined;
  }
  const scopes = texts.flatMap(
    (text, index) => compileScope(text, pattern, catalogue, report, [...path, field, index]) ?? [],
  );
  return { kind: "scopes", need: field === "scopes" ? "all" : "any", scopes };
}

function compileScope(
  text: string,
  pattern: RoutePattern,
  catalogue: ScopeCatalogue | undefined,
  report: Report,
  path: Path,
): ScopeTemplate | undefined {
  const parts = parseScopeParts(text, pattern, report, path);
  if (parts === undefined) return undefined;
  const plain = parts.map((part) => (part.kind === "literal" ? part.text : "x")).join("");
  if (!isPlainScope(plain)) {
    report.error(path, `Expected a scope without wildcards or blanks, such as orders:read; found ${quote(text)}`);
    return undefined;
  }
  if (parts.some((part) => part.kind !== "literal")) return { text, parts };
  checkScope(text, catalogue, (message, fix) => report.error(path, message, fix));
  return { text, parts: undefined };
}

/** Says of a scope that the catalogue does not know, and which it most likely meant. */
export function checkScope(
  scope: string,
  catalogue: ScopeCatalogue | undefined,
  say: (message: string, fix?: string) => void,
): void {
  if (catalogue === undefined || catalogue.has(scope)) return;
  const nearest = findNearest(scope, catalogue.keys());
  say(`Scope ${quote(scope)} is not in the catalogue`, nearest === undefined ? undefined : `Did you mean ${nearest}?`);
}

function parseScopeParts(text: string, pattern: RoutePattern, report: Report, path: Path): ScopePart[] | undefined {
  const parts: ScopePart[] = [];
  for (const [piece, name] of text.matchAll(/\{([^{}]*)\}|[^{}]+|[{}]/g)) {
    if (name === undefined) parts.push({ kind: "literal", text: piece });
    else if (name === "action") parts.push({ kind: "action" });
    else {
      const position = pattern.segments.findIndex((segment) => segment.kind === "parameter" && segment.name === name);
      if (position === -1) {
        const known = pattern.segments.flatMap((segment) =>
          segment.kind === "parameter" && segment.name !== undefined ? [segment.name] : [],
        );
        const nearest = findNearest(name, [...known, "action"]);
        report.error(
          path,
          `The scope uses {${name}}, which the path does not name`,
          nearest === undefined ? undefined : `Did you mean {${nearest}}?`,
        );
        return undefined;
      }
      parts.push({ kind: "parameter", position });
    }
  }
  return parts;
}

/** What becomes a part of a scope stands in answers to clients, where a line break would begin another field. */
export function checkScopePart(text: string, report: Report, path: Path): void {
  if (isPlainScope(`x${text}`)) return;
  report.error(path, `Expected what can be a part of a scope, such as orders; found ${quote(text)}`);
}

function compileAliases(written: Readonly<Record<string, string>>, report: Report, path: Path): Aliases {
  const exact = new Map<string, string>();
  const endings: { from: string; to: string }[] = [];
  for (const [from, to] of Object.entries(written)) {
    const isWhole = !from.includes("*") && !to.includes("*");
    if (!isWhole && !(/^\*[^*]+$/.test(from) && /^\*[^*]*$/.test(to))) {
      report.error([...path, from], 'Expected a whole name, or an ending on both sides such as "*ies": "*y"');
      continue;
    }
    if (to !== "*") checkScopePart(isWhole ? to : to.slice(1), report, [...path, from]);
    if (isWhole) exact.set(from, to);
    else endings.push({ from: from.slice(1), to: to.slice(1) });
  }
  return { exact, endings };
}
