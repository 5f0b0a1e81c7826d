import { describe, expect, test } from "vitest";
import { createRecent } from "../../src/policy/recent.ts";

const SIZE = 4;

describe("createRecent()", () => {
  test("keeps no more than twice its size, and the latest of them", () => {
    const recent = createRecent<number, string>(SIZE);
    const names = Array.from({ length: 100 }, (_, name) => name);
    for (const name of names) recent.set(name, String(name));
    const kept = names.filter((name) => recent.get(name) !== undefined);
    expect(kept.length).toBeLessThanOrEqual(2 * SIZE);
    expect(kept.slice(-SIZE)).toEqual([96, 97, 98, 99]);
  });

  test("keeps what is asked for, however many others come", () => {
    const recent = createRecent<number, string>(SIZE);
    recent.set(-1, "asked for");
    for (let name = 0; name < 100; name += 1) {
      recent.set(name, "once");
      expect(recent.get(-1)).toBe("asked for");
    }
  });
});
