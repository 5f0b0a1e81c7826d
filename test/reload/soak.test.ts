import { expect, test } from "vitest";
import { judge } from "./soak/judge.ts";
import { soak } from "./soak/soak.ts";

const SECONDS = 45;

test("the built program loses, tears and leaks nothing while its files change five times a second", {
  timeout: 150_000,
}, async () => {
  const result = await soak({ seconds: SECONDS, requestsASecond: 100 });
  expect(judge(result)).toEqual([]);
  // That it happened at all, on a machine however busy.
  expect(result.generations).toBeGreaterThan(SECONDS);
  expect(result.edits.broken).toBeGreaterThan(SECONDS / 3);
  expect(result.restarts).toBeGreaterThan(1);
  for (const status of [101, 200, 401]) expect(result.statuses[status]).toBeGreaterThan(20);
});
