import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../src/app/clock.ts";
import { createLoadThread } from "../../src/app/load-thread.ts";
import type { LoadRequest } from "../../src/app/load-worker.ts";
import { createFolder } from "../e2e/harness.ts";

const WORKER = new URL("../../src/app/load-worker.ts", import.meta.url);
const FRAGILE = new URL("./fragile-load-worker.ts", import.meta.url);

const requestOf = (configFile: string): LoadRequest => ({
  ...{ configFile, overrides: {}, env: {}, nowMs: 0, copy: undefined, basis: undefined },
});

test("a thread that dies of a copy is why there is none, and the next load has a thread of its own", async () => {
  const thread = createLoadThread(FRAGILE, systemClock);
  expect((await thread.load(requestOf("latchkey.yaml"))).kind).toBe("rejected");
  expect(await thread.keep("copy", 0)).toContain("the thread died on purpose");
  expect((await thread.load(requestOf("latchkey.yaml"))).kind).toBe("rejected");
  await thread.close();
});

test("a thread that ends takes nothing from the one that was started in its place", async () => {
  const folder = await createFolder();
  const main = 'upstream: http://127.0.0.1:1\nroutes: [{ match: "* /**", authenticated: true }]\nkeys: []\n';
  const configFile = await folder.write("latchkey.yaml", main);
  const request = requestOf(configFile);
  // Ends the thread as soon as nothing is asked of it, as a pause in the reloads does.
  const idle: (() => void)[] = [];
  const clock = {
    ...systemClock,
    now: () => 0,
    elapsed: () => 0,
    after: (_: number, task: () => void) => {
      idle.push(task);
      return { cancel: () => {} };
    },
  };
  const thread = createLoadThread(WORKER, clock);
  expect((await thread.load(request)).kind).toBe("loaded");
  idle.at(-1)?.();
  // While the first one is still on its way out.
  expect((await thread.load(request)).kind).toBe("loaded");
  expect(await thread.keep(join(folder.path, "copy"), 0)).toBeUndefined();
  await thread.close();
  await folder.remove();
});
