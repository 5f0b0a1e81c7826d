import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Aliases,
  compileRoutes,
  findRoute,
  parseRoutePattern,
  type Route,
  type RoutePattern,
  type ScopePart,
  toScope,
} from "../../src/policy/route.ts";
import type { Segments } from "../../src/policy/target.ts";

const NO_ALIASES: Aliases = { exact: new Map(), endings: [] };
const NO_ACTIONS: ReadonlyMap<string, string> = new Map();

function pattern(text: string, caseSensitive = true): RoutePattern {
  const parsed = parseRoutePattern(text, caseSensitive);
  if (parsed.kind === "problem") throw new Error(`${text}: ${parsed.problem}`);
  return parsed.pattern;
}

function route(match: string, aliases: Aliases = NO_ALIASES): Route {
  return {
    match,
    pattern: pattern(match),
    access: { kind: "authenticated" },
    aliases,
    cost: 1,
    limits: [],
    networks: undefined,
    allowMethodOverride: false,
    source: { file: "latchkey.yaml", line: 1 },
  };
}

function toSegments(path: string): Segments {
  return path.slice(1).split("/");
}

/** The rule in the plainest words, read off the text of the route. */
function matchesNaively(match: string, method: string, segments: Segments): boolean {
  const [methods = "", path = ""] = match.split(" ");
  const listed = methods.split(",");
  if (methods !== "*" && !listed.includes(method) && !(method === "HEAD" && listed.includes("GET"))) return false;
  const written = path.slice(1).split("/");
  const rest = written.at(-1) === "**";
  if (rest) written.pop();
  if (rest ? segments.length < written.length : segments.length !== written.length) return false;
  return written.every((part, index) => {
    const segment = segments[index];
    return part === "*" || part.startsWith("{") ? segment !== "" : part === segment;
  });
}

// Few words, so that generated routes overlap and generated paths hit them.
const methodList = fc.constantFrom("*", "GET", "POST", "GET,POST", "HEAD", "PUT,DELETE");
const routePath = fc
  .tuple(
    fc.array(fc.constantFrom("a", "b", "c", "*", "{x}", "{y}"), { maxLength: 4 }),
    fc.constantFrom("", "**", undefined),
  )
  .map(([segments, end]) => `/${[...segments, ...(end === undefined ? [] : [end])].join("/")}`);
const matches = fc.array(
  fc.tuple(methodList, routePath).map((parts) => parts.join(" ")),
  { maxLength: 12 },
);
const requestPath = fc
  .tuple(fc.array(fc.constantFrom("a", "b", "c", "d", "__proto__", "**", "*"), { maxLength: 5 }), fc.boolean())
  .map(([segments, slash]) => (segments.length === 0 || slash ? [...segments, ""] : segments));
const method = fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "get");

