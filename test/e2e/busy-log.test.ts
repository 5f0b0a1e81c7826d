import { expect, test } from "vitest";
import { createFolder, sha256Of, startProgram } from "./harness.ts";

// Each write ends a while after it began, as where the event loop has a thousand requests at every turn.
const SLOW_WRITES = `
  const fs = require("node:fs");
  const { write } = fs;
  let longest = 0;
  fs.write = (fd, data, ...rest) => {
    const callback = rest.pop();
    longest = Math.max(longest, data.length);
    return write(fd, data, ...rest, (...result) => setTimeout(callback, 300, ...result));
  };
  process.on("exit", () => process.stderr.write("longest write: " + longest));
`;
const BATCH_BYTES = 64 * 1024;
const REQUESTS = 1_200;
const AT_ONCE = 40;

test("lines of the log that come while others are written leave together", async () => {
  const folder = await createFolder();
  const hook = await folder.write("slow-writes.cjs", SLOW_WRITES);
  const config = {
    upstream: "http://127.0.0.1:9",
    routes: [{ match: "GET /items/**", scopes: "items:read" }],
    keys: [{ id: "k", hash: sha256Of("key"), scopes: "other:read", limits: "1000000/minute" }],
  };
  const file = await folder.write("latchkey.json", JSON.stringify(config));
  // Those of one thread: several hand theirs over in messages.
  const program = await startProgram(file, ["--workers", "1"], ["env", `NODE_OPTIONS=--require=${hook}`]);
  try {
    const ask = () =>
      fetch(`${program.url}/items/${"x".repeat(500)}`, { headers: { authorization: "Bearer key" } }).then((answer) =>
        answer.text(),
      );
    for (let asked = 0; asked < REQUESTS; asked += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, ask));
    expect(await program.stop()).toBe(0);
    expect(program.lines.filter(({ msg }) => msg === "request denied")).toHaveLength(REQUESTS);
    const [, longest] = program.stderr().split("longest write: ");
    expect(Number(longest)).toBeGreaterThan(BATCH_BYTES);
  } finally {
    await folder.remove();
  }
});
