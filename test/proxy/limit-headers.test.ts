import { expect, test } from "vitest";
import { toLimit } from "../../src/config/values.ts";
import type { Limit, Quota } from "../../src/policy/bucket.ts";
import { toLimitFields } from "../../src/proxy/limit-headers.ts";

const [MINUTE, HOUR, DAY] = [limitOf(100, 60, "minute"), limitOf(1000, 3600, "hour"), limitOf(5, 86_400, "day")];
const BOTH = { ietf: true, legacy: "epoch" } as const;
const NOW = () => 1_700_000_000_000;

function limitOf(count: number, seconds: number, window: string): Limit {
  return toLimit({ text: `${count}/${window}`, count, windowMs: seconds * 1000 }, "default");
}

function quotaOf(limit: Limit, remaining: number, nextSeconds = 1): Quota {
  return { limit, remaining, nextSeconds, fullSeconds: 30 };
}

test("toLimitFields() reports all limits, and in the legacy fields the one that refuses first", () => {
  expect(toLimitFields([quotaOf(MINUTE, 99), quotaOf(HOUR, 42, 600)], BOTH, NOW)).toEqual({
    ietf: 'RateLimit-Policy: "100/minute";q=100;w=60, "1000/hour";q=1000;w=3600\r\nRateLimit: "100/minute";r=99;t=1, "1000/hour";r=42;t=600\r\n',
    legacy: "X-RateLimit-Limit: 1000\r\nX-RateLimit-Remaining: 42\r\nX-RateLimit-Reset: 1700000030\r\n",
  });
});

test("toLimitFields() names the limits it is given, whichever came with the first of them before", () => {
  const policyOf = (...limits: readonly Limit[]) =>
    toLimitFields(
      limits.map((limit) => quotaOf(limit, 1)),
      BOTH,
      NOW,
    ).ietf.split("\r\n", 1)[0];
  for (const limits of [[MINUTE], [MINUTE, HOUR], [MINUTE, DAY], [MINUTE, HOUR, DAY], [MINUTE, HOUR], [MINUTE]]) {
    const items = limits.map(({ name, capacity, windowMs }) => `"${name}";q=${capacity};w=${windowMs / 1000}`);
    expect(policyOf(...limits)).toBe(`RateLimit-Policy: ${items.join(", ")}`);
  }
});

test("toLimitFields() reports nothing where there is no limit, and only what is asked for", () => {
  expect(toLimitFields([], BOTH, NOW)).toEqual({ ietf: "", legacy: "" });
  expect(toLimitFields([quotaOf(MINUTE, 1)], { ietf: false, legacy: "off" }, NOW)).toEqual({ ietf: "", legacy: "" });
});
