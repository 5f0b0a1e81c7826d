import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { run } from "./run.ts";

// Seven commands load all that they are made of; only how long that takes depends on the machine.
const PATIENCE_MS = 60_000;

/** Names that a command asks its environment for, whether they are set or not. */
async function namesReadBy(argv: readonly string[]): Promise<readonly string[]> {
  const names: string[] = [];
  const env = new Proxy<Record<string, string>>(
    {},
    {
      get: (_, name) => {
        names.push(String(name));
        return undefined;
      },
    },
  );
  await run(argv, { env });
  return names.filter((name) => name.startsWith("LATCHKEY_"));
}

test(
  "docs/operations.md lists every variable that a command reads, and no other",
  async () => {
    // There is no config in the folder that this runs in, so that none of them gets further than asking.
    const commands = [
      "serve",
      "check",
      "healthcheck",
      "status",
      "keys list",
      "shadow report",
      "explain GET / --key-id pos",
    ];
    const read = await Promise.all(commands.map((command) => namesReadBy(command.split(" "))));
    const page = await readFile("docs/operations.md", "utf8");
    const listed = [...page.matchAll(/^\| `(LATCHKEY_[A-Z_]+)`/gm)].map(([, name]) => name);
    expect([...new Set(read.flat())].sort()).toEqual(listed.sort());
  },
  PATIENCE_MS,
);

test("an empty variable counts as unset", async () => {
  const { code, err } = await run(["serve"], {
    env: { LATCHKEY_CONFIG: "", LATCHKEY_LAST_GOOD: "", LATCHKEY_LISTEN: "" },
  });
  expect(code).toBe(1);
  expect(err).toContain("latchkey.yaml");
});
