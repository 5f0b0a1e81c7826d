import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism, platform } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Contender } from "../contenders/contender.ts";
import { NODE_PEERS, PEERS } from "../contenders/node-peers.ts";
import { progress } from "./progress.ts";

// By command, the Debian package it is in. The upstream is nginx, whoever is measured.
const ALWAYS = { nginx: "nginx", wrk: "wrk", taskset: "util-linux" };
const BY_CONTENDER: Readonly<Record<string, string>> = { haproxy: "haproxy", caddy: "caddy" };

/** Finds all that a run needs, installing what it may; the reason when something is missing. */
export async function findNeeds(contenders: readonly Contender[], install: boolean): Promise<string | undefined> {
  if (platform() !== "linux") return "The benchmark reads /proc and pins processes to cores: it needs Linux\n";
  if (availableParallelism() < 2) return "The proxy and its load need a core each: this machine has one\n";
  const commands = { ...ALWAYS, ...pickCommands(contenders) };
  const missing = Object.entries(commands).filter(([command]) => !isThere(command));
  if (missing.length > 0) {
    const packages = missing.map(([, name]) => name).join(" ");
    const line = `apt-get install -y --no-install-recommends ${packages}`;
    if (!install) return `Missing: ${packages}. Install with\n  ${line}\nor run again with --install\n`;
    progress(line);
    const { status } = spawnSync("sh", ["-c", `apt-get update -qq && ${line}`], { stdio: ["ignore", 2, 2] });
    if (status !== 0) return `${line} ended with ${status}\n`;
  }
  await installNodePeers(contenders);
  return undefined;
}

const isThere = (command: string): boolean => spawnSync("sh", ["-c", `command -v ${command}`]).status === 0;

const pickCommands = (contenders: readonly Contender[]) =>
  Object.fromEntries(Object.entries(BY_CONTENDER).filter(([name]) => contenders.some((each) => each.name === name)));

/** From their own lock, into their own folder: the project itself does not depend on them. */
async function installNodePeers(contenders: readonly Contender[]): Promise<void> {
  const wanted = contenders.some((contender) => NODE_PEERS.includes(contender));
  if (!wanted || existsSync(join(PEERS, "node_modules", ".package-lock.json"))) return;
  progress("install the Node peers");
  await promisify(execFile)("npm", ["ci", "--silent", "--no-audit", "--no-fund"], { cwd: PEERS });
}
