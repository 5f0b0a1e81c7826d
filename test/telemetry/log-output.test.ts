import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LineBytes } from "../../src/telemetry/line-batches.ts";
import { createLogOutput, type LogFile } from "../../src/telemetry/log-output.ts";

/** What the file does at a write: takes so many bytes at most, or fails. */
type Mood = number | "full" | "busy";

const ALL = Number.POSITIVE_INFINITY;
const CODES = { full: "ENOSPC", busy: "EAGAIN" } as const;

/** A file whose moods the test sets, and whose writes end when the test says so. */
function gather(heldMaxBytes?: number) {
  const ending: (() => void)[] = [];
  const waiting: (() => void)[] = [];
  const lengths: number[] = [];
  const written: LineBytes[] = [];
  let [mood, dropped, pauses]: [Mood, number, number] = [ALL, 0, 0];
  const take = (bytes: LineBytes): number => {
    lengths.push(bytes.length);
    if (mood === "full" || mood === "busy") throw Object.assign(new Error(mood), { code: CODES[mood] });
    const taken = bytes.slice(0, mood);
    written.push(taken);
    return taken.length;
  };
  const file: LogFile = {
    write: (bytes, done) => {
      ending.push(() => {
        try {
          done(null, take(bytes));
        } catch (error) {
          done(error instanceof Error ? error : new Error(String(error)), 0);
        }
      });
    },
    writeSync: take,
    pause: () => {
      pauses += 1;
    },
  };
  const output = createLogOutput(
    file,
    (lines) => {
      dropped += lines;
    },
    (_, task) => void waiting.push(task),
    heldMaxBytes,
  );
  const endOne = (): boolean => {
    const end = ending.shift();
    end?.();
    return end !== undefined;
  };
  return {
    output,
    lengths,
    waiting,
    endOne,
    write: (lines: string) => output.write(new TextEncoder().encode(lines)),
    be: (next: Mood) => {
      mood = next;
    },
    /** Ends writes until none is under way. */
    run: () => {
      while (endOne());
    },
    text: () => Buffer.concat(written).toString(),
    dropped: () => dropped,
    pauses: () => pauses,
  };
}

describe("createLogOutput()", () => {
  test("writes every line once and in order, however little is taken at a time", () => {
    const steps = fc.array(
      fc.oneof(
        fc.string({ unit: "grapheme", maxLength: 40 }).map((line) => ({ line: `${line.replaceAll("\n", "")}\n` })),
        fc.record({ takes: fc.integer({ min: 1, max: 30 }) }),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const log = gather();
        for (const step of all) {
          if ("line" in step) log.write(step.line);
          else {
            log.be(step.takes);
            log.endOne();
          }
        }
        log.run();
        expect(log.text()).toBe(all.map((step) => ("line" in step ? step.line : "")).join(""));
        expect(log.dropped()).toBe(0);
      }),
    );
  });

  test("counts what a full disk does not take, and writes on once there is room", () => {
    const log = gather();
    log.be("full");
    log.write("one\ntwo\n");
    log.write("three\n");
    log.run();
    expect(log.dropped()).toBe(3);
    log.be(ALL);
    log.write("four\n");
    log.run();
    expect([log.text(), log.dropped()]).toEqual(["four\n", 3]);
  });

  test("finishes the line in which there was no more room, and drops those behind it", () => {
    const log = gather();
    log.be(6);
    log.write("one\ntwo\nthree\n");
    log.endOne();
    log.be("full");
    log.run();
    log.write("four\n");
    log.run();
    expect([log.text(), log.dropped()]).toEqual(["one\ntw", 2]);
    log.be(ALL);
    log.write("five\n");
    log.run();
    expect([log.text(), log.dropped()]).toEqual(["one\ntwo\nfive\n", 2]);
  });

  test("tries again later where a pipe takes nothing just now, and loses nothing", () => {
    const log = gather();
    log.be("busy");
    log.write("one\n");
    log.run();
    log.write("two\n");
    expect(log.waiting).toHaveLength(1);
    log.be(ALL);
    log.waiting.shift()?.();
    log.run();
    expect([log.text(), log.dropped()]).toEqual(["one\ntwo\n", 0]);
  });

  test("holds no more than it may while nobody reads", () => {
    const log = gather(10);
    log.be("busy");
    log.write("under way\n");
    for (let count = 0; count < 5; count += 1) log.write("four\n");
    log.be(ALL);
    log.run();
    log.write("five\n");
    log.run();
    expect([log.text(), log.dropped()]).toEqual(["under way\nfour\nfour\nfive\n", 3]);
  });

  test("writes what came during a write at once, in pieces of a bounded size", () => {
    const log = gather();
    for (let count = 0; count < 100; count += 1) log.write(`${"x".repeat(9_999)}\n`);
    log.run();
    expect(log.text()).toHaveLength(1_000_000);
    expect(log.lengths.length).toBeLessThan(7);
    expect(Math.max(...log.lengths)).toBeLessThanOrEqual(256 * 1024);
  });

  test("writes at its end what is left, but not what another thread is writing", () => {
    const log = gather();
    log.write("under way\n");
    log.write("left\n");
    log.be(3);
    log.output.end();
    expect(log.text()).toBe("left\n");
  });

  test.each([
    ["full", 0],
    ["busy", 10],
  ] as const)("ends in time where the file is %s", (mood, pauses) => {
    const log = gather();
    log.be("busy");
    log.write("one\n");
    log.run();
    log.be(mood);
    log.output.end();
    expect([log.text(), log.pauses()]).toEqual(["", pauses]);
  });
});
