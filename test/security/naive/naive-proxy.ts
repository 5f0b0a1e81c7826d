import { Agent, createServer, type IncomingMessage } from "node:http";
import { createProxyServer } from "http-proxy-3";
import { CREDENTIALS } from "../bench/words.ts";

// What a careful afternoon makes: one key check in front of http-proxy-3, for requests and WebSockets. It checks the
// path, takes the key out, deletes the identity header a client may have sent and sets its own. The bench must
// find it wanting, or the bench proves nothing. Usage: naive-proxy.ts UPSTREAM_PORT; prints its own port.

interface Holder {
  readonly id: string;
  readonly tenant: string;
  readonly admin: boolean;
}

const HOLDERS: ReadonlyMap<string, Holder> = new Map([
  [CREDENTIALS["key"] ?? "", { id: "alice", tenant: "bakery", admin: false }],
  [CREDENTIALS["other"] ?? "", { id: "bob", tenant: "butcher", admin: false }],
  [CREDENTIALS["admin"] ?? "", { id: "root", tenant: "house", admin: true }],
]);

/** The status to refuse with, or 200. Changes the request's headers as it goes, as such checks do. */
function check(request: IncomingMessage): number {
  const path = (request.url ?? "").split("?")[0] ?? "";
  const { headers } = request;
  for (const name of ["x-latchkey-key-id", "x-latchkey-tenant", "x-latchkey-scopes"]) delete headers[name];
  if (path.startsWith("/public/")) return 200;
  const given = headers["x-api-key"] ?? headers.authorization?.replace(/^Bearer /i, "");
  const holder = HOLDERS.get(String(given));
  if (holder === undefined) return 401;
  if (path.startsWith("/admin") && !holder.admin) return 403;
  delete headers["x-api-key"];
  delete headers.authorization;
  headers["x-latchkey-key-id"] = holder.id;
  headers["x-latchkey-tenant"] = holder.tenant;
  headers["x-latchkey-scopes"] = "orders:*";
  return 200;
}

const proxy = createProxyServer({
  target: `http://127.0.0.1:${process.argv[2]}`,
  agent: new Agent({ keepAlive: true }),
  xfwd: true,
  proxyTimeout: 2000,
});
proxy.on("error", (_error, _request, answer) => {
  if (answer !== undefined && "writeHead" in answer && !answer.headersSent) answer.writeHead(502).end();
  else answer?.destroy();
});
const server = createServer({ connectionsCheckingInterval: 500 }, (request, response) => {
  const status = check(request);
  if (status === 200) proxy.web(request, response);
  else response.writeHead(status, { "content-length": "0" }).end();
});
server.headersTimeout = 1000;
server.requestTimeout = 2000;
server.on("upgrade", (request, socket, head) => {
  const status = check(request);
  if (status === 200) proxy.ws(request, socket, head);
  else socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\n\r\n`);
});
// It would die of the first stray reset; that is a finding of its own, but would end the comparison.
process.on("uncaughtException", () => {});
server.listen(0, "127.0.0.1", () => {
  const bound = server.address();
  process.stdout.write(`${typeof bound === "object" && bound !== null ? bound.port : 0}\n`);
});
