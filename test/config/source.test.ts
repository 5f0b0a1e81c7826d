import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MAX_FILE_BYTES } from "../../src/config/document.ts";
import { createSourceIo, readSnapshot, type SourceIo } from "../../src/config/source.ts";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "latchkey-source-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(files: Readonly<Record<string, string | Uint8Array>>): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(directory, name, ".."), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return join(directory, "latchkey.yaml");
}

function read(main: string, environment: SourceIo["environment"] = {}) {
  return readSnapshot(main, createSourceIo(environment));
}

const problemsOf = (snapshot: Awaited<ReturnType<typeof read>>) =>
  snapshot.problems.map(({ line, path, message }) => `${line} ${path}: ${message.replaceAll(directory, "…")}`);

describe("readSnapshot()", () => {
  test("reads the main file and, beside it, every file it names", async () => {
    const main = write({
      "latchkey.yaml":
        "keys: { files: [keys.yaml, 'keys.d/*.yaml', keys.yaml] }\nhashing: { pepper: { file: secret/pepper } }\nupstream: { ca: ca.pem }\n",
      "keys.yaml": "keys: []",
      "keys.d/b.yaml": "b",
      "keys.d/a.yaml": "a",
      "keys.d/.hidden.yaml": "h",
      "keys.d/a.yaml~": "t",
      "secret/pepper": "p",
      "ca.pem": "c",
    });
    const snapshot = await read(main);
    expect(snapshot.problems).toEqual([]);
    expect(snapshot.main?.path).toBe(main);
    expect(snapshot.keysFiles.map(({ path, text }) => [path.slice(directory.length + 1), text])).toEqual([
      ["keys.yaml", "keys: []"],
      ["keys.d/a.yaml", "a"],
      ["keys.d/b.yaml", "b"],
    ]);
    expect([...snapshot.referenced]).toEqual([
      ["file:ca.pem", "c"],
      ["file:secret/pepper", "p"],
    ]);
    const watched = snapshot.watched.map((path) => path.slice(directory.length + 1)).toSorted();
    expect(watched).toEqual(
      ["latchkey.yaml", "keys.yaml", "keys.d", "keys.d/a.yaml", "keys.d/b.yaml", "secret/pepper", "ca.pem"].toSorted(),
    );
  });

  test("reads the pepper from a variable", async () => {
    const main = write({ "latchkey.yaml": "hashing: { pepper: { env: PEPPER } }\n" });
    expect((await read(main, { PEPPER: "p" })).referenced.get("env:PEPPER")).toBe("p");
    expect(problemsOf(await read(main))).toEqual(["1 hashing.pepper.env: The environment variable PEPPER is not set"]);
  });

  test("says what cannot be read and where it is named, and watches for it", async () => {
    const main = write({
      "latchkey.yaml":
        "keys:\n  files:\n    - gone.yaml\n    - folder\n    - 'no/*.yaml'\n    - 'a*/b.yaml'\n    - latin.yaml\n    - 'none*.yaml'\n",
      "folder/x": "",
      "latin.yaml": Uint8Array.of(0x6b, 0xe4),
    });
    const snapshot = await read(main);
    expect(problemsOf(snapshot)).toEqual([
      "3 keys.files[0]: The keys file …/gone.yaml does not exist",
      "4 keys.files[1]: The keys file …/folder is a directory; expected a file",
      "5 keys.files[2]: The directory no does not exist or may not be read",
      "6 keys.files[3]: A * may stand only in the last part of a file name",
      "7 keys.files[4]: The keys file …/latin.yaml is not UTF-8 text",
      "8 keys.files[5]: No file matches none*.yaml",
    ]);
    expect(snapshot.watched).toContain(join(directory, "gone.yaml"));
  });

  test.each([
    ["does not exist", "--config", () => join(directory, "none.yaml")],
    ["is a directory", "Name the file in it", () => directory],
    [
      "is not UTF-8 text",
      "Save it as UTF-8",
      () => join(write({ "latin.yaml": Uint8Array.of(0xff) }), "..", "latin.yaml"),
    ],
    [
      "is a circle of symbolic links",
      undefined,
      () => {
        const loop = join(directory, "loop.yaml");
        symlinkSync("loop.yaml", loop);
        return loop;
      },
    ],
  ])("says that the main file %s", async (problem, fix, prepare) => {
    const snapshot = await read(prepare());
    expect(snapshot.main).toBeUndefined();
    expect(snapshot.problems).toMatchObject([
      { severity: "error", line: 0, message: expect.stringContaining(problem) },
    ]);
    expect(snapshot.problems[0]?.fix ?? "").toContain(fix ?? "");
    expect(snapshot.problems[0]?.fix === undefined).toBe(fix === undefined);
    expect(snapshot.watched).toHaveLength(1);
  });

  test("names the keys file that was most likely meant", async () => {
    const snapshot = await read(write({ "latchkey.yaml": "keys: key.yaml\n", "keys.yaml": "keys: []\n" }));
    expect(snapshot.problems).toMatchObject([{ fix: "Did you mean keys.yaml?" }]);
  });

  test("does not begin to read what never ends", async () => {
    const snapshot = await read("/dev/zero");
    expect(snapshot.problems).toMatchObject([{ message: "The file is not a regular file" }]);
  });

  test("does not read a file that is too large", async () => {
    const io = createSourceIo({});
    const stat = async () => ({ size: 1e9, mode: 0, isFile: true, isDirectory: false, version: "" });
    const snapshot = await readSnapshot("x.yaml", { ...io, stat });
    expect(snapshot.problems).toMatchObject([{ message: "The file is larger than 64 MiB" }]);
  });

  test("does not take a file that has become too large since it was looked at", async () => {
    const io = createSourceIo({});
    const readFile = async () => new Uint8Array(MAX_FILE_BYTES + 1).fill(" ".charCodeAt(0));
    const snapshot = await readSnapshot(write({ "latchkey.yaml": "" }), { ...io, readFile });
    expect(snapshot.problems).toMatchObject([{ message: "The file is larger than 64 MiB" }]);
  });

  test("leaves text that is not a config for the parser to speak of", async () => {
    const snapshot = await read(write({ "latchkey.yaml": "keys: [\n" }));
    expect(snapshot).toMatchObject({ problems: [], keysFiles: [], main: { text: "keys: [\n" } });
  });

  test("tells who may read a keys file", async () => {
    const main = write({ "latchkey.yaml": "keys: keys.yaml\n", "keys.yaml": "" });
    chmodSync(join(directory, "keys.yaml"), 0o640);
    expect((await read(main)).keysFiles).toMatchObject([{ mode: 0o640 }]);
  });
});

