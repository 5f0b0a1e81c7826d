import { execFile } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Expected,
  toExpected,
  undoWrite,
  type Written,
  writeFileAtomically,
} from "../../src/config/atomic-write.ts";

const ABSENT: Expected = { kind: "absent" };
const OLD = toExpected(Buffer.from("old"));
const SOURCE = new URL("../../src/config/atomic-write.ts", import.meta.url).href;
// The conventional "nobody", who owns nothing else.
const NOBODY = 65_534;
const isRoot = process.geteuid?.() === 0;

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "latchkey-write-"));
});

afterEach(async () => {
  await chmod(directory, 0o700);
  await rm(directory, { recursive: true });
});

describe("writeFileAtomically()", () => {
  test("writeFileAtomically() puts a new file in the old one's place and keeps its mode", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "old");
    await chmod(path, 0o640);
    const before = await stat(path);
    const result = await writeFileAtomically(path, "new ✓", OLD);
    const sha256 = toExpected(Buffer.from("new ✓"));
    expect(result).toEqual({
      kind: "written",
      method: "renamed",
      path,
      sha256: sha256.kind === "sha256" && sha256.hex,
    });
    expect(await readFile(path, "utf8")).toBe("new ✓");
    const after = await stat(path);
    expect(after.mode & 0o7777).toBe(0o640);
    expect([after.uid, after.gid]).toEqual([before.uid, before.gid]);
    expect(after.ino).not.toBe(before.ino);
    expect(await readdir(directory)).toEqual(["keys.yaml"]);
  });

  test("writeFileAtomically() creates a file only its owner can read", async () => {
    const path = join(directory, "keys.yaml");
    expect(await writeFileAtomically(path, "new", ABSENT)).toMatchObject({ kind: "written", method: "renamed" });
    expect((await stat(path)).mode & 0o7777).toBe(0o600);
    expect(await readdir(directory)).toEqual(["keys.yaml"]);
  });

  test("writeFileAtomically() follows a symlink and leaves it a symlink", async () => {
    await mkdir(join(directory, "real"));
    const target = join(directory, "real", "keys.yaml");
    const path = join(directory, "keys.yaml");
    await writeFile(target, "old");
    await symlink(join("real", "keys.yaml"), path);
    expect(await writeFileAtomically(path, "new", OLD)).toMatchObject({
      kind: "written",
      method: "renamed",
      path: target,
    });
    expect((await lstat(path)).isSymbolicLink()).toBe(true);
    expect(await readFile(target, "utf8")).toBe("new");
  });

  const stale: readonly (readonly [name: string, found: string | undefined, expected: Expected])[] = [
    ["a file that changed since it was read", "newer", OLD],
    ["a file that is gone since it was read", undefined, OLD],
    ["a file that has appeared since", "newer", ABSENT],
  ];
  test.each(stale)("writeFileAtomically() does not touch %s", async (_, found, expected) => {
    const path = join(directory, "keys.yaml");
    if (found !== undefined) await writeFile(path, found);
    expect(await writeFileAtomically(path, "new", expected)).toEqual({ kind: "changed", path });
    expect(await readdir(directory)).toEqual(found === undefined ? [] : ["keys.yaml"]);
    if (found !== undefined) expect(await readFile(path, "utf8")).toBe(found);
  });

  test("writeFileAtomically() loses nothing when several edits race", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "");
    // Each writer reads, adds its line, and starts over when somebody else was quicker.
    const addLine = async (line: string): Promise<void> => {
      const text = await readFile(path, "utf8");
      const result = await writeFileAtomically(path, `${text}${line}\n`, toExpected(Buffer.from(text)));
      if (result.kind === "changed") await addLine(line);
      else expect(result.kind).toBe("written");
    };
    for (const line of ["a", "b", "c"]) await addLine(line);
    expect(await readFile(path, "utf8")).toBe("a\nb\nc\n");
  });

  test("writeFileAtomically() says what is wrong with a place it cannot write to", async () => {
    expect(await writeFileAtomically(directory, "new", OLD)).toMatchObject({
      kind: "failed",
      problem: expect.stringContaining("not a regular file"),
    });
    const path = join(directory, "missing", "keys.yaml");
    expect(await writeFileAtomically(path, "new", ABSENT)).toMatchObject({
      kind: "failed",
      problem: expect.stringContaining("ENOENT"),
    });
  });

  test("writeFileAtomically() writes in place where the directory is read-only, and says so", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "a much longer old text");
    await chmod(directory, 0o500);
    const expected = toExpected(Buffer.from("a much longer old text"));
    const result = await asOrdinaryUser([directory, path], () => writeFileAtomically(path, "new", expected));
    expect(result).toMatchObject({
      kind: "written",
      method: "in-place",
      path,
      reason: expect.stringContaining("EACCES"),
    });
    expect(await readFile(path, "utf8")).toBe("new");
    expect(await readdir(directory)).toEqual(["keys.yaml"]);
  });

  test("writeFileAtomically() leaves alone what somebody wrote while the new file was made ready", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "old");
    const result = writeFileAtomically(path, "new", OLD);
    while (readdirSync(directory).length === 1) await new Promise(setImmediate);
    writeFileSync(path, "newer");
    expect(await result).toEqual({ kind: "changed", path });
    expect(await readFile(path, "utf8")).toBe("newer");
    expect(await readdir(directory)).toEqual(["keys.yaml"]);
  });

  test("writeFileAtomically() puts the old bytes back where writing in place fails half way", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "old");
    await chmod(directory, 0o500);
    if (isRoot) for (const owned of [directory, path]) await chown(owned, NOBODY, NOBODY);
    // The limit on the size of files leaves room for a part of the new text.
    const script = `
      const { toExpected, writeFileAtomically } = await import(${JSON.stringify(SOURCE)});
      if (${isRoot}) process.seteuid(${NOBODY});
      const result = await writeFileAtomically(${JSON.stringify(path)}, "x".repeat(100_000), toExpected(Buffer.from("old")));
      process.stdout.write(JSON.stringify(result));
    `;
    const node = [process.execPath, "--input-type=module", "--eval", script];
    const { stdout } = await promisify(execFile)("sh", ["-c", 'ulimit -f 8; exec "$@"', "sh", ...node]);
    expect(JSON.parse(stdout)).toMatchObject({ kind: "failed", path, problem: expect.stringContaining("EFBIG") });
    expect(await readFile(path, "utf8")).toBe("old");
  });

  test("writeFileAtomically() fails where neither directory nor file can be written", async () => {
    const path = join(directory, "keys.yaml");
    await writeFile(path, "old");
    await chmod(path, 0o400);
    await chmod(directory, 0o500);
    const result = await asOrdinaryUser([directory, path], () => writeFileAtomically(path, "new", OLD));
    expect(result).toMatchObject({ kind: "failed", path, problem: expect.stringContaining("EACCES") });
    expect(await readFile(path, "utf8")).toBe("old");
  });
});

