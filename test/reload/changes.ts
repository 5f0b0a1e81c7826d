import { execFile } from "node:child_process";
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Gives a file new content the way one tool does it. */
export type Change = (path: string, text: string) => Promise<void>;

/** What people and tools do to a plain file, by the same system calls, where possible by the tool itself. */
export const CHANGES = {
  "sed -i": async (path, text) => {
    const script = `${path}.sed-script`;
    // Replaces every line by the new content: GNU sed writes a file beside the old one and renames it over.
    await writeFile(script, `1{\nr ${path}.next\n}\nd\n`);
    await writeFile(`${path}.next`, text, { mode: 0o600 });
    await run("sed", ["-i", "-f", script, path]);
    await unlink(`${path}.next`);
    await unlink(script);
  },
  "vim :wq": async (path, text) => {
    const next = `${path}.next`;
    await writeFile(next, text, { mode: 0o600 });
    // Vim moves the old file to a backup, writes a new one and removes the backup; under /tmp it does so only if told.
    const set = "set nocompatible writebackup backupskip= swapfile";
    const commands = [set, `%!cat ${next}`, "wq"].flatMap((command) => ["-c", command]);
    await run("ex", ["-s", "-u", "NONE", "-i", "NONE", ...commands, path]);
    await unlink(next);
  },
  "an Emacs save": async (path, text) => {
    // Emacs locks by a dangling symlink, moves the old file to `name~` and writes a new file under the name.
    const lock = join(path, "..", `.#${path.slice(path.lastIndexOf("/") + 1)}`);
    await symlink("somebody@host.1234:1700000000", lock);
    await rename(path, `${path}~`);
    await writeFile(path, text, { mode: 0o600 });
    await chmod(path, 0o600);
    await unlink(lock);
  },
  "cat >": async (path, text) => {
    const next = `${path}.next`;
    await writeFile(next, text, { mode: 0o600 });
    await run("sh", ["-c", 'cat "$1" > "$2"', "sh", next, path]);
    await unlink(next);
  },
  "a truncation and a write in two halves": async (path, text) => {
    await truncate(path);
    await writeFile(path, text.slice(0, text.length / 2), { flag: "a" });
    await writeFile(path, text.slice(text.length / 2), { flag: "a" });
  },
  "a deletion and 300 ms later a new file": async (path, text) => {
    await unlink(path);
    await pause(300);
    await writeFile(path, text, { mode: 0o600 });
  },
} as const satisfies Readonly<Record<string, Change>>;

let swaps = 0;

/**
 * One update as the kubelet's AtomicWriter makes it: a new directory, a link to it, that link renamed over
 * `..data`, names of files that came or went, and at last the old directory removed.
 */
export async function swapVolume(volume: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(volume, { recursive: true });
  swaps += 1;
  const next = `..2026_01_01_00_00_00.${swaps}`;
  const old = await readlink(join(volume, "..data")).catch(() => undefined);
  await mkdir(join(volume, next));
  for (const [name, text] of Object.entries(files)) await writeFile(join(volume, next, name), text);
  await symlink(next, join(volume, "..data_tmp"));
  await rename(join(volume, "..data_tmp"), join(volume, "..data"));
  const names = (await readdir(volume)).filter((name) => !name.startsWith(".."));
  for (const name of Object.keys(files)) {
    if (!names.includes(name)) await symlink(join("..data", name), join(volume, name));
  }
  for (const name of names) if (!Object.hasOwn(files, name)) await unlink(join(volume, name));
  if (old !== undefined) await rm(join(volume, old), { recursive: true });
}

/** A release in its own directory, made the current one by a symlink renamed over the last, as Capistrano deploys. */
export async function release(root: string, name: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(root, "releases", name), { recursive: true });
  for (const [file, text] of Object.entries(files)) {
    await writeFile(join(root, "releases", name, file), text, { mode: 0o600 });
  }
  await symlink(join("releases", name), join(root, "next"));
  await rename(join(root, "next"), join(root, "current"));
}

/** When the inode at a path was last changed, by the file system's own clock. */
export async function changedAtMs(path: string): Promise<number> {
  return (await lstat(path)).ctimeMs;
}
