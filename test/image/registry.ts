import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createFolder } from "../e2e/harness.ts";
import { eventually } from "./container.ts";
import { attempt } from "./engine.ts";
import type { Network } from "./network.ts";

// The port of the reference implementation of a registry, free in a network of one's own.
const ADDRESS = "127.0.0.1:5000";

/** An image registry on a network's loopback, as the pages call it. */
export interface Registry {
  readonly address: string;
  /** A `registries.conf` by which it answers under the name on the pages. */
  readonly configFile: string;
  readonly stop: () => Promise<void>;
}

/** The name that the pages have for anybody's registry. */
export const REGISTRY_NAME = "registry.example.com";

export async function startRegistry({ enter: [command, ...enter] }: Network): Promise<Registry> {
  const folder = await createFolder();
  const settings = await folder.write(
    "registry.yml",
    `version: 0.1\nlog: { level: error }\nhttp: { addr: "${ADDRESS}" }\n` +
      `storage: { filesystem: { rootdirectory: ${join(folder.path, "data")} } }\n`,
  );
  const configFile = join(folder.path, "registries.conf");
  await writeFile(configFile, `[[registry]]\nprefix = "${REGISTRY_NAME}"\nlocation = "${ADDRESS}"\ninsecure = true\n`);
  const served: ChildProcess = spawn(command, [...enter, "docker-registry", "serve", settings], { stdio: "ignore" });
  const stop = async (): Promise<void> => {
    const ended = once(served, "exit");
    served.kill();
    await ended;
    await folder.remove();
  };
  const asked = [...enter, "curl", "--silent", "--fail", `http://${ADDRESS}/v2/`];
  await eventually(async () => (await attempt(command, asked)).code === 0, "the registry does not answer");
  return { address: ADDRESS, configFile, stop };
}
