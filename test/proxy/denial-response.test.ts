import { expect, test } from "vitest";
import type { DenialSettings } from "../../src/config/settings.ts";
import { decide } from "../../src/policy/decide.ts";
import { toDenialResponse } from "../../src/proxy/denial-response.ts";
import { createPolicy, createState, toFacts } from "../policy/fixture.ts";

const SETTINGS: DenialSettings = {
  body: { kind: "problem" },
  reasons: new Map(),
  variables: new Map(),
  realm: "api",
};

test.each([
  [1, ["5/minute"], 6, ["5/minute"]],
  [3, ["5/minute"], 2, ["5/minute"]],
  [3, ["5/minute", "100/hour"], 2, ["5/minute"]],
  [2, ["3/second", "3/minute", "50/hour"], 2, ["3/second", "3/minute"]],
])("names the limits that a request of cost %d is over: %j", (cost, limits, count, violated) => {
  const policy = createPolicy({ routes: [{ match: "GET /**", public: true, cost, limits }] });
  const state = createState();
  const decisions = Array.from({ length: count }, () => decide(toFacts({}), policy, state, 0));
  const last = decisions.at(-1);
  if (last?.kind !== "deny") throw new Error("the last is over the limit");
  const { body } = toDenialResponse(last, "id", SETTINGS, policy.credentials);
  expect(JSON.parse(body)).toMatchObject({ "violated-policies": violated });
});
