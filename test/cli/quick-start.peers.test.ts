import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { type Block, readPageOf } from "../docs/blocks.ts";
import { findFault } from "../docs/faults.ts";
import { createFolder } from "../e2e/harness.ts";

const NAME = "test/cli/quick-start.peers.test.ts";
const ROOT = new URL("../../", import.meta.url).pathname;
// npm asks a registry, and installs a Node of its own.
const PATIENCE_MS = 180_000;

test("the README's one command installs, builds and starts a protected app in a clone", {
  timeout: PATIENCE_MS,
}, async () => {
  const block = await findBlock("README.md");
  const clone = await cloneCheckout();
  const started = spawn("bash", ["-c", block.commands.map(({ text }) => text).join("\n")], {
    cwd: clone,
    env: strangerEnv(),
    // A group of its own, as a terminal makes one: npm, the program and the sample app end together.
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(async () => {
    const ended = once(started, "exit");
    process.kill(-Number(started.pid), "SIGINT");
    await ended;
  });

  const lines: string[] = [];
  for await (const line of createInterface({ input: started.stdout })) {
    lines.push(line);
    if (line.includes("Ctrl-C stops everything.")) break;
  }
  const paste = async (title: string): Promise<string> => {
    const command = lines[lines.findIndex((line) => line.includes(`. ${title}`)) + 1] ?? "false";
    return (await promisify(execFile)("bash", ["-c", command])).stdout;
  };
  expect(await paste("A key that may read")).toMatch(/^HTTP\/1\.1 200 OK/);
  expect(await paste("The same key, writing")).toMatch(/^HTTP\/1\.1 403/);

  // After what npm says, and the build.
  const guide = lines.slice(lines.findIndex((line) => line.startsWith("Latchkey runs in front")));
  const [shown] = (await findBlock("docs/cli.md")).commands;
  expect(shown?.text).toBe("npm start");
  const output = withoutPortsAndKeys(`${guide.join("\n")}\n`);
  expect(findFault({ at: "", text: "", code: 0, output, expected: withoutPortsAndKeys(shown?.output ?? "") })).toEqual(
    [],
  );
});

/** Ports are the next free ones, keys are new each time. */
function withoutPortsAndKeys(text: string): string {
  return text.replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:1").replaceAll(/\bord_live_\w+/g, "ord_live_0");
}

async function findBlock(page: string): Promise<Block> {
  const [own, ...surplus] = (await readPageOf(NAME, page)).blocks;
  if (own === undefined || surplus.length > 0) throw new Error(`${page} has more than one block for this test`);
  return own;
}

/** What a clone would hold, without anything that was installed or built. */
async function cloneCheckout(): Promise<string> {
  const folder = await createFolder();
  onTestFinished(folder.remove);
  const listed = await promisify(execFile)("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    maxBuffer: 16 * 1024 ** 2,
  });
  for (const file of listed.stdout.split("\0").filter(Boolean)) {
    await mkdir(join(folder.path, dirname(file)), { recursive: true });
    await cp(join(ROOT, file), join(folder.path, file));
  }
  return folder.path;
}

// Without what npm sets for the scripts of this checkout, and what is installed in it.
function strangerEnv(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_(?!config_)|LATCHKEY_|INIT_CWD|NODE_ENV)/.test(name),
  );
  const path = (process.env["PATH"] ?? "").split(":").filter((entry) => !entry.includes("node_modules"));
  return { ...Object.fromEntries(kept), PATH: path.join(":"), npm_config_prefer_offline: "true" };
}
