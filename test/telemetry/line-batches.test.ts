import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLineBatches, type LineBytes } from "../../src/telemetry/line-batches.ts";

function gather() {
  const written: LineBytes[] = [];
  const waiting: (() => void)[] = [];
  const lines = createLineBatches(
    (bytes) => void written.push(bytes),
    (_, task) => void waiting.push(task),
  );
  return { lines, written, waiting, toText: () => Buffer.concat(written).toString() };
}

describe("createLineBatches()", () => {
  test("loses no line and keeps their order, whatever is in them and however long they are", () => {
    const line = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 300 }),
      fc.integer({ min: 1, max: 90_000 }).map((length) => "é".repeat(length)),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), (texts) => {
        const { lines, toText } = gather();
        for (const text of texts) lines.write(`${text}\n`);
        lines.flush();
        expect(toText()).toBe(texts.map((text) => `${text}\n`).join(""));
      }),
      { numRuns: 200 },
    );
  });

  test("writes many lines at once, and the last of them when their time has come", () => {
    const { lines, written, waiting, toText } = gather();
    for (let count = 0; count < 1000; count += 1) lines.write(`${"x".repeat(399)}\n`);
    expect(written.length).toBeLessThan(10);
    expect(waiting).toHaveLength(1);
    waiting[0]?.();
    expect(toText()).toHaveLength(400_000);
  });
});
