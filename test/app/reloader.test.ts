import { expect, test } from "vitest";
import { systemClock } from "../../src/app/clock.ts";
import { createLoader } from "../../src/app/loader.ts";
import { startReloader } from "../../src/app/reloader.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createFolder } from "../e2e/harness.ts";

const WORKER = new URL("../../src/app/load-worker.ts", import.meta.url);
const CONFIG = (port: number) => `
upstream: http://127.0.0.1:${port}
routes: [{ match: "* /**", authenticated: true }]
keys: []
`;

test("a reload that breaks off because of a changed file is told in the log, and ends nothing", async () => {
  const folder = await createFolder();
  const configFile = await folder.write("latchkey.yaml", CONFIG(1));
  const loaderOptions = { overrides: {}, env: {}, clock: systemClock, workerUrl: WORKER };
  const loader = createLoader({ ...loaderOptions, configFile, isStarting: true });
  const first = await loader.load();
  if (first.kind !== "loaded") throw new Error("the config is good");
  let log = "";
  const lines = {
    write: (line: string) => {
      log += line;
    },
    flush: () => {},
  };
  const reloader = startReloader(first, undefined, {
    ...{ loader, lastGood: undefined, clock: systemClock, metrics: createMetrics("0") },
    log: createLog("info", lines, systemClock.now),
    guard: () => [],
    takeUp: () => Promise.reject(new Error("broken on purpose")),
    afterAttempt: () => Promise.resolve(),
  });
  // Vitest fails a file in which a rejection was not handled.
  await folder.write("latchkey.yaml", CONFIG(2));
  await expect.poll(() => log, { timeout: 5_000 }).toContain("broken on purpose");
  reloader.close();
  await loader.close();
  await folder.remove();
});
