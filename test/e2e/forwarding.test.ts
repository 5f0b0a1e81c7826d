import { execFile } from "node:child_process";
import { createServer, get as httpGet, request as httpRequest, type IncomingMessage } from "node:http";
import { get as httpsGet } from "node:https";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  createFolder,
  exchangeBytes,
  type Folder,
  type Program,
  parseResponse,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "./harness.ts";

const KEY = "tk_live_eu_0123456789abcdef0123456789abcdef";
const BARE = "tk_live_eu_0000000000000000000000000000beef";

const CONFIG = (upstreamUrl: string, more = "") => `
upstream: { url: "${upstreamUrl}" }
keyFormats: ["tk_{environment:live|test}_{region:us|eu}_{secret:hex(32)}"]
routes:
  - { match: "GET /public/**", public: true }
  - { match: "* /**", authenticated: true }
limits: { default: 100000/minute }
keys:
  - id: pos
    name: Pöintʼs of Sale
    hash: "${sha256Of(KEY)}"
    tenant: bakery
    scopes: ["orders:read", "orders:write"]
    metadata: { team: retail }
  - { id: bare, hash: "${sha256Of(BARE)}" }
${more}`;

/** Runs a command without blocking the upstream, which lives in this process. */
const run = async (command: string, args: readonly string[]): Promise<string> =>
  (await promisify(execFile)(command, [...args])).stdout;

/** The values one header had at the upstream, by exact lower-case name. */
const valuesOf = (rawHeaders: readonly string[], name: string) =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);

