import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asked, judge, passedOf, policyUnder, RULES } from "./readers/authorised.ts";
import { type Readers, startReaders } from "./readers/reader.ts";

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
