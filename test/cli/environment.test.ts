import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { run } from "./run.ts";

// Seven commands load all that they are made of; only how long that takes depends on the machine.
const PATIENCE_MS = 60_000;

// There is no config in the folder that these run in, so that none of them gets further than asking.
const COMMANDS = [
  "serve",
  "check",
  "healthcheck",
  "status",
  "keys list",
  "keys create --id pos",
  "shadow report",
  "explain GET / --key-id pos",
];

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
    const read = await Promise.all(COMMANDS.map((command) => namesReadBy(command.split(" "))));
    const page = await readFile("docs/operations.md", "utf8");
    const listed = [...page.matchAll(/^\| `(LATCHKEY_[A-Z_]+)`/gm)].map(([, name]) => name);
    expect([...new Set(read.flat())].sort()).toEqual(listed.sort());
  },
  PATIENCE_MS,
);

test.each(COMMANDS)("`latchkey %s --help` names every variable that the command reads", async (command) => {
  const words = command.split(" ");
  const { out } = await run([...words.filter((word) => /^[a-z]+$/.test(word)), "--help"]);
  const read = new Set(await namesReadBy(words));
  expect([...read].filter((name) => !out.includes(name))).toEqual([]);
});

test("an empty variable counts as unset", async () => {
  const { code, err } = await run(["serve"], {
    env: { LATCHKEY_CONFIG: "", LATCHKEY_LAST_GOOD: "", LATCHKEY_LISTEN: "" },
  });
  expect(code).toBe(1);
  expect(err).toContain("latchkey.yaml");
});