describe("the built program, forwarding", () => {
  let upstream: Upstream;
  let folder: Folder;
  let program: Program;

  beforeAll(async () => {
    upstream = await startUpstream((request, response, body) => {
      switch (request.url) {
        case "/events":
          response.writeHead(200, { "content-type": "text/event-stream" });
          response.write("data: one\n\n");
          break;
        case "/broken":
          response.writeHead(200, { "content-length": "1000" });
          response.write("only this");
          setImmediate(() => response.destroy());
          break;
        case "/broken-chunks":
          response.write("only this");
          setImmediate(() => response.destroy());
          break;
        case "/trailers":
          response.writeHead(200, { trailer: "x-checksum" });
          response.write("body");
          response.addTrailers({ "x-checksum": "abc" });
          response.end();
          break;
        case "/own-limits":
          response.writeHead(200, {
            "ratelimit-policy": '"app";q=1;w=1',
            "x-ratelimit-limit": "7",
            connection: "x-hop",
            "x-hop": "1",
          });
          response.end("ok");
          break;
        case "/nothing":
          response.writeHead(204);
          response.end();
          break;
        default:
          response.end(`got ${body.length}`);
      }
    });
    folder = await createFolder();
    program = await startProgram(await folder.write("latchkey.yaml", CONFIG(upstream.url)));
  });
  afterEach(() => {
    upstream.requests.length = 0;
  });
  afterAll(async () => {
    await program.stop();
    await upstream.close();
    await folder.remove();
  });

  const send = async (lines: readonly string[], body = "") =>
    parseResponse(
      await exchangeBytes(
        program.port,
        `${[...lines, "Host: api.test", "Connection: close"].join("\r\n")}\r\n\r\n${body}`,
      ),
    );

  test("sets every default identity header from the key and its text", async () => {
    await send(["GET /x HTTP/1.1", `X-API-Key: ${KEY}`]);
    const { rawHeaders } = upstream.requests[0] ?? { rawHeaders: [] };
    expect(valuesOf(rawHeaders, "x-latchkey-key-id")).toEqual(["pos"]);
    expect(valuesOf(rawHeaders, "x-latchkey-key-name").map(decodeURIComponent)).toEqual(["Pöintʼs of Sale"]);
    expect(valuesOf(rawHeaders, "x-latchkey-key-name")[0]).toMatch(/^[\x20-\x7e]+$/);
    expect(valuesOf(rawHeaders, "x-latchkey-tenant")).toEqual(["bakery"]);
    expect(valuesOf(rawHeaders, "x-latchkey-scopes")).toEqual(["orders:read orders:write"]);
    expect(valuesOf(rawHeaders, "x-latchkey-environment")).toEqual(["live"]);
    expect(valuesOf(rawHeaders, "x-latchkey-region")).toEqual(["eu"]);
  });

  test("deletes an identity header that the key has no value for instead of leaving the client's", async () => {
    await send(["GET /x HTTP/1.1", `X-API-Key: ${BARE}`, "X-Latchkey-Tenant: forged", "x_latchkey_tenant: forged"]);
    expect(JSON.stringify(upstream.requests[0]?.rawHeaders)).not.toContain("forged");
  });

  test("lets no spelling of a reserved name through, on a public route either", async () => {
    const names = [
      "X-Latchkey-Key-Id",
      "x_latchkey_key_id",
      "X.Latchkey.Key.Id",
      "X-LATCHKEY-ANYTHING",
      "x~latchkey~tenant",
    ];
    for (const path of ["/public/page", "/x"]) {
      await send([`GET ${path} HTTP/1.1`, `X-API-Key: ${KEY}`, ...names.map((name) => `${name}: forged`)]);
    }
    expect(upstream.requests).toHaveLength(2);
    expect(JSON.stringify(upstream.requests)).not.toContain("forged");
    expect(upstream.requests[0]?.rawHeaders.some((name) => /latchkey/i.test(name))).toBe(false);
  });

  test("keeps its identity headers when the client's Connection names them (CVE-2022-31813)", async () => {
    const response = parseResponse(
      await exchangeBytes(
        program.port,
        `GET /x HTTP/1.1\r\nHost: a\r\nX-API-Key: ${KEY}\r\nConnection: close, X-Latchkey-Key-Id, X-Custom\r\nX-Custom: 1\r\n\r\n`,
      ),
    );
    expect(response.status).toBe(200);
    const { rawHeaders } = upstream.requests[0] ?? { rawHeaders: [] };
    expect(valuesOf(rawHeaders, "x-latchkey-key-id")).toEqual(["pos"]);
    expect(valuesOf(rawHeaders, "x-custom")).toEqual([]);
  });

  test("forwards neither the key nor forged forwarding headers, and writes its own", async () => {
    await send([
      "GET /x HTTP/1.1",
      `Authorization: Bearer ${KEY}`,
      `X_API_Key: ${KEY}`,
      "X-Forwarded-For: 1.2.3.4",
      "X-Forwarded-Prefix: /admin",
      "Forwarded: for=1.2.3.4",
      "X-Original-URL: /admin",
      "X-HTTP-Method-Override: DELETE",
    ]);
    const { rawHeaders } = upstream.requests[0] ?? { rawHeaders: [] };
    expect(JSON.stringify(rawHeaders)).not.toMatch(/tk_live|1\.2\.3\.4|admin|DELETE/);
    expect(valuesOf(rawHeaders, "x-forwarded-for")).toEqual(["127.0.0.1"]);
    expect(valuesOf(rawHeaders, "x-forwarded-proto")).toEqual(["http"]);
    expect(valuesOf(rawHeaders, "x-forwarded-host")).toEqual(["api.test"]);
    expect(valuesOf(rawHeaders, "host")).toEqual(["api.test"]);
  });

  test("passes the app's own Basic credentials when the key came in X-API-Key", async () => {
    await send(["GET /x HTTP/1.1", `X-API-Key: ${KEY}`, "Authorization: Basic dTpw"]);
    expect(upstream.requests[0]?.headers.authorization).toBe("Basic dTpw");
  });

  test("forwards the authorised bytes of the path, and takes a method override out of the query", async () => {
    await send([`GET /a%20b/%C3%A9/x?z=%2F..%2F&_method=DELETE&q=1 HTTP/1.1`, `X-API-Key: ${KEY}`]);
    expect(upstream.requests[0]?.target).toBe("/a%20b/%C3%A9/x?z=%2F..%2F&q=1");
  });

  test("gives the upstream one well-formed message for a chunked DELETE (GHSA-ggv3-7p47-pfv8)", async () => {
    const inner = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    const chunk = `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`;
    const response = await send(["DELETE /x HTTP/1.1", `X-API-Key: ${KEY}`, "Transfer-Encoding: chunked"], chunk);
    expect(response.status).toBe(200);
    expect(upstream.requests.map(({ method, target, body }) => [method, target, body])).toEqual([
      ["DELETE", "/x", inner],
    ]);
  });

  test("streams server-sent events as they come", async () => {
    const received = await exchangeBytes(
      program.port,
      `GET /events HTTP/1.1\r\nHost: a\r\nX-API-Key: ${KEY}\r\n\r\n`,
      (text) => text.includes("data: one"),
    );
    expect(received).toContain("text/event-stream");
  });

  test.for(["/broken", "/broken-chunks"])("ends a body the upstream broke off as broken off: %s", async (path) => {
    const outcome = await new Promise<string>((resolve) => {
      httpGet(`${program.url}${path}`, { headers: { "x-api-key": KEY }, agent: false }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.complete ? "complete" : "broken"));
        response.on("error", () => resolve("broken"));
      });
    });
    expect(outcome).toBe("broken");
    const line = await program.waitForLine((candidate) => candidate["path"] === path);
    expect(line["ending"]).toBe("truncated");
  });

  test("passes trailers of a response on", async () => {
    const response = await send(["GET /trailers HTTP/1.1", `X-API-Key: ${KEY}`]);
    expect(response.body).toContain("x-checksum: abc");
  });

  test("adds its limits beside the app's own and drops what the app's Connection names", async () => {
    const response = await send(["GET /own-limits HTTP/1.1", `X-API-Key: ${KEY}`]);
    expect(response.values("ratelimit-policy")).toEqual(['"app";q=1;w=1', '"100000/minute";q=100000;w=60']);
    expect(response.values("x-ratelimit-limit")).toEqual(["7"]);
    expect(response.values("x-hop")).toEqual([]);
  });

  test("answers HEAD and 204 without a body", async () => {
    const head = await send(["HEAD /x HTTP/1.1", `X-API-Key: ${KEY}`]);
    expect([head.status, head.body]).toEqual([200, ""]);
    const nothing = await send(["GET /nothing HTTP/1.1", `X-API-Key: ${KEY}`]);
    expect([nothing.status, nothing.body]).toEqual([204, ""]);
  });

  test("asks for a body only when it wants it (Expect: 100-continue)", async () => {
    const head = (key: string) =>
      `POST /x HTTP/1.1\r\nHost: a\r\nX-API-Key: ${key}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`;
    const refused = await exchangeBytes(program.port, head("tk_wrong"));
    expect(refused).not.toContain("100 Continue");
    expect(parseResponse(refused).status).toBe(401);
    const wanted = await exchangeBytes(program.port, head(KEY), (text) => text.includes("100 Continue"));
    expect(wanted).toMatch(/^HTTP\/1\.1 100 Continue/);
  });

  test("carries 20 MB each way without losing a byte", async () => {
    const size = 20 * 1024 * 1024;
    const answer = await new Promise<string>((resolve, reject) => {
      const outgoing = httpRequest(`${program.url}/x`, { method: "PUT", headers: { "x-api-key": KEY } }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => resolve(text));
      });
      outgoing.on("error", reject);
      outgoing.end(Buffer.alloc(size, "x"));
    });
    expect(answer).toBe(`got ${size}`);
  });

  test("keeps a plain request id and replaces a strange one", async () => {
    const kept = await send(["GET /x HTTP/1.1", `X-API-Key: ${KEY}`, "X-Request-Id: abc-123"]);
    expect(kept.values("x-request-id")).toEqual(["abc-123"]);
    expect(upstream.requests[0]?.headers["x-request-id"]).toBe("abc-123");
    const replaced = await send(["GET /x HTTP/1.1", `X-API-Key: ${KEY}`, "X-Request-Id: {evil}"]);
    expect(replaced.values("x-request-id")[0]).toMatch(/^[0-9a-f]{32}$/);
  });

  test("writes one line per request without query or key", async () => {
    const response = await send([`GET /search/${KEY}?q=secret HTTP/1.1`, `X-API-Key: ${KEY}`]);
    const requestId = response.values("x-request-id")[0];
    const line = await program.waitForLine((candidate) => candidate["requestId"] === requestId);
    expect(line).toMatchObject({ method: "GET", decision: "allow", status: 200, keyId: "pos", tenant: "bakery" });
    expect(JSON.stringify(line)).not.toMatch(/secret|0123456789abcdef/);
    expect(program.lines.filter((candidate) => candidate["requestId"] === requestId)).toHaveLength(1);
  });

  test("curl gets through with a key and is told off without", async () => {
    const curl = (...args: string[]) => run("curl", ["-s", ...args, `${program.url}/x`]);
    expect(await curl("-H", `Authorization: Bearer ${KEY}`)).toBe("got 0");
    expect(await curl("-o", "/dev/null", "-w", "%{http_code}")).toBe("401");
  });
});

