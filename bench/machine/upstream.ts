import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startNginx } from "../contenders/nginx.ts";
import type { RunningProcess } from "./process.ts";
import { findFreePort, waitUntilAnswering } from "./ready.ts";

export interface Upstream extends RunningProcess {
  readonly port: number;
}

/** Bytes of the answer to everything but `/bodies/`. */
export const ANSWER_BYTES = 204;
/** What is sent there is read to its end before it is answered, as an app would. */
export const UPLOAD_PATH = "/api/v1/orders/upload";
/** `/bodies/N` answers with N bytes, for these N. */
export const BODY_SIZES = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000] as const;

/** An app that costs as little as one can: nginx, one worker, a fixed answer, connections kept. */
export async function startUpstream(folder: string): Promise<Upstream> {
  const port = await findFreePort();
  const bodies = join(folder, "upstream", "bodies");
  await mkdir(bodies, { recursive: true });
  // Started by root, nginx serves as nobody, who must find the way into a temporary folder.
  await chmod(folder, 0o711);
  for (const bytes of BODY_SIZES) await writeFile(join(bodies, String(bytes)), Buffer.alloc(bytes, "x"));
  const running = await startNginx(
    "load",
    join(folder, "upstream"),
    `
  server {
    listen 127.0.0.1:${port} backlog=4096;
    default_type text/plain;
    location / { return 200 "${"x".repeat(ANSWER_BYTES)}"; }
    location = ${UPLOAD_PATH} {
      client_body_buffer_size 2m;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_method GET;
      proxy_pass http://127.0.0.1:${port}/;
    }
    location /bodies/ { root ${join(folder, "upstream")}; }
  }`,
  );
  await waitUntilAnswering(running, port, {});
  return { ...running, port };
}
