import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { startPinned } from "../machine/process.ts";
import { type Contender, keyIdOf, type Task } from "./contender.ts";

export const caddy: Contender = {
  name: "caddy",
  label: "Caddy",
  job: "plaintext keys in a `map` (searched in order), identity header, no limit",
  version: async () => (await promisify(execFile)("caddy", ["version"])).stdout.trim().split(" ")[0] ?? "?",
  start: async (task) => {
    const file = join(task.folder, "Caddyfile");
    await writeFile(file, toConfig(task));
    return startPinned(["caddy", "run", "--adapter", "caddyfile", "--config", file], {
      core: "proxy",
      errorFile: join(task.folder, "caddy.stderr.txt"),
      env: { XDG_DATA_HOME: task.folder, XDG_CONFIG_HOME: task.folder },
    });
  },
};

function toConfig({ port, upstreamPort, credentials }: Task): string {
  return `{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  map {header.X-Api-Key} {key_id} {
${credentials.map((credential, index) => `    "${credential}" "${keyIdOf(index)}"`).join("\n")}
    default ""
  }
  @unknown vars {key_id} ""
  respond @unknown 401
  reverse_proxy 127.0.0.1:${upstreamPort} {
    header_up -X-Api-Key
    header_up X-Key-Id {key_id}
    transport http {
      keepalive_idle_conns_per_host 1024
    }
  }
}
`;
}
