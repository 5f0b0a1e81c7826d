import { readFile, stat } from "node:fs/promises";
import { compareSync } from "bcryptjs";
import { describe, expect, test } from "vitest";
import { createKey } from "../../src/cli/create-key.ts";
import { parseConfiguration } from "../../src/config/load.ts";
import { createSourceIo, readSnapshot } from "../../src/config/source.ts";
import { createBucketTable } from "../../src/policy/bucket-table.ts";
import { decide } from "../../src/policy/decide.ts";
import { sha256 } from "../../src/policy/digest.ts";
import { compileKeys } from "../../src/policy/key-table-builder.ts";
import { parseAddress } from "../../src/policy/network.ts";
import { createDirectory, run } from "./run.ts";

const MAIN = `upstream: http://127.0.0.1:3000
keyFormats: ["ibp_{environment:live|test}_{region:us|eu}_{secret:hex(32)}", "v2_{secret:base62(40)}{checksum:crc32}"]
scopes: { "orders:read": {}, "orders:write": {} }
routes:
  - { match: "GET /orders/**", scopes: "orders:read" }
  - { match: "POST /orders/**", scopes: "orders:write" }
limits: { default: 100/minute, max: 1000/minute }
hashing: { pepper: { env: PEPPER } }
keys: keys.yaml
`;
const ENV = { PEPPER: "a pepper of some length" };

const KEYS = `# The shop's keys.
keys:
  # The till in front.
  - id: till
    hash: sha256:${"a".repeat(64)} # made by hand
    scopes: [ 'orders:read' ]
`;

async function createConfig(files: Readonly<Record<string, string>> = { "keys.yaml": KEYS }, main = MAIN) {
  const directory = await createDirectory({ "latchkey.yaml": main, ...files });
  const config = `${directory}/latchkey.yaml`;
  return {
    directory,
    config,
    keysFile: `${directory}/keys.yaml`,
    create: (...flags: readonly string[]) => run(["keys", "create", "--config", config, ...flags], { env: ENV }),
  };
}

async function decideOn(config: string, credential: string, method: string) {
  const loaded = parseConfiguration(await readSnapshot(config, createSourceIo(ENV)));
  const clientAddress = parseAddress("203.0.113.7");
  if (loaded.kind === "rejected" || clientAddress === undefined) throw new Error(JSON.stringify(loaded));
  const rawHeaders = ["Authorization", `Bearer ${credential}`];
  const facts = { method, target: "/orders/1", rawHeaders, clientAddress, secure: false };
  const verified = { find: () => undefined };
  const slowHashes = { isUnderWay: () => false };
  const state = { buckets: createBucketTable(), failures: createBucketTable(), verified, slowHashes };
  return decide(facts, loaded.configuration.policy, state, Date.now());
}