describe("findRoute()", () => {
  test("findRoute() finds what reading the list from top to bottom finds", () => {
    fc.assert(
      fc.property(matches, method, requestPath, (texts, asked, segments) => {
        const expected = texts.findIndex((text) => matchesNaively(text, asked, segments));
        const routes = texts.map((text) => route(text));
        expect(findRoute(compileRoutes(routes), asked, segments)).toBe(routes[expected]);
      }),
      { numRuns: 10_000 },
    );
  });

  const cases: readonly (readonly [match: string, path: string, found: boolean])[] = [
    ["GET /", "/", true],
    ["GET /a", "/a", true],
    ["GET /a", "/a/", false],
    ["GET /a/", "/a/", true],
    ["GET /a/", "/a", false],
    ["GET /a/{id}", "/a/1", true],
    ["GET /a/{id}", "/a/", false],
    ["GET /a/{id}", "/a/1/", false],
    ["GET /a/*/b", "/a/x/b", true],
    ["GET /a/**", "/a", true],
    ["GET /a/**", "/a/", true],
    ["GET /a/**", "/a/b/c/", true],
    ["GET /a/**", "/ab", false],
    ["GET /a/{id}/**", "/a/", false],
    ["GET /a/{id}/**", "/a/1", true],
    ["GET /**", "/", true],
    ["* /a", "/A", false],
  ];
  test.each(cases)("findRoute() for the route %s and the path %s: %s", (match, path, found) => {
    expect(findRoute(compileRoutes([route(match)]), "GET", toSegments(path)) !== undefined).toBe(found);
  });

  test("findRoute() takes no time that grows with the number of routes squared, or with the depth of a path", () => {
    const routes = Array.from({ length: 5000 }, (_, index) => route(`GET /{x}/a/{y}/b${index}/**`));
    const deep = route(`GET /${Array(200).fill("{x}").join("/")}`);
    const table = compileRoutes([...routes, deep]);
    const started = performance.now();
    for (let index = 0; index < 1000; index += 1) {
      expect(findRoute(table, "GET", ["x", "a", "y", `b${index}`, "z"])).toBe(routes[index]);
    }
    expect(findRoute(table, "GET", Array(200).fill("a"))).toBe(deep);
    expect(findRoute(table, "GET", Array(5000).fill("a"))).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe("parseRoutePattern()", () => {
  const refused: readonly (readonly [text: string, problem: RegExp])[] = [
    ["", /METHODS PATH/],
    ["GET", /METHODS PATH/],
    ["/a", /METHODS PATH/],
    ["GET /a /b", /METHODS PATH/],
    ["get /a", /capitals/],
    ["GET, /a", /capitals/],
    ["GET,* /a", /capitals/],
    ["GET a", /starts with/],
    ["GET /**/a", /only at the end/],
    ["GET /a//b", /literal/],
    ["GET /a/../b", /literal/],
    ["GET /a/./b", /literal/],
    ["GET /a%20b", /literal/],
    ["GET /{a-b}", /literal/],
    ["GET /a{b}", /literal/],
    ["GET /a*", /literal/],
    ["GET /a?b", /literal/],
    ["GET /a;b", /literal/],
    ["GET /a\\b", /literal/],
  ];
  test.each(refused)("parseRoutePattern() refuses %j", (text, problem) => {
    const parsed = parseRoutePattern(text, true);
    expect(parsed.kind === "problem" ? parsed.problem : "accepted").toMatch(problem);
  });

  test("parseRoutePattern() lets GET cover HEAD, and HEAD nothing else", () => {
    expect(pattern("GET /a").methods).toEqual(new Set(["GET", "HEAD"]));
    expect(pattern("HEAD /a").methods).toEqual(new Set(["HEAD"]));
    expect(pattern("* /a").methods).toBeUndefined();
  });

  test("parseRoutePattern() folds literals, not names of parameters, where case does not matter", () => {
    expect(pattern("GET /Orders/{Id}", false).segments).toEqual([
      { kind: "literal", text: "orders" },
      { kind: "parameter", name: "Id" },
    ]);
  });
});

describe("toScope()", () => {
  const parts: readonly ScopePart[] = [
    { kind: "parameter", position: 0 },
    { kind: "literal", text: "." },
    { kind: "action" },
  ];
  const template = { text: "{resource}.{action}", parts };
  const actions = new Map([
    ["GET", "read"],
    ["POST", "create"],
  ]);

  test("toScope() puts together the path's part and the method's", () => {
    expect(toScope(template, route("* /{resource}/**"), "GET", ["orders", "1"], actions)).toBe("orders.read");
    expect(toScope({ text: "orders:read", parts: undefined }, route("* /**"), "GET", [], NO_ACTIONS)).toBe(
      "orders:read",
    );
  });

  test("toScope() gives no scope for a method without an action or a path without the part", () => {
    expect(toScope(template, route("* /{resource}/**"), "PURGE", ["orders"], actions)).toBeUndefined();
    expect(toScope(template, route("* /**"), "GET", [], actions)).toBeUndefined();
  });

  test("toScope() never lets a path write a separator, a wildcard or anything else into a scope", () => {
    const segment = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.string({ unit: "grapheme", maxLength: 6 }),
      fc.constantFrom("*", "a.b", "a:b", "a/b", "orders.read", "a b", "a,b", "{action}", "__proto__", "", "a\n"),
      fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/),
    );
    let made = 0;
    fc.assert(
      fc.property(segment, (text) => {
        const scope = toScope(template, route("* /{resource}/**"), "GET", [text], actions);
        if (scope === undefined) return;
        made += 1;
        expect(scope).toMatch(/^[A-Za-z0-9_-]+\.read$/);
        expect(scope).toBe(`${text}.read`);
      }),
      { numRuns: 2000 },
    );
    expect(made).toBeGreaterThan(100);
  });

  const aliases: Aliases = {
    exact: new Map([["people", "person"]]),
    endings: [
      { from: "ies", to: "y" },
      { from: "s", to: "" },
    ],
  };
  test.each([
    ["people", "person"],
    ["invoices", "invoice"],
    ["companies", "company"],
    ["order", "order"],
    ["s", "s"],
    ["ies", "ie"],
    ["constructor", "constructor"],
  ])("toScope() renames %s to %s: exact names first, then endings in the order written", (written, renamed) => {
    const renaming = route("* /{resource}/**", aliases);
    expect(toScope(template, renaming, "GET", [written], actions)).toBe(`${renamed}.read`);
  });
});