describe("the built program, upgrades", () => {
  let server: WebSocketServer;
  let upstreamHeaders: IncomingMessage["headers"] = {};
  let upstreamUrl = "";
  let folder: Folder;
  let program: Program;

  beforeAll(async () => {
    const http = createServer((_, response) => response.end("plain"));
    server = new WebSocketServer({ server: http });
    server.on("connection", (socket, request) => {
      upstreamHeaders = request.headers;
      socket.on("message", (data) => socket.send(`echo ${request.url} ${String(data)}`));
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const bound = http.address();
    upstreamUrl = `http://127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
    folder = await createFolder();
    program = await startProgram(await folder.write("latchkey.yaml", CONFIG(upstreamUrl)));
  });
  afterAll(async () => {
    await program.stop();
    server.close();
    await folder.remove();
  });

  test("a WebSocket with a key reaches the app with its identity", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${program.port}/chat?room=1`, {
      headers: { "X-API-Key": KEY, X_Latchkey_Key_Id: "forged" },
    });
    const answer = await new Promise<string>((resolve, reject) => {
      socket.on("open", () => socket.send("hello"));
      socket.on("message", (data) => resolve(String(data)));
      socket.on("error", reject);
    });
    socket.close();
    expect(answer).toBe("echo /chat?room=1 hello");
    expect(upstreamHeaders["x-latchkey-key-id"]).toBe("pos");
    expect(upstreamHeaders["x-api-key"]).toBeUndefined();
    expect(JSON.stringify(upstreamHeaders)).not.toContain("forged");
  });

  test("a WebSocket without a key is refused before the app hears of it", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${program.port}/chat`);
    const status = await new Promise<number>((resolve) => {
      socket.on("unexpected-response", (_, response) => resolve(response.statusCode ?? 0));
      socket.on("error", () => {});
    });
    expect(status).toBe(401);
  });

  test("an upgrade to another protocol is answered as plain HTTP", async () => {
    const received = await exchangeBytes(
      program.port,
      `GET /x HTTP/1.1\r\nHost: a\r\nX-API-Key: ${KEY}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
      (text) => text.includes("plain"),
    );
    expect(parseResponse(received).status).toBe(200);
  });

  test("SIGTERM closes open WebSockets last and the program ends well", async () => {
    const own = await createFolder();
    const file = await own.write("latchkey.yaml", CONFIG(upstreamUrl, "drain: { delay: 0s, timeout: 5s }"));
    const other = await startProgram(file);
    const socket = new WebSocket(`ws://127.0.0.1:${other.port}/chat`, { headers: { "X-API-Key": KEY } });
    await new Promise((resolve) => socket.on("open", resolve));
    const closed = new Promise((resolve) => socket.on("close", resolve));
    expect(await other.stop()).toBe(0);
    await closed;
    await own.remove();
  });
});

