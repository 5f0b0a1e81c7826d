import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type RunningProcess, startPinned } from "../machine/process.ts";
import { type Contender, keyIdOf, type Task } from "./contender.ts";

export const nginx: Contender = {
  name: "nginx",
  label: "nginx",
  job: "plaintext keys in a `map`, `limit_req` per key, identity header",
  version: nginxVersion,
  start: async (task) => startNginx("proxy", join(task.folder, "nginx"), toProxy(task)),
};

export async function nginxVersion(): Promise<string> {
  const { stderr } = await promisify(execFile)("nginx", ["-v"]);
  return /nginx\/([\d.]+)/.exec(stderr)?.[1] ?? "?";
}

/** One worker, no log, everything it writes inside the folder. */
export async function startNginx(core: "proxy" | "load", folder: string, http: string): Promise<RunningProcess> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, "nginx.conf");
  await writeFile(
    file,
    `worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events { worker_connections 16384; }
http {
  access_log off;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join("\n  ")}
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  sendfile on;
${http}
}
`,
  );
  return startPinned(["nginx", "-e", "stderr", "-p", folder, "-c", file], {
    core,
    errorFile: join(folder, "stderr.txt"),
  });
}

function toProxy({ port, upstreamPort, credentials }: Task): string {
  return `
  map_hash_max_size 8192;
  map_hash_bucket_size 128;
  map $http_x_api_key $key_id {
    default "";
${credentials.map((credential, index) => `    "${credential}" "${keyIdOf(index)}";`).join("\n")}
  }
  limit_req_zone $key_id zone=keys:10m rate=1000000r/s;
  limit_req_status 429;
  upstream app {
    server 127.0.0.1:${upstreamPort};
    keepalive 1024;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    if ($key_id = "") { return 401; }
    location / {
      limit_req zone=keys burst=1000000 nodelay;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-API-Key "";
      proxy_set_header X-Key-Id $key_id;
      proxy_pass http://app;
    }
  }`;
}
