import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { SILENT_TERMINAL } from "../../scripts/silent-terminal.ts";
import { createProgram } from "../../src/cli/program.ts";
import { run } from "./run.ts";

const COMMANDS = ["demo", "init", "check", "serve", "keys", "explain", "schema", "healthcheck"];
const KEYS_COMMANDS = ["create", "list", "hash"];

describe("latchkey", () => {
  test("without a command shows what there is, and is a wrong call", async () => {
    const { code, err } = await run([]);
    expect(code).toBe(2);
    for (const name of COMMANDS) expect(err).toContain(`  ${name}`);
  });

  test.each([...COMMANDS.map((name) => [name]), ...KEYS_COMMANDS.map((name) => ["keys", name])])(
    "%s %s has help that says what it does and what its exit codes mean",
    async (...argv) => {
      const { code, out } = await run([...argv.filter((word) => word !== undefined), "--help"]);
      expect(code).toBe(0);
      expect(out).toContain("Usage: latchkey");
      if (argv.length === 1 && argv[0] === "keys") return;
      expect(out).toMatch(/Exit codes: 0 .*;\s2 called wrongly/s);
    },
  );

  test.each([
    [["chek"], "Did you mean check?"],
    [["keys", "creat"], "Did you mean create?"],
    [["check", "--confg", "x"], "Did you mean --config?"],
    [["serve", "--upsteam", "x"], "Did you mean --upstream?"],
    [["check", "surplus"], "too many arguments"],
    [["keys", "create", "--id", "x", "--hash", "md5"], "Allowed choices are sha256, hmac-sha256, bcrypt"],
    [["healthcheck", "--timeout", "soon"], "--timeout takes milliseconds"],
    [["serve", "--workers", "0"], "--workers takes 1 to 64 threads, or auto"],
    [["serve", "--listen", "foo"], "--listen takes an address"],
    [["serve", "--admin", "foo"], "--admin takes an address"],
    [["serve", "--admin", ""], "--admin takes an address"],
    [["serve", "--upstream", "foo"], "--upstream takes the upstream's URL"],
    [["status", "--admin", "foo"], "--admin takes an address"],
    [["healthcheck", "--admin", "foo"], "--admin takes an address"],
    [["healthcheck", "--url", "foo"], "--url takes an http:// URL"],
    [["shadow", "report", "--admin", "foo"], "--admin takes an address"],
  ])("%j is a wrong call that says what was meant", async (argv, said) => {
    const { code, out, err } = await run(argv);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toContain(said);
  });

  test("every option is explained in its help and on docs/cli.md", async () => {
    const program = createProgram(SILENT_TERMINAL, () => {});
    const options = program.commands
      .flatMap((command) => [command, ...command.commands])
      .flatMap(({ options }) => options);
    expect(options.filter(({ description }) => description === "")).toEqual([]);
    const page = await readFile(new URL("../../docs/cli.md", import.meta.url), "utf8");
    const names = options.map(({ long }) => long ?? "");
    expect(names.filter((name) => !page.includes(name))).toEqual([]);
  });
});

describe("latchkey schema", () => {
  test.each([
    [["schema"], "latchkey.schema.json"],
    [["schema", "--keys"], "latchkey-keys.schema.json"],
  ])("%j prints the schema that is checked in as %s", async (argv, file) => {
    const { code, out } = await run(argv);
    expect(code).toBe(0);
    expect(out).toBe(await readFile(new URL(`../../config/${file}`, import.meta.url), "utf8"));
  });
});
