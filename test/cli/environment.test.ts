import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { createDirectory, run } from "./run.ts";

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
  "diff old new",
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

test.each(["check", "explain GET /", "keys list", "keys create --id pos"])(
  "`latchkey %s` judges the config with what the environment says over it, as serve does",
  async (line) => {
    const keys = "keys:\n  - { id: till, hash: sha256:".concat("a".repeat(64), " }\n");
    const routes = 'routes: [{ match: "GET /", public: true }, { match: "* /**", authenticated: true }]';
    const main = `listen: 8080\n${routes}\nkeys: keys.yaml\n`;
    const folder = await createDirectory({ "latchkey.yaml": main, "keys.yaml": keys });
    const env = { LATCHKEY_CONFIG: `${folder}/latchkey.yaml`, LATCHKEY_UPSTREAM: "http://127.0.0.1:3000" };
    const words = line.split(" ");
    expect(await run(words, { env })).toMatchObject({ code: 0 });
    for (const [name, said] of [
      ["LATCHKEY_UPSTREAM", "expected the upstream's URL"],
      ["LATCHKEY_LISTEN", "LATCHKEY_LISTEN: error: Expected an address"],
      ["LATCHKEY_ADMIN", "LATCHKEY_ADMIN: error: Expected an address"],
      ["LATCHKEY_WORKERS", "LATCHKEY_WORKERS: error: Expected 1 to 64 threads"],
    ] as const) {
      const { code, out, err } = await run(words, { env: { ...env, [name]: name === "LATCHKEY_UPSTREAM" ? "" : "?" } });
      expect(code).toBe(1);
      expect(out + err).toContain(said);
      expect(out + err).not.toContain("--upstream");
    }
  },
);

test("`latchkey diff` compares what serve would make of both files", async () => {
  const config = (upstream: string) => `${upstream}routes: [{ match: "GET /", public: true }]\nkeys: []\n`;
  const folder = await createDirectory({ "old.yaml": config(""), "new.yaml": config("upstream: http://other:1\n") });
  const argv = ["diff", `${folder}/old.yaml`, `${folder}/new.yaml`];
  expect(await run(argv, { env: { LATCHKEY_UPSTREAM: "http://127.0.0.1:3000" } })).toMatchObject({ code: 0 });
  expect(await run(argv)).toMatchObject({ code: 2 });
});

test("a wrong value in the environment is no wrong call", async () => {
  const { code, err } = await run(["serve"], { env: { LATCHKEY_WORKERS: "0" } });
  expect(code).toBe(1);
  expect(err).toContain("LATCHKEY_WORKERS: error: Expected 1 to 64 threads, or auto");
});

test("an empty variable counts as unset", async () => {
  const { code, err } = await run(["serve"], {
    env: { LATCHKEY_CONFIG: "", LATCHKEY_LAST_GOOD: "", LATCHKEY_LISTEN: "" },
  });
  expect(code).toBe(1);
  expect(err).toContain("latchkey.yaml");
});
