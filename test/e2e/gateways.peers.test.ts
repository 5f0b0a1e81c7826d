import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sendBytes } from "../security/bench/client.ts";
import { type RealGateway, startCaddy, startNginx } from "./gateways.ts";
import {
  createFolder,
  type Folder,
  type Program,
  parseResponse,
  type RawResponse,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "./harness.ts";

const KEY = "tk_live_0123456789abcdef0123456789abcdef";
const SCARCE = "tk_live_0123456789abcdef0123456789abcd02";
const ELSEWHERE = "tk_live_0123456789abcdef0123456789abcd03";

const config = (url: string): string => `
upstream: ${url}
admin: { authorizer: 127.0.0.1 }
keyFormats: "tk_{environment:live|test}_{secret:hex(32)}"
routes:
  - { match: "GET /status", public: true }
  - { match: "GET /api/orders/**", scopes: "orders:read" }
  - { match: "POST /api/orders/**", scopes: "orders:write" }
keys:
  - { id: shop, hash: "${sha256Of(KEY)}", name: Shop, tenant: bakery, scopes: ["orders:*"] }
  - { id: scarce, hash: "${sha256Of(SCARCE)}", scopes: ["orders:read"], limits: 1/day }
  - { id: elsewhere, hash: "${sha256Of(ELSEWHERE)}", scopes: ["orders:read"], allowIps: 127.0.0.3 }
`;

const ORDER = "/api/orders/7";

const GATEWAYS = { nginx: startNginx, caddy: startCaddy } as const;

/** Describing headers that a client makes up, for a request that needs no key. */
const FORGED: readonly (readonly string[])[] = [
  ["X-Original-URI: /status", "X-Original-Method: GET"],
  ["X-Original-URL: /status", "X-Original-Method: GET"],
  ["X-Original-URL: http://api.test/status", "X-Original-Method: GET"],
  ["X-Forwarded-Uri: /status", "X-Forwarded-Method: GET"],
  ["X-Forwarded-Uri: /status"],
  ["X-Original-Method: GET"],
  ["X_Original_URI: /status", "X.Forwarded.Uri: /status"],
  ["X-Original-URI: /status", "X-Original-Method: GET", "X-Forwarded-Uri: /status", "X-Forwarded-Method: GET"],
];

/** Targets that some reader takes for /status or for an order, and that need a key if they are either. */
const ODD_TARGETS: readonly string[] = [
  "/status/../api/orders/7",
  "/status/%2e%2e/api/orders/7",
  "/status%2f..%2fapi/orders/7",
  "/api/orders/7/../../../status",
  "//status",
  "/status/",
  "/STATUS",
  "/%73tatus",
  "/status;x=1",
  "/status%3f",
  "/status%23",
  "/status%00",
  "/api/orders/7?/status",
  "/api/orders/7?X-Original-URI=/status",
  "/api/orders/7%23/status",
  "http://api.test/api/orders/7",
];

describe.for(["nginx", "caddy"] as const)("with the recipe for %s", (name) => {
  let folder: Folder;
  let upstream: Upstream;
  let program: Program;
  let gateway: RealGateway;

  const send = async (
    target: string,
    lines: readonly string[] = [],
    { method = "GET", from = "127.0.0.1", body = "" } = {},
  ): Promise<RawResponse> => {
    const length = body === "" ? [] : [`Content-Length: ${body.length}`];
    const head = [`${method} ${target} HTTP/1.1`, "Host: api.test", ...lines, ...length, "Connection: close", "", body];
    const { bytes } = await sendBytes({
      port: gateway.port,
      from,
      parts: [{ bytes: head.join("\r\n") }],
      ending: "wait",
      deadlineMs: 10_000,
    });
    return parseResponse(bytes);
  };

  beforeAll(async () => {
    folder = await createFolder();
    upstream = await startUpstream();
    program = await startProgram(await folder.write("latchkey.yaml", config(upstream.url)));
    gateway = await GATEWAYS[name]({ folder, upstreamPort: upstream.port, adminPort: program.adminPort });
  });
  afterAll(async () => {
    await gateway.stop();
    await program.stop();
    await upstream.close();
    await folder.remove();
  });
  beforeEach(() => void upstream.requests.splice(0));

  test("the app gets the request with the identity and without the key", async () => {
    const target = "/api/orders/%C3%A4?expand=a%20b&x=/status";
    const options = { method: "POST", body: '{"item":"rye"}' };
    const answer = await send(target, [`X-API-Key: ${KEY}`, "X-Request-Id: of-the-client"], options);
    expect(answer.status).toBe(200);
    const [request] = upstream.requests;
    expect(request).toMatchObject({ method: "POST", target, body: '{"item":"rye"}' });
    expect(request?.headers).toMatchObject({
      "x-latchkey-key-id": "shop",
      "x-latchkey-key-name": "Shop",
      "x-latchkey-tenant": "bakery",
      "x-latchkey-scopes": "orders:*",
      "x-latchkey-environment": "live",
      "x-request-id": "of-the-client",
      "x-forwarded-for": "127.0.0.1",
    });
    expect(JSON.stringify(upstream.requests)).not.toContain(KEY);
    await send("/api/orders/7", [`Authorization: Bearer ${KEY}`]);
    expect(upstream.requests.at(-1)?.headers["x-latchkey-key-id"]).toBe("shop");
    expect(JSON.stringify(upstream.requests)).not.toContain(KEY);
  });

  test("a public route passes without a key and without an identity", async () => {
    expect((await send("/status", [`X-API-Key: ${KEY}`])).status).toBe(200);
    expect(upstream.requests).toHaveLength(1);
    const headers = Object.entries(upstream.requests[0]?.headers ?? {});
    expect(headers.filter(([header, value]) => /latchkey|api-key/.test(header) && value !== "")).toEqual([]);
  });

  test("a missing key is a 401 with its body and its challenges, once", async () => {
    const answer = await send("/api/orders/7", ["X-Request-Id: one-id"]);
    expect(answer.status).toBe(401);
    expect(JSON.parse(answer.body)).toMatchObject({ status: 401, code: "credential_missing", requestId: "one-id" });
    expect(answer.values("content-type")).toEqual(["application/problem+json"]);
    const challenges = answer.values("www-authenticate").join(", ");
    expect(challenges).toBe('Bearer realm="api", ApiKey realm="api", header="X-API-Key"');
    expect(upstream.requests).toEqual([]);
  });

  test("other denials keep their status, body and headers", async () => {
    const ambiguous = await send("/api/orders/7", [`X-API-Key: ${KEY}`, `Authorization: Bearer ${SCARCE}`]);
    expect([ambiguous.status, JSON.parse(ambiguous.body).code]).toEqual([400, "credential_ambiguous"]);
    expect(ambiguous.values("www-authenticate").join()).toContain("invalid_request");
    const lacking = await send("/api/orders/7", [`X-API-Key: ${SCARCE}`], { method: "POST", body: "x" });
    expect([lacking.status, JSON.parse(lacking.body).scopes]).toEqual([403, ["orders:write"]]);
    expect((await send("/api/orders/7", [`X-API-Key: ${SCARCE}`])).status).toBe(200);
    const limited = await send("/api/orders/7?compat=nginx", [`X-API-Key: ${SCARCE}`]);
    expect([limited.status, JSON.parse(limited.body).code]).toEqual([429, "rate_limited"]);
    expect(Number(limited.values("retry-after")[0])).toBeGreaterThan(80_000);
    expect(limited.values("ratelimit")).toHaveLength(1);
    expect(limited.values("cache-control")).toEqual(["no-store"]);
    expect(upstream.requests).toHaveLength(1);
  });

  test("an allowlist sees the client's own address, whatever the client says of it", async () => {
    const forged = [`X-API-Key: ${ELSEWHERE}`, "X-Forwarded-For: 127.0.0.3", "X-Real-IP: 127.0.0.3"];
    expect((await send("/api/orders/7", [`X-API-Key: ${ELSEWHERE}`], { from: "127.0.0.3" })).status).toBe(200);
    expect((await send("/api/orders/7", forged)).status).toBe(403);
  });

  test.for(FORGED)("a client's own description passes nothing: %s %s", async (lines) => {
    const answer = await send("/api/orders/7", lines);
    expect([400, 401]).toContain(answer.status);
    expect(upstream.requests).toEqual([]);
  });

  test.for([
    "X-Latchkey-Key-Id: forged",
    "x-latchkey-region: forged",
    "X-Latchkey-Authorizer-Token: forged",
    "X_Latchkey_Tenant: forged",
    "X.Latchkey.Tenant: forged",
    "Connection: x-latchkey-key-id",
  ])("a client brings no identity: %s", async (line) => {
    for (const [target, identity] of [
      ["/status", undefined],
      ["/api/orders/7", "shop"],
    ] as const) {
      upstream.requests.splice(0);
      const answer = await send(target, [`X-API-Key: ${KEY}`, line]);
      expect([200, 400]).toContain(answer.status);
      for (const { headers } of upstream.requests) {
        expect(headers["x-latchkey-key-id"]).toBe(identity);
        expect(Object.entries(headers).filter(([, value]) => value === "forged")).toEqual([]);
      }
    }
  });

  test.for(ODD_TARGETS)("without a key %s reaches nobody but as /status", async (target) => {
    await send(target);
    expect(upstream.requests.filter((request) => request.target.split("?")[0] !== "/status")).toEqual([]);
    const known = await send(target, [`X-API-Key: ${KEY}`]);
    // With one it may, but only as what it was authorised as.
    for (const request of upstream.requests) expect(["/status", ORDER]).toContain(request.target.split("?")[0]);
    expect([200, 400, 403]).toContain(known.status);
  });
});
