import { Agent, request } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createFolder,
  type Folder,
  type Program,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "../e2e/harness.ts";
import {
  asked,
  credentialOf,
  judge,
  type KeyName,
  passedOf,
  policyUnder,
  ROUTES,
  RULES,
} from "./readers/authorised.ts";
import { MODELS } from "./readers/models.ts";
import { canTravel } from "./readers/targets.ts";

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
    const keys = Array.from(policy.keys.all(), ({ id, scopes }) => ({
      id,
      scopes,
      hash: sha256Of(`${id}-credential`),
    }));
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
    // Some 160 of 900, as a rule: enough that the other comparisons are not of refusals alone.
    expect(forwarded).toBeGreaterThan(50);
  });
});

interface Said {
  readonly status: number | undefined;
  readonly body: string;
}

function ask(port: number, target: string, name: KeyName, agent: Agent): Promise<Said> {
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
