import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { giveBackOnceQuiet } from "../../src/app/give-back.ts";
import { createFolder, type Folder, sha256Of, startProgram } from "../e2e/harness.ts";

/** Runs what waits for the clock, one task after another, with what the event loop was busy before each. */
function run(busyShares: readonly number[], cancelAfter = busyShares.length): readonly string[] {
  const done: string[] = [];
  const tasks: (() => void)[] = [];
  const shares = [...busyShares];
  const waiting = giveBackOnceQuiet({
    clock: {
      after: (_, task) => {
        tasks.push(task);
        return { cancel: () => tasks.splice(tasks.indexOf(task), 1) };
      },
    },
    utilization: () => shares.shift() ?? 0,
    giveBack: () => done.push("given back"),
  });
  for (let turn = 0; turn < busyShares.length; turn += 1) {
    if (turn === cancelAfter) waiting.cancel();
    tasks.shift()?.();
    done.push("looked");
  }
  return done;
}

describe("giveBackOnceQuiet()", () => {
  test("gives back after the first quiet second, and once", () => {
    expect(run([0.9, 0.3, 0.01, 0.01])).toEqual(["looked", "looked", "given back", "looked", "looked"]);
  });

  test("does nothing any more once it is cancelled, however often it has looked", () => {
    expect(run([0.9, 0.3, 0.01], 2)).toEqual(["looked", "looked", "looked"]);
  });
});

describe("the built program", () => {
  let folder: Folder;
  beforeAll(async () => {
    folder = await createFolder();
  });
  afterAll(() => folder.remove());

  test("gives back what only its start needed", async () => {
    const keys = Array.from({ length: 1_000 }, (_, index) => ({ id: `k${index}`, hash: sha256Of(String(index)) }));
    const route = { match: "* /**", authenticated: true };
    const config = { upstream: "http://127.0.0.1:9", routes: [route], keys };
    const program = await startProgram(await folder.write("latchkey.json", JSON.stringify(config)));
    const heapMb = async () => {
      const metrics = await (await fetch(`${program.adminUrl}/metrics`)).text();
      return Number(/^nodejs_heap_size_total_bytes (\d+)/m.exec(metrics)?.[1]) / 1024 ** 2;
    };
    const residentMb = async () => {
      const status = await readFile(`/proc/${program.process.pid}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
    };
    try {
      // Some 25 MB when it is ready, and for good if nothing gives them back.
      await expect.poll(heapMb, { timeout: 15_000, interval: 2_500 }).toBeLessThan(18);
      // 58 MB, of which 41 are any Node process. 61 with one function compiled by an optimising compiler, 75 without what
      // decision 16 says; how much of a binary is resident differs a little from one system to the next.
      expect(await residentMb()).toBeLessThan(66);
    } finally {
      expect(await program.stop()).toBe(0);
    }
  });
});
