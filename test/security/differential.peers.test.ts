import { Agent, request } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decide } from "../../src/policy/decide.ts";
import type { Allowed } from "../../src/policy/decision.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { findRoute } from "../../src/policy/route.ts";
import type { PathRules } from "../../src/policy/target.ts";
import { toForwardTarget } from "../../src/proxy/forward-target.ts";
import {
  createFolder,
  type Folder,
  type Program,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "../e2e/harness.ts";
import { createPolicy, createState, toFacts } from "../policy/fixture.ts";
import { MODELS } from "./readers/models.ts";
import { type Readers, startReaders } from "./readers/reader.ts";
import { canTravel, oddTarget } from "./readers/targets.ts";

const NOW = 1_750_000_000_000;
// Guarded trees before an open one and a catch-all: whatever reads a path differently gains something by it.
const ROUTES = [
  { match: "* /admin/**", scopes: ["admin"] },
  { match: "* /api/admin", scopes: ["admin"] },
  { match: "* /api/{name}/edit", scopes: ["edit"] },
  { match: "* /public/**", public: true },
  { match: "* /**", authenticated: true },
] as const;
const KEYS = { ordinary: [], editor: ["edit"], admin: ["*"], none: undefined } as const;
const KEY_NAMES = ["ordinary", "ordinary", "editor", "admin", "none"] as const;

const RULES: Readonly<Record<string, Partial<PathRules>>> = {
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

const credentialOf = (name: keyof typeof KEYS) => `${name}-credential`;

function policyUnder(paths: Partial<PathRules>): Policy {
  const keys = Object.entries(KEYS).flatMap(([id, scopes]) =>
    scopes === undefined ? [] : [{ id, credential: `${id}-credential`, scopes }],
  );
  return createPolicy({ routes: ROUTES, keys, paths });
}

/** One request that may pass, and as what. */
interface Passed {
  readonly target: string;
  readonly permit: Allowed;
}

function passedOf(policy: Policy, target: string, name: keyof typeof KEYS): Passed | undefined {
  const facts = toFacts({ target, ...(name === "none" ? {} : { credential: credentialOf(name) }) });
  const permit = decide(facts, policy, createState(), NOW);
  return permit.kind === "allow" ? { target: toForwardTarget(target, permit.route, policy), permit } : undefined;
}

/** The route an upstream would be at, and so what it should have been asked for; compared with what was. */
function judge(policy: Policy, { target, permit }: Passed, reader: string, path: string): void {
  const seen = policy.paths.caseSensitive ? path : path.toLowerCase();
  const route = findRoute(policy.routes, "GET", seen.slice(1).split("/"))?.match;
  if (route !== permit.route.match)
    expect({ target, reader, path, route }).toEqual({ target, reader, path, route: permit.route.match });
}

const asked = fc.tuple(oddTarget, fc.constantFrom(...KEY_NAMES));

describe.each(Object.entries(RULES))("under %s", (_rule, paths) => {
  const policy = policyUnder(paths);

  test.each(Object.entries(MODELS))("%s sees the route that was authorised", (reader, read) => {
    let passed = 0;
    fc.assert(
      fc.property(asked, ([target, name]) => {
        const allowed = passedOf(policy, target, name);
        const path = allowed && read(allowed.target);
        if (allowed === undefined || path === undefined) return;
        passed += 1;
        judge(policy, allowed, reader, path);
      }),
      { numRuns: 4000 },
    );
    // A generator of targets that are all refused would show nothing.
    expect(passed).toBeGreaterThan(200);
  });
});

describe("real servers", () => {
  let readers: Readers;
  beforeAll(async () => {
    readers = await startReaders();
  });
  afterAll(() => readers?.stop());

  test.each(Object.entries(RULES))("see the route that was authorised under %s", async (_rule, paths) => {
    const policy = policyUnder(paths);
    const answered = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(asked, { minLength: 60, maxLength: 60 }), async (batch) => {
        const passed = batch.flatMap(([target, name]) => passedOf(policy, target, name) ?? []);
        await Promise.all(
          readers.all.flatMap((reader) =>
            passed.map(async (allowed) => {
              for (const [view, path] of Object.entries(await reader.read(allowed.target))) {
                answered.set(reader.name, (answered.get(reader.name) ?? 0) + 1);
                judge(policy, allowed, `${reader.name}, ${view}`, path);
              }
            }),
          ),
        );
      }),
      { numRuns: 8 },
    );
    expect([...answered.keys()].sort()).toEqual(["http.server", "node:http", "php", "wsgiref"]);
    for (const count of answered.values()) expect(count).toBeGreaterThan(30);
  });
});

describe("the program", () => {
  let upstream: Upstream;
  let folder: Folder;
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const programs: Program[] = [];
  beforeAll(async () => {
    upstream = await startUpstream((incoming, response) => response.end(incoming.url));
    folder = await createFolder();
  });
  afterAll(async () => {
    agent.destroy();
    await Promise.all(programs.map((program) => program.stop()));
    await upstream?.close();
    await folder?.remove();
  });

  const settings = ["the default rules", "every rule relaxed"] as const;
  test.each(settings)("forwards the very bytes that were authorised, and nothing else, under %s", async (rule) => {
    const paths = RULES[rule] ?? {};
    const policy = policyUnder(paths);
    const keys = policy.keys.all.map(({ id, scopes }) => ({ id, scopes, hash: sha256Of(`${id}-credential`) }));
    const limits = { failures: "off" };
    const config = { upstream: upstream.url, routes: ROUTES, keys, paths, limits };
    const program = await startProgram(await folder.write(`${programs.length}.json`, JSON.stringify(config)));
    programs.push(program);
    let forwarded = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(asked, { minLength: 60, maxLength: 60 }), async (batch) => {
        await Promise.all(
          batch.map(async ([target, name]) => {
            if (!canTravel(target)) return;
            const expected = passedOf(policy, target, name)?.target;
            const said = await ask(program.port, target, name, agent);
            expect({ target, received: said.status === 200 ? said.body : undefined }).toEqual({
              target,
              received: expected,
            });
            if (expected !== undefined) forwarded += 1;
          }),
        );
      }),
      { numRuns: 15 },
    );
    expect(forwarded).toBeGreaterThan(100);
  });
});

interface Said {
  readonly status: number | undefined;
  readonly body: string;
}

function ask(port: number, target: string, name: keyof typeof KEYS, agent: Agent): Promise<Said> {
  return new Promise((resolve, reject) => {
    const headers = name === "none" ? {} : { authorization: `Bearer ${credentialOf(name)}` };
    const asking = request({ host: "127.0.0.1", port, path: target, headers, agent }, (response) => {
      let body = "";
      response.setEncoding("latin1");
      response.on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve({ status: response.statusCode, body }));
      response.on("error", reject);
    });
    asking.on("error", reject);
    asking.end();
  });
}
