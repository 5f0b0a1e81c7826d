import fc from "fast-check";
import { expect } from "vitest";
import { decide } from "../../../src/policy/decide.ts";
import type { Allowed } from "../../../src/policy/decision.ts";
import type { Policy } from "../../../src/policy/policy.ts";
import { findRoute } from "../../../src/policy/route.ts";
import type { PathRules } from "../../../src/policy/target.ts";
import { toForwardTarget } from "../../../src/proxy/forward-target.ts";
import { createPolicy, createState, toFacts } from "../../policy/fixture.ts";
import { oddTarget } from "./targets.ts";

const NOW = 1_750_000_000_000;
// Guarded trees before an open one and a catch-all: whatever reads a path differently gains something by it.
export const ROUTES = [
  { match: "* /admin/**", scopes: ["admin"] },
  { match: "* /api/admin", scopes: ["admin"] },
  { match: "* /api/{name}/edit", scopes: ["edit"] },
  { match: "* /public/**", public: true },
  { match: "* /**", authenticated: true },
] as const;
const KEYS = { ordinary: [], editor: ["edit"], admin: ["*"], none: undefined } as const;
const KEY_NAMES = ["ordinary", "ordinary", "editor", "admin", "none"] as const;

export const RULES: Readonly<Record<string, Partial<PathRules>>> = {
  "the default rules": {},
  "encodedSlash: allow": { encodedSlash: "allow" },
  "encodedDelimiters: allow": { encodedDelimiters: "allow" },
  "matrixParameters: allow": { matrixParameters: "allow" },
  "emptySegments: allow": { emptySegments: "allow" },
  "caseSensitive: false": { caseSensitive: false },
  "every rule relaxed": {
    encodedSlash: "allow",
    encodedDelimiters: "allow",
    matrixParameters: "allow",
    emptySegments: "allow",
    caseSensitive: false,
  },
};

export type KeyName = keyof typeof KEYS;
export const credentialOf = (name: KeyName) => `${name}-credential`;

export function policyUnder(paths: Partial<PathRules>): Policy {
  const keys = Object.entries(KEYS).flatMap(([id, scopes]) =>
    scopes === undefined ? [] : [{ id, credential: `${id}-credential`, scopes }],
  );
  return createPolicy({ routes: ROUTES, keys, paths });
}

/** One request that may pass, and as what. */
export interface Passed {
  readonly target: string;
  readonly permit: Allowed;
}

export function passedOf(policy: Policy, target: string, name: KeyName): Passed | undefined {
  const facts = toFacts({ target, ...(name === "none" ? {} : { credential: credentialOf(name) }) });
  const permit = decide(facts, policy, createState(), NOW);
  return permit.kind === "allow" ? { target: toForwardTarget(target, permit.route, policy), permit } : undefined;
}

/** The route an upstream would be at, and so what it should have been asked for; compared with what was. */
export function judge(policy: Policy, { target, permit }: Passed, reader: string, path: string): void {
  const seen = policy.paths.caseSensitive ? path : path.toLowerCase();
  const route = findRoute(policy.routes, "GET", seen.slice(1).split("/"))?.match;
  if (route !== permit.route.match)
    expect({ target, reader, path, route }).toEqual({ target, reader, path, route: permit.route.match });
}

export const asked = fc.tuple(oddTarget, fc.constantFrom(...KEY_NAMES));
