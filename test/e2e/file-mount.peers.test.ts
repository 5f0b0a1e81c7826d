import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createFolder, startProgram } from "./harness.ts";

const MAIN = 'upstream: http://127.0.0.1:3000\nroutes: [{ match: "* /**", authenticated: true }]\nkeys: keys.yaml\n';

test("the built program warns at its start of a file that is a mount of its own, and of no other", async () => {
  const folder = await createFolder();
  onTestFinished(folder.remove);
  const main = await folder.write("latchkey.yaml", MAIN);
  const keys = await folder.write("keys.yaml", "keys: []\n");
  const other = await folder.write("other.yaml", "keys: []\n");
  // What docker run -v other.yaml:keys.yaml does, in a mount namespace of the program's own.
  const under = ["unshare", "--mount", "--propagation", "private", "sh", "-c"];
  const script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
  const program = await startProgram(main, [], [...under, script, "sh", other, keys]);
  await program.stop();
  const warnings = program.lines.filter(({ msg }) => msg === "config warning").map(({ warning }) => warning);
  expect(warnings).toEqual([
    {
      severity: "warning",
      file: join(folder.path, "keys.yaml"),
      line: 0,
      column: 0,
      path: "",
      message: expect.stringContaining("a mount of its own"),
      fix: expect.stringContaining("Mount the directory"),
    },
  ]);
});
