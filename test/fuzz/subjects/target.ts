import { decide } from "../../../src/policy/decide.ts";
import { matchRoute } from "../../../src/policy/match-route.ts";
import { findRoute } from "../../../src/policy/route.ts";
import { judgeTarget, type PathRules } from "../../../src/policy/target.ts";
import { toForwardTarget } from "../../../src/proxy/forward-target.ts";
import { createPolicy, createState, toFacts } from "../../policy/fixture.ts";
import { MODELS } from "../../security/readers/models.ts";
import type { Subject } from "../fuzzer.ts";
import { assert } from "./assert.ts";

const NOW = 1_750_000_000_000;
const ROUTES = [
  { match: "* /admin/**", scopes: ["admin"] },
  { match: "* /api/admin", scopes: ["admin"] },
  { match: "GET /api/{resource}/{id}", scopes: ["{resource}.{action}"] },
  { match: "* /Open/", public: true },
  { match: "* /**", authenticated: true },
] as const;
const KEYS = [{ id: "k", credential: "credential", scopes: ["orders.read"] }] as const;

/** Rules by the first character of an input, so that mutations reach all thirty-two. */
const POLICIES = Array.from({ length: 32 }, (_, bits) => {
  const allow = (bit: number) => (bits & (1 << bit) ? "allow" : "reject");
  const paths: PathRules = {
    encodedSlash: allow(0),
    encodedDelimiters: allow(1),
    matrixParameters: allow(2),
    emptySegments: allow(3),
    caseSensitive: (bits & 16) === 0,
  };
  return createPolicy({ routes: ROUTES, keys: KEYS, paths });
});

/** The judge of targets and the choice of a route: one character of rules, then the target. */
export const target: Subject = {
  name: "target",
  sources: [
    "/src/policy/target.ts",
    "/src/policy/loose-path.ts",
    "/src/policy/match-route.ts",
    "/src/policy/route.ts",
    "/src/proxy/forward-target.ts",
  ],
  dictionary: [
    ..."/?#;%.:~",
    ..."%2f %2F %5c %2e %252e %00 %3b %3f %23 %61 %c0%ae %ff %u002e .. ../ ..; // /./".split(" "),
    ..."admin ADMIN api orders Open .. ::$DATA &_method= %EF%BC%8F %E2%80%A5 http://x/ api_key=".split(" "),
  ],
  maxLength: 4096,
  limitMs: 250,
  run: (input) => {
    const policy = POLICIES[input.charCodeAt(0) % POLICIES.length];
    assert(policy !== undefined || input === "", "there are rules for every input");
    if (policy === undefined) return;
    const text = input.slice(1);
    const judged = judgeTarget(text, policy.paths);
    const decision = decide(toFacts({ target: text, credential: "credential" }), policy, createState(), NOW);
    if (judged.kind === "refused") {
      assert(decision.kind === "deny" && decision.reason === "target_invalid", "a refused target is denied");
      return;
    }
    assert(text === (judged.query === undefined ? judged.path : `${judged.path}?${judged.query}`), "no byte is lost");
    assert(/^\/[\x21-\x7e]*$/.test(judged.path), "a path is visible ASCII");
    for (const reading of judged.readings) {
      for (const segment of reading) {
        assert(segment !== ".." && segment !== ".", "no reading has a dot segment");
        assert(!segment.includes("\\") && !segment.includes("\0"), "no reading has a backslash or NUL");
      }
    }
    const routed = matchRoute(judged, "GET", policy);
    if (decision.kind !== "allow") return;
    assert(routed !== "ambiguous" && routed.route === decision.route, "what is allowed is what was matched");
    const forwarded = toForwardTarget(text, decision.route, policy);
    assert(forwarded.split("?", 1)[0] === judged.path, "the path that was authorised is the one forwarded");
    for (const [reader, read] of Object.entries(MODELS)) {
      const path = read(forwarded);
      if (path === undefined) continue;
      const seen = policy.paths.caseSensitive ? path : path.toLowerCase();
      const route = findRoute(policy.routes, "GET", seen.slice(1).split("/"));
      const isGuarded = route?.access.kind === "scopes" && route !== decision.route;
      assert(!isGuarded, `${reader} sees ${path}, which is ${route?.match}`);
    }
  },
};
