import { hash } from "node:crypto";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/app/clock.ts";
import { createLoader, type Loader, type LoaderOptions } from "../../src/app/loader.ts";
import { parseConfiguration } from "../../src/config/load.ts";
import { createSourceIo, readSnapshot } from "../../src/config/source.ts";
import { digestOfContent } from "../../src/config/watcher.ts";
import { createFolder, type Folder } from "../e2e/harness.ts";

const WORKER = new URL("../../src/app/load-worker.ts", import.meta.url);
// Enough to be loaded by the thread at the start, in several batches.
const MANY = 3_000;

let folder: Folder;
let options: Omit<LoaderOptions, "workerUrl" | "isStarting">;
let loader: Loader;

beforeEach(async () => {
  folder = await createFolder();
  const configFile = join(folder.path, "latchkey.yaml");
  options = { configFile, overrides: {}, env: {}, clock: systemClock };
  // As for a reload: at the start files of this size need no thread.
  loader = createLoader({ ...options, workerUrl: WORKER, isStarting: false });
});
afterEach(async () => {
  await loader.close();
  await folder.remove();
});

const MAIN = 'upstream: http://127.0.0.1:1\nroutes: [{ match: "GET /**", scopes: [a:read] }]\nkeys: keys.json\n';

function records(count: number, change: (record: Record<string, unknown>, index: number) => object = (same) => same) {
  return Array.from({ length: count }, (_, index) =>
    change({ id: `key-${index}`, hash: `sha256:${hash("sha256", `${index}`, "hex")}`, scopes: ["a:read"] }, index),
  );
}

async function writeKeys(keys: readonly object[]): Promise<string> {
  return folder.write("keys.json", `{"keys": [\n${keys.map((record) => JSON.stringify(record)).join(",\n")}\n]}\n`);
}

/** What the same files give without a thread. */
async function loadDirectly() {
  return parseConfiguration(await readSnapshot(join(folder.path, "latchkey.yaml"), createSourceIo({})), {}, 0);
}

describe("load() of some megabytes", () => {
  const noThread = new URL("./no-such-worker.ts", import.meta.url);

  test("needs no thread at the start", async () => {
    await folder.write("latchkey.yaml", MAIN);
    await writeKeys(records(20_000));
    const starting = createLoader({ ...options, workerUrl: noThread, isStarting: true });
    expect(await starting.load()).toMatchObject({ kind: "loaded" });
    // From then on requests would wait for it.
    await expect(starting.load()).rejects.toThrow("no-such-worker");
  });
});

describe("load() of a large file, by the real thread", () => {
  test("gives the keys, the revision and the places that loading it directly gives", async () => {
    await folder.write("latchkey.yaml", MAIN);
    await writeKeys(records(MANY));
    const [loaded, direct] = [await loader.load(), await loadDirectly()];
    if (loaded.kind !== "loaded" || direct.kind !== "loaded") throw new Error("a good file was rejected");
    const { policy } = loaded.configuration;
    expect(policy.revision).toBe(direct.configuration.policy.revision);
    expect([...policy.keys.all()]).toEqual([...direct.configuration.policy.keys.all()]);
    expect(policy.routes.routes).toEqual(direct.configuration.policy.routes.routes);
    expect(loaded.configuration.settings).toEqual(direct.configuration.settings);
    expect(loaded.warnings).toEqual(direct.warnings);
  });

  test("says what it read, so that the watcher need not load it again", async () => {
    await folder.write("latchkey.yaml", MAIN);
    const keys = await writeKeys(records(MANY));
    const { files, digests } = await loader.load();
    const { readFile } = createSourceIo({});
    expect(files).toContain(keys);
    for (const file of files) expect([file, digests.get(file)]).toEqual([file, digestOfContent(await readFile(file))]);
  });

  test.each([
    ["of a wrong type", (record: object, index: number) => (index === 2_500 ? { ...record, scopes: 7 } : record)],
    ["that stands twice", (record: object, index: number) => (index === 2_500 ? { ...record, id: "key-1" } : record)],
    [
      "with a digest that is none",
      (record: object, index: number) => (index > 2_990 ? { ...record, hash: "x" } : record),
    ],
  ])("rejects a record %s in the words and places of loading it directly", async (_, change) => {
    await folder.write("latchkey.yaml", MAIN);
    await writeKeys(records(MANY, change));
    const [loaded, direct] = [await loader.load(), await loadDirectly()];
    expect(loaded).toEqual(direct);
    expect(loaded.kind).toBe("rejected");
  });

  test("names a bounded number of faults where every record is wrong", async () => {
    await folder.write("latchkey.yaml", MAIN);
    await writeKeys(records(MANY, (record) => ({ ...record, hash: "x", name: "x".repeat(99) })));
    const loaded = await loader.load();
    const diagnostics = loaded.kind === "rejected" ? loaded.diagnostics : [];
    expect(diagnostics.length).toBeLessThan(1_010);
    expect(diagnostics.some(({ message }) => /more findings/.test(message))).toBe(true);
  });

  test("loads again after a file that could not be", async () => {
    await folder.write("latchkey.yaml", MAIN);
    await writeKeys(records(MANY).slice(0, -1).concat([{}]));
    expect((await loader.load()).kind).toBe("rejected");
    await writeKeys(records(MANY));
    expect((await loader.load()).kind).toBe("loaded");
  });
});

