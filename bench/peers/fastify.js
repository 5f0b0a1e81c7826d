import httpProxy from "@fastify/http-proxy";
import fastify from "fastify";

const [port, upstreamPort] = process.argv.slice(2);
const app = fastify({ bodyLimit: Number.MAX_SAFE_INTEGER });
app.register(httpProxy, { upstream: `http://127.0.0.1:${upstreamPort}` });
await app.listen({ port: Number(port), host: "127.0.0.1" });
