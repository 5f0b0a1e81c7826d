import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createKeyOperations } from "../../src/app/key-operations.ts";
import { parseConfiguration } from "../../src/config/load.ts";
import type { ReloadOutcome } from "../../src/config/policy-store.ts";
import { createSourceIo, readSnapshot } from "../../src/config/source.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { createFolder, type Folder, sha256Of } from "../e2e/harness.ts";

const MAIN = 'upstream: http://127.0.0.1:3000\nroutes: [{ match: "* /**", authenticated: true }]\nkeys: keys.yaml\n';
const KEYS = `# By hand.
keys:
  - { id: admin, hash: "${sha256Of("admin")}", scopes: ["*"] }
  - { id: shop, hash: "${sha256Of("shop")}" }
`;

let folder: Folder;
let policy: Policy;

beforeEach(async () => {
  folder = await createFolder();
  await folder.write("keys.yaml", KEYS);
  const main = await folder.write("latchkey.yaml", MAIN);
  const loaded = parseConfiguration(await readSnapshot(main, createSourceIo({})));
  if (loaded.kind === "rejected") throw new Error(JSON.stringify(loaded.diagnostics));
  policy = loaded.configuration.policy;
});
afterEach(() => folder.remove());

const keysFile = () => join(folder.path, "keys.yaml");

/** Revokes a key while reloads end so, one after the other; after each of them something may happen. */
async function revoke(...reloads: readonly (() => Promise<ReloadOutcome["kind"]>)[]) {
  const left = [...reloads];
  const caller = policy.keys.findById("admin");
  if (caller === undefined) throw new Error("the record is there");
  const operations = createKeyOperations({
    policy: () => policy,
    slowHash: async () => "",
    now: () => 0,
    reload: async () => {
      const kind = await left.shift()?.();
      return kind === "rejected" ? { kind, diagnostics: [] } : { kind: "unchanged" };
    },
  });
  return operations.run("revoke", "shop", caller);
}

const unchanged = async () => "unchanged" as const;
const rejected = async () => "rejected" as const;

describe("createKeyOperations()", () => {
  test("writes nothing where the files do not load as they are", async () => {
    const before = await stat(keysFile());
    expect(await revoke(rejected)).toMatchObject({ kind: "refused", reason: "keys_not_writable" });
    const after = await stat(keysFile());
    expect([after.ino, after.mtimeMs]).toEqual([before.ino, before.mtimeMs]);
  });

  test("takes a change back with which the files do not load", async () => {
    let written = "";
    const result = await revoke(unchanged, async () => {
      written = await readFile(keysFile(), "utf8");
      return "rejected";
    });
    expect(written).toMatch(/status: "?revoked/);
    expect(result).toMatchObject({ reason: "keys_not_writable", detail: expect.stringContaining("taken back") });
    expect(await readFile(keysFile(), "utf8")).toBe(KEYS);
  });

  test("leaves what somebody else wrote meanwhile, and says so", async () => {
    const result = await revoke(unchanged, async () => {
      await writeFile(keysFile(), "keys: []\n");
      return "rejected";
    });
    expect(result).toMatchObject({ reason: "keys_not_writable", detail: expect.stringContaining("somebody else") });
    expect(await readFile(keysFile(), "utf8")).toBe("keys: []\n");
  });
});