describe("the built program, listeners", () => {
  let upstream: Upstream;
  let folder: Folder;
  beforeAll(async () => {
    upstream = await startUpstream((_, response) => response.end("ok"));
    folder = await createFolder();
  });
  afterAll(async () => {
    await upstream.close();
    await folder.remove();
  });

  test("serves TLS and tells the app so", async () => {
    const [cert, key] = [join(folder.path, "tls.crt"), join(folder.path, "tls.key")];
    const subject = ["-subj", "/CN=localhost", "-days", "1", "-nodes"];
    await run("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", cert, ...subject]);
    const text = CONFIG(upstream.url, `listen: { https: required, tls: { cert: "${cert}", key: "${key}" } }`);
    const program = await startProgram(await folder.write("tls.yaml", text));
    const status = await new Promise<number>((resolve, reject) => {
      const options = { headers: { "x-api-key": KEY }, rejectUnauthorized: false, agent: false } as const;
      httpsGet(`https://127.0.0.1:${program.port}/x`, options, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      }).on("error", reject);
    });
    expect(status).toBe(200);
    expect(upstream.requests.at(-1)?.headers["x-forwarded-proto"]).toBe("https");
    await program.stop();
  });

  test("takes requests on a unix socket and forwards to one", async () => {
    const appSocket = join(folder.path, "app.sock");
    const ownSocket = join(folder.path, "own.sock");
    const app = createServer((_, response) => response.end("from the socket"));
    await new Promise<void>((resolve) => app.listen(appSocket, resolve));
    const file = await folder.write("unix.yaml", CONFIG(`unix:${appSocket}`));
    const program = await startProgram(file, ["--listen", `unix:${ownSocket}`, "--workers", "1"]);
    const body = await run("curl", ["-s", "--unix-socket", ownSocket, "-H", `X-API-Key: ${KEY}`, "http://x/y"]);
    expect(body).toBe("from the socket");
    await program.stop();
    app.close();
  });

  test("believes a proxy of just what it is trusted in", async () => {
    const text = CONFIG(upstream.url, "listen: { trustedProxies: { address: [127.0.0.2], scheme: [127.0.0.3] } }");
    const program = await startProgram(await folder.write("apart.yaml", text));
    for (const [peer, forwardedFor, scheme] of [
      ["127.0.0.2", "203.0.113.9, 127.0.0.2", "http"],
      ["127.0.0.3", "127.0.0.3", "https"],
    ] as const) {
      await run("curl", [
        ...["-s", "--interface", peer, "-H", `X-API-Key: ${KEY}`, "-H", "X-Forwarded-Proto: https"],
        ...["-H", "X-Forwarded-For: 203.0.113.9", "-H", "X-Forwarded-Host: shop.example", `${program.url}/x`],
      ]);
      const headers = upstream.requests.at(-1)?.headers;
      expect(headers?.["x-forwarded-for"]).toBe(forwardedFor);
      expect(headers?.["x-forwarded-proto"]).toBe(scheme);
      expect(headers?.["x-forwarded-host"]).toBe(new URL(program.url).host);
    }
    await program.stop();
  });

  test("believes a trusted proxy's forwarding headers, and nobody else's", async () => {
    const text = CONFIG(upstream.url, 'listen: { trustedProxies: ["127.0.0.2/32"] }');
    const program = await startProgram(await folder.write("trust.yaml", text));
    const from = (address: string) =>
      run("curl", [
        ...["-s", "--interface", address, "-H", `X-API-Key: ${KEY}`, "-H", "X-Forwarded-Proto: https"],
        ...["-H", "X-Forwarded-For: 6.6.6.6, 203.0.113.9", `${program.url}/x`],
      ]);
    await from("127.0.0.2");
    expect(upstream.requests.at(-1)?.headers["x-forwarded-for"]).toBe("6.6.6.6, 203.0.113.9, 127.0.0.2");
    expect(upstream.requests.at(-1)?.headers["x-forwarded-proto"]).toBe("https");
    await from("127.0.0.3");
    expect(upstream.requests.at(-1)?.headers["x-forwarded-for"]).toBe("127.0.0.3");
    expect(upstream.requests.at(-1)?.headers["x-forwarded-proto"]).toBe("http");
    for (const address of ["203.0.113.9", "127.0.0.3"]) {
      await program.waitForLine((line) => line["clientAddress"] === address && line["keyId"] === "pos");
    }
    await program.stop();
  });
});