describe("readSnapshot() of a kubelet volume", () => {
  /** What the kubelet writes: a directory of its own for each generation, reached through `..data`. */
  function publish(generation: string, files: Readonly<Record<string, string>>): void {
    mkdirSync(join(directory, generation));
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(directory, generation, name), text);
      rmSync(join(directory, name), { force: true });
      symlinkSync(join("..data", name), join(directory, name));
    }
    symlinkSync(generation, join(directory, "..data_tmp"));
    renameSync(join(directory, "..data_tmp"), join(directory, "..data"));
  }

  test("takes all files from one generation, even when it is replaced meanwhile", async () => {
    publish("..1", { "latchkey.yaml": "keys: keys.yaml # 1\n", "keys.yaml": "1" });
    const io = createSourceIo({});
    let reads = 0;
    const readFile: SourceIo["readFile"] = async (path) => {
      const bytes = await io.readFile(path);
      reads += 1;
      if (reads === 1) {
        publish("..2", { "latchkey.yaml": "keys: keys.yaml # 2\n", "keys.yaml": "2" });
        rmSync(join(directory, "..1"), { recursive: true });
      }
      return bytes;
    };
    const snapshot = await readSnapshot(join(directory, "latchkey.yaml"), { ...io, readFile });
    expect(snapshot.problems).toEqual([]);
    expect([snapshot.main?.text, snapshot.keysFiles[0]?.text]).toEqual(["keys: keys.yaml # 2\n", "2"]);
  });

  test("says nothing of modes there, which are the kubelet's", async () => {
    publish("..1", { "latchkey.yaml": "keys: keys.yaml\n", "keys.yaml": "1" });
    const snapshot = await read(join(directory, "latchkey.yaml"));
    expect(snapshot.keysFiles).toMatchObject([{ text: "1", mode: undefined }]);
  });
});
