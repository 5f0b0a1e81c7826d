import { Agent, createServer } from "node:http";
import { createProxyServer } from "http-proxy-3";

const [port, upstreamPort, name] = process.argv.slice(2);
const agent = name === "http-proxy-3" ? { agent: new Agent({ keepAlive: true }) } : {};
const proxy = createProxyServer({ target: `http://127.0.0.1:${upstreamPort}`, ...agent });
proxy.on("error", (_error, _request, response) => response.destroy());
createServer((request, response) => proxy.web(request, response)).listen(Number(port), "127.0.0.1");