describe("load() of files that are not whole", () => {
  test.each([
    ["empty", "", "The file is empty"],
    ["cut in the middle", '{"keys": [{"id": "key-1", "ha', "Invalid JSON"],
    ["without its list", "{}", "Required field is missing"],
  ])("rejects a keys file that is %s, and knows what to watch", async (_, text, message) => {
    await folder.write("latchkey.yaml", MAIN);
    const keys = await folder.write("keys.json", text);
    const loaded = await loader.load();
    expect(loaded).toMatchObject({ kind: "rejected", diagnostics: [{ message: expect.stringContaining(message) }] });
    expect(loaded.files).toContain(keys);
  });

  test("rejects a keys file that is missing, and watches the place where it belongs", async () => {
    await folder.write("latchkey.yaml", MAIN);
    const loaded = await loader.load();
    expect(loaded.kind).toBe("rejected");
    expect(loaded.digests.get(join(folder.path, "keys.json"))).toBe("error:ENOENT");
  });
});

describe("keep()", () => {
  test.each([
    ["a small configuration", 3],
    ["a large one", MANY],
  ])("makes a private copy of %s, from which it loads when the files are gone", async (_, count) => {
    await folder.write("latchkey.yaml", MAIN);
    await writeKeys(records(count));
    const before = await loader.load();
    const copy = join(folder.path, "copy");
    expect(await loader.keep(copy)).toBeUndefined();
    await folder.write("latchkey.yaml", "");
    await folder.write("keys.json", "");
    expect((await loader.load()).kind).toBe("rejected");
    const after = await loader.load({ copy });
    if (before.kind !== "loaded" || after.kind !== "loaded") throw new Error("the copy does not load");
    expect(after.configuration.policy.revision).toBe(before.configuration.policy.revision);
    expect([...after.configuration.policy.keys.all()]).toEqual([...before.configuration.policy.keys.all()]);
  });

  test("makes a copy that is refused once others may use it", async () => {
    await folder.write("latchkey.yaml", MAIN);
    await writeKeys(records(3));
    await loader.load();
    const copy = join(folder.path, "copy");
    await loader.keep(copy);
    await chmod(join(copy, "current"), 0o755);
    await expect(loader.load({ copy })).rejects.toThrow("others than its owner may use");
  });

  test("says why a copy cannot be made", async () => {
    await folder.write("latchkey.yaml", MAIN);
    await writeKeys(records(3));
    await loader.load();
    expect(await loader.keep(join(folder.path, "keys.json"))).toContain("keys.json");
  });
});