/** Runs something without root's right to write anywhere, as containers of CI systems often have it. */
async function asOrdinaryUser<T>(owned: readonly string[], action: () => Promise<T>): Promise<T> {
  if (!isRoot) return await action();
  for (const path of owned) await chown(path, NOBODY, NOBODY);
  process.seteuid?.(NOBODY);
  try {
    return await action();
  } finally {
    process.seteuid?.(0);
  }
}

describe("undoWrite()", () => {
  async function write(path: string, expected: Expected): Promise<Written> {
    const written = await writeFileAtomically(path, "new", expected);
    if (written.kind !== "written") throw new Error(written.kind);
    return written;
  }

  test("puts the old bytes back, whatever they are", async () => {
    const path = join(directory, "keys.yaml");
    const old = Buffer.from([0xef, 0xbb, 0xbf, 0xff, 0x0a]);
    await writeFile(path, old, { mode: 0o640 });
    const written = await write(path, toExpected(old));
    expect(await undoWrite(written, old)).toBeUndefined();
    expect(await readFile(path)).toEqual(old);
    expect((await stat(path)).mode & 0o7777).toBe(0o640);
  });

  test("removes a file that was not there", async () => {
    const written = await write(join(directory, "keys.yaml"), ABSENT);
    expect(await undoWrite(written, undefined)).toBeUndefined();
    expect(await readdir(directory)).toEqual([]);
  });

  test.each([undefined, Buffer.from("old")])("touches nothing that somebody else wrote, old: %s", async (old) => {
    const path = join(directory, "keys.yaml");
    if (old !== undefined) await writeFile(path, old);
    const written = await write(path, old === undefined ? ABSENT : toExpected(old));
    await writeFile(path, "theirs");
    expect(await undoWrite(written, old)).toContain("somebody else");
    expect(await readFile(path, "utf8")).toBe("theirs");
  });
});
