// A small orders API, such as somebody wrote years ago and nobody wants to change. It knows nothing
// of API keys: whoever reaches it is served. It only shows what it was told of its caller.
//
//   GET  /                      a page about itself
//   GET  /health                {"status":"ok"}
//   GET  /api/v1/whoami         the identity headers this request came with
//   GET  /api/v1/orders         all orders
//   POST /api/v1/orders         adds one: {"item": "rye bread", "quantity": 2}
//   GET  /api/v1/orders/:id     one order
//   GET  /api/v1/orders/events  new orders as they come, as server-sent events
//
// PORT and HOST say where it listens; by default 127.0.0.1:3000, which only this machine reaches.
import { createServer } from "node:http";

const HOST = process.env.HOST ?? "127.0.0.1";
const PORT = Number(process.env.PORT ?? 3000);
const MAX_BODY_BYTES = 64 * 1024;
const MAX_ORDERS = 1000;
const COMMENT_EVERY_MS = 15_000;

const orders = [
  { id: 1, item: "sourdough", quantity: 3 },
  { id: 2, item: "cinnamon rolls", quantity: 12 },
];
let lastId = orders.length;
const listeners = new Set();

const server = createServer((request, response) => {
  answer(request, response).catch((error) => send(response, error.status ?? 500, { error: error.message }));
});

async function answer(request, response) {
  const { pathname } = new URL(request.url, "http://orders");
  const call = `${request.method === "HEAD" ? "GET" : request.method} ${pathname}`;
  const id = /^GET \/api\/v1\/orders\/(\d+)$/.exec(call)?.[1];
  if (call === "GET /") return send(response, 200, PAGE, "text/html; charset=utf-8");
  if (call === "GET /health") return send(response, 200, { status: "ok" });
  if (call === "GET /api/v1/whoami") return send(response, 200, { caller: callerOf(request) });
  if (call === "GET /api/v1/orders") return send(response, 200, { caller: callerOf(request), orders });
  if (call === "POST /api/v1/orders")
    return send(response, 201, { caller: callerOf(request), order: await add(request) });
  if (call === "GET /api/v1/orders/events") return stream(request, response);
  const order = orders.find((candidate) => candidate.id === Number(id));
  if (order !== undefined) return send(response, 200, { caller: callerOf(request), order });
  return send(response, 404, { error: "not found" });
}

// What the app is told of its caller. On its own it is told nothing, and anybody is served.
function callerOf(request) {
  const told = Object.entries(request.headers).filter(([name]) => name.startsWith("x-latchkey-"));
  return Object.fromEntries(told);
}

async function add(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw Object.assign(new Error("order too large"), { status: 413 });
    chunks.push(chunk);
  }
  const { item, quantity } = parse(Buffer.concat(chunks).toString("utf8"));
  if (typeof item !== "string" || item === "" || !Number.isInteger(quantity) || quantity < 1) {
    throw Object.assign(new Error('expected {"item": text, "quantity": number}'), { status: 400 });
  }
  lastId += 1;
  const order = { id: lastId, item, quantity };
  orders.push(order);
  if (orders.length > MAX_ORDERS) orders.shift();
  for (const listener of listeners) listener.write(`event: order\ndata: ${JSON.stringify(order)}\n\n`);
  return order;
}

function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    throw Object.assign(new Error("expected JSON"), { status: 400 });
  }
}

function stream(request, response) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  response.write(`event: caller\ndata: ${JSON.stringify(callerOf(request))}\n\n`);
  if (request.method === "HEAD") return response.end();
  listeners.add(response);
  // A comment now and then tells a quiet stream from a dead one.
  const comments = setInterval(() => response.write(": still here\n\n"), COMMENT_EVERY_MS);
  response.on("close", () => {
    clearInterval(comments);
    listeners.delete(response);
  });
}

function send(response, status, body, type = "application/json; charset=utf-8") {
  response.writeHead(status, { "Content-Type": type });
  response.end(typeof body === "string" ? body : `${JSON.stringify(body, undefined, 2)}\n`);
}

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Orders</title>
<style>body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }</style>
<h1>Orders</h1>
<p>A small app that knows nothing of API keys. Its orders are at <code>/api/v1/orders</code>.</p>
</html>
`;

server.listen(PORT, HOST, () => {
  console.log(`orders app listening on http://${HOST}:${server.address().port}`);
});

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    server.close();
    server.closeAllConnections();
  });
}