describe("latchkey keys create", () => {
  test("prints a key that opens what its scopes open, and nothing beside it", async () => {
    const { config, create } = await createConfig();
    const { code, out, err } = await create("--id", "ci", "--scopes", "orders:read");
    expect(code).toBe(0);
    expect(out).toMatch(/^ibp_live_us_[0-9a-f]{32}\n$/);
    const credential = out.trim();
    expect(err).not.toContain(credential);
    expect(await decideOn(config, credential, "GET")).toMatchObject({
      kind: "allow",
      principal: { key: { id: "ci" } },
    });
    expect(await decideOn(config, credential, "POST")).toMatchObject({ kind: "deny", reason: "scope_insufficient" });
  });

  test("keeps every byte that was there, and never the key itself", async () => {
    const { keysFile, create } = await createConfig();
    const { out } = await create("--id", "ci", "--scopes", "orders:read");
    const text = await readFile(keysFile, "utf8");
    expect(text.startsWith(KEYS)).toBe(true);
    expect(text).not.toContain(out.trim());
    expect(text).toContain(`hash: sha256:${sha256(out.trim())}`);
  });

  test("writes every field it was given", async () => {
    const { config, create } = await createConfig();
    const fields = ["--name", "CI runner", "--tenant", "shop", "--limits", "60/minute,500/hour", "--read-only"];
    const more = [
      "--allow-ips",
      "203.0.113.0/24",
      "2001:db8::/32",
      "--metadata",
      "team=retail",
      "--metadata",
      "tier=1",
    ];
    const times = ["--expires", "2030-01-01", "--not-before", "2026-02-03T04:05:06Z"];
    const segments = ["--environment", "test", "--segment", "region=eu"];
    const { out } = await create("--id", "ci", "--scopes", "orders:read", ...fields, ...more, ...times, ...segments);
    expect(out).toMatch(/^ibp_test_eu_/);
    const listed: unknown = JSON.parse((await run(["keys", "list", "--json", "--config", config], { env: ENV })).out);
    expect(listed).toMatchObject([
      { id: "till" },
      {
        id: "ci",
        name: "CI runner",
        tenant: "shop",
        prefix: out.slice(0, "ibp_test_eu_".length + 4),
        limits: ["60/minute", "500/hour"],
        allowIps: ["203.0.113.0/24", "2001:db8::/32"],
        notBefore: "2026-02-03T04:05:06Z",
        expiresAt: "2030-01-01T00:00:00Z",
        readOnly: true,
      },
    ]);
  });

  test("makes a missing keys file that only its owner may read", async () => {
    const { keysFile, create } = await createConfig({});
    expect((await create("--id", "first", "--scopes", "orders:read")).code).toBe(0);
    expect((await stat(keysFile)).mode & 0o777).toBe(0o600);
  });

  test("writes to the file it was told, if the config reads that file", async () => {
    const main = MAIN.replace("keys: keys.yaml", "keys: { files: [keys.yaml, 'more-*.yaml'] }");
    const { directory, create } = await createConfig({ "keys.yaml": KEYS }, main);
    const fitting = await create("--id", "x", "--scopes", "orders:read", "--file", `${directory}/more-keys.yaml`);
    expect(fitting.code).toBe(0);
    const stray = await create("--id", "y", "--scopes", "orders:read", "--file", `${directory}/stray.yaml`);
    expect(stray.code).toBe(1);
    expect(stray.err).toContain("does not name");
  });

  test("adds to a list of keys in the main file, and to JSON", async () => {
    const main = MAIN.replace("keys: keys.yaml", "keys: []");
    const inline = await createConfig({}, main);
    expect((await inline.create("--id", "x", "--scopes", "orders:read")).code).toBe(0);
    const json = await createConfig({ "keys.json": '{ "keys": [] }\n' }, MAIN.replace("keys.yaml", "keys.json"));
    expect((await json.create("--id", "x", "--scopes", "orders:read")).code).toBe(0);
  });

  test.each([
    [["--id", "till", "--scopes", "orders:read"], 'key "till" exists already'],
    [["--id", "two words", "--scopes", "orders:read"], "keys[1].id"],
    [["--id", "x", "--scopes", "orders:raed"], "Did you mean orders:read?"],
    [["--id", "x", "--scopes", "orders:read", "--limits", "5000/minute"], "more than limits.max"],
    [["--id", "x", "--scopes", "orders:read", "--allow-ips", "10.0.0.0/33"], "allowIps"],
    [["--id", "x", "--scopes", "orders:read", "--expires", "2020-01-01"], "has expired"],
    [["--id", "x", "--scopes", "orders:read", "--expires", "soon"], "--expires: expected an instant"],
    [["--id", "x", "--environment", "staging"], 'environment is one of live, test; found "staging"'],
    [["--id", "x", "--segment", "regin=us"], "did you mean region?"],
    [["--id", "x", "--format", "3"], "expected a number from 1 to 2"],
    [["--id", "x"], "it can call nothing"],
  ])("%j is refused before anything is written", async (flags, said) => {
    const { keysFile, create } = await createConfig();
    const { code, out, err } = await create(...flags);
    expect(code).toBe(1);
    expect(out).toBe("");
    expect(err).toContain(said);
    expect(err).toContain("No key was created.");
    expect(await readFile(keysFile, "utf8")).toBe(KEYS);
  });

  test("makes a key that this instance accepts, and one that it refuses only when forced", async () => {
    const { create, config } = await createConfig({}, `${MAIN}accept: { environment: test, region: [eu, us] }\n`);
    const fitting = await create("--id", "x", "--scopes", "orders:read");
    expect(fitting).toMatchObject({ code: 0, out: expect.stringMatching(/^ibp_test_us_/) });
    expect(await decideOn(config, fitting.out.trim(), "GET")).toMatchObject({ kind: "allow" });
    const foreign = ["--id", "y", "--scopes", "orders:read", "--environment", "live"];
    expect(await create(...foreign)).toMatchObject({
      code: 1,
      err: expect.stringContaining("says by its prefix that it is for another instance"),
    });
    expect(await create(...foreign, "--force")).toMatchObject({ code: 0, out: expect.stringMatching(/^ibp_live_us_/) });
  });

  test("--force takes a record that would only be warned of", async () => {
    const { create } = await createConfig();
    expect((await create("--id", "x", "--force")).code).toBe(0);
  });

  test("a config that is wrong already is not added to", async () => {
    const { create } = await createConfig({ "keys.yaml": KEYS }, `${MAIN}nonsense: true\n`);
    const { code, err } = await create("--id", "x", "--scopes", "orders:read");
    expect(code).toBe(1);
    expect(err).toContain("nonsense");
  });

  test("uses another format and another digest when asked", async () => {
    const { config, create } = await createConfig();
    const other = await create("--id", "v2", "--scopes", "orders:read", "--format", "2", "--hash", "hmac-sha256");
    expect(other.out).toMatch(/^v2_[0-9A-Za-z]{46}\n$/);
    expect(await decideOn(config, other.out.trim(), "GET")).toMatchObject({ kind: "allow" });
    const slow = await create("--id", "slow", "--scopes", "orders:read", "--hash", "bcrypt");
    expect(await decideOn(config, slow.out.trim(), "GET")).toMatchObject({
      kind: "verify",
      candidates: [{ id: "slow" }],
    });
  });

  test("without key formats a key is 43 letters and digits behind lk_", async () => {
    const created = await createKey(
      { id: "x" },
      { keyFormats: [], accept: new Map(), keys: compileKeys([], undefined) },
      0,
    );
    expect(created).toMatchObject({ kind: "created", credential: expect.stringMatching(/^lk_[0-9A-Za-z]{43}$/) });
  });

  test("tells programs id, key and place in JSON", async () => {
    const { create, keysFile } = await createConfig();
    const told: unknown = JSON.parse((await create("--id", "x", "--scopes", "orders:read", "--json")).out);
    expect(told).toMatchObject({ id: "x", key: expect.stringMatching(/^ibp_live_us_/), file: keysFile, line: 7 });
  });

  test("an id must be given", async () => {
    const { code, err } = await run(["keys", "create"]);
    expect(code).toBe(2);
    expect(err).toContain("--id");
  });
});

