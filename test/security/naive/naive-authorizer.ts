import { createServer, type IncomingMessage } from "node:http";
import { CREDENTIALS } from "../bench/words.ts";

// The forward-auth endpoint of a careful afternoon: it takes the describing headers as they come, from whoever
// calls, and reads paths as `URL` does. The bench must find it wanting. Usage: naive-authorizer.ts; prints its port.

const HOLDERS: ReadonlyMap<string, string> = new Map([
  [CREDENTIALS["key"] ?? "", "alice"],
  [CREDENTIALS["other"] ?? "", "bob"],
  [CREDENTIALS["reader"] ?? "", "reader"],
  [CREDENTIALS["elsewhere"] ?? "", "elsewhere"],
]);

/** Who may pass: the id to answer with, `""` for anybody on a public path, undefined for nobody. */
function check({ url = "", headers }: IncomingMessage): string | undefined {
  const described = headers["x-forwarded-uri"] ?? headers["x-original-uri"] ?? headers["x-original-url"];
  const target = described === undefined ? url.replace(/^\/authorize/, "") : String(described);
  const { pathname } = new URL(target, "http://app");
  if (pathname.startsWith("/public/")) return "";
  const given = headers["x-api-key"] ?? headers.authorization?.replace(/^Bearer /i, "");
  return pathname.startsWith("/admin") ? undefined : HOLDERS.get(String(given));
}

const server = createServer((request, response) => {
  const holder = check(request);
  if (holder === undefined) response.writeHead(401, { "content-length": "0" }).end();
  else if (holder === "") response.writeHead(200, { "content-length": "0" }).end();
  else response.writeHead(200, { "X-Latchkey-Key-Id": holder, "content-length": "0" }).end();
});
// A target it cannot read ends it otherwise.
process.on("uncaughtException", () => {});
server.listen(0, "127.0.0.1", () => {
  const bound = server.address();
  process.stdout.write(`${typeof bound === "object" && bound !== null ? bound.port : 0}\n`);
});
