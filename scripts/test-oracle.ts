import { spawnSync } from "node:child_process";

// Runs the tests in which the forwarder matters over a program that is built with undici's, and builds the ordinary one
// again whatever comes of them. Arguments are passed on to vitest, in the place of the list.
const SUITES = [
  "test/e2e",
  "test/reload",
  "test/security/cases.test.ts",
  "test/security/fail-closed.test.ts",
  "test/security/framing.property.test.ts",
  "test/security/leaving.test.ts",
  "test/systems",
];

const over = { ...process.env, LATCHKEY_FORWARDER: "undici" };
const run = (command: readonly string[], env: NodeJS.ProcessEnv): number =>
  spawnSync(process.execPath, command, { env, stdio: "inherit" }).status ?? 1;

const [, , ...chosen] = process.argv;
let status = run(["scripts/build.ts"], over);
if (status === 0) {
  const suites = chosen.length > 0 ? chosen : SUITES;
  status = run(["node_modules/vitest/vitest.mjs", "run", ...suites], over);
}
const rebuilt = run(["scripts/build.ts"], process.env) || run(["scripts/warm-start.ts"], process.env);
process.exitCode = status === 0 ? rebuilt : status;