describe("latchkey keys list", () => {
  test("shows what a key may do and where it stands, and no digest", async () => {
    const { config } = await createConfig();
    const { code, out } = await run(["keys", "list", "--config", config], { env: ENV });
    expect(code).toBe(0);
    const lines = out.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^ID +NAME +STATUS +PREFIX +SCOPES +LIMITS +EXPIRES +FROM +AT$/);
    expect(lines[1]).toMatch(/^till +- +active +- +orders:read +100\/minute +never +anywhere +.*keys\.yaml:4$/);
    expect(out).not.toContain("aaaa");
  });
});

describe("latchkey keys hash", () => {
  test("prints the digest of the key on standard input", async () => {
    const { code, out } = await run(["keys", "hash"], { input: "sk_live_example\n" });
    expect(code).toBe(0);
    expect(out).toBe(`sha256:${sha256("sk_live_example")}\n`);
  });

  test("makes bcrypt digests of the cost asked for", async () => {
    const { out } = await run(["keys", "hash", "--bcrypt", "4"], { input: "sk_live_example" });
    expect(out).toMatch(/^\$2[aby]\$04\$/);
    expect(compareSync("sk_live_example", out.trim())).toBe(true);
  });

  test("makes hmac-sha256 digests with the config's pepper", async () => {
    const { config } = await createConfig();
    const argv = ["keys", "hash", "--hmac", "--config", config];
    expect((await run(argv, { input: "k", env: ENV })).out).toMatch(/^hmac-sha256:[0-9a-f]{64}\n$/);
    const bare = await createConfig({ "keys.yaml": KEYS }, MAIN.replace(/hashing.*\n/, ""));
    const without = await run(["keys", "hash", "--hmac", "--config", bare.config], { input: "k" });
    expect(without).toMatchObject({ code: 1, out: "" });
    expect(without.err).toContain("hashing.pepper");
  });

  test.each(["", "two words", "one\ntwo\n"])("refuses %j without repeating it", async (input) => {
    const { code, out, err } = await run(["keys", "hash"], { input });
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).not.toContain("two");
  });

  test("never takes a key from the command line", async () => {
    const { code, err } = await run(["keys", "hash", "sk_live_example"]);
    expect(code).toBe(2);
    expect(err).not.toContain("sk_live_example");
  });
});
