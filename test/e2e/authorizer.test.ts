import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sendBytes } from "../security/bench/client.ts";
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
const TENANTLESS = "tk_live_0123456789abcdef0123456789abcd02";
const READER = "tk_live_0123456789abcdef0123456789abcd03";
const SCARCE = "tk_live_0123456789abcdef0123456789abcd04";
const INSIDE = "tk_live_0123456789abcdef0123456789abcd05";
const REVOKED = "tk_live_0123456789abcdef0123456789abcd06";
const UNKNOWN = "tk_live_ffffffffffffffffffffffffffffffff";
const TOKEN = "gateway-token-of-the-test";
const GATEWAY = "127.0.0.2";

const config = (url: string): string => `
listen: { https: optional }
upstream: ${url}
admin:
  authorizer: { trustedPeers: [${GATEWAY}] }
keyFormats: "tk_{environment:live|test}_{secret:hex(32)}"
routes:
  - { match: "GET /public/**", public: true }
  - { match: "GET /orders/**", scopes: "orders:read" }
  - { match: "POST /orders/**", scopes: "orders:write" }
  - { match: "* /any/**", authenticated: true }
  - { match: "* /override/**", authenticated: true, allowMethodOverride: true }
identity:
  headers: { X-Latchkey-Key-Id: "{key.id}", X-Latchkey-Tenant: "{key.tenant}", X-Shop: "{key.metadata.shop}" }
denials: { reasons: { key_revoked: { status: 503, message: "Grüße" } } }
keys:
  - { id: pos, hash: "${sha256Of(KEY)}", tenant: bakery, metadata: { shop: 7 }, scopes: ["orders:*"] }
  - { id: plain, hash: "${sha256Of(TENANTLESS)}", scopes: ["orders:*"] }
  - { id: reader, hash: "${sha256Of(READER)}", scopes: ["orders:read"] }
  - { id: scarce, hash: "${sha256Of(SCARCE)}", scopes: ["orders:*"], limits: 2/day }
  - { id: inside, hash: "${sha256Of(INSIDE)}", scopes: ["orders:*"], allowIps: 203.0.113.0/24 }
  - { id: gone, hash: "${sha256Of(REVOKED)}", status: revoked }
`;

/** One request to a port, by lines, from an address; the connection ends after it. */
async function send(port: number, lines: readonly string[], from = GATEWAY): Promise<RawResponse> {
  const bytes = [...lines, "Connection: close", "", ""].join("\r\n");
  const { bytes: received } = await sendBytes({
    port,
    from,
    parts: [{ bytes }],
    ending: "wait",
    deadlineMs: 10_000,
  });
  return parseResponse(received);
}

interface Asked {
  readonly method?: string;
  readonly target: string;
  readonly key?: string | undefined;
  readonly lines?: readonly string[];
  readonly address?: string;
}

/** What each gateway's call looks like for a request; its own headers are those the gateway writes. */
const GATEWAYS = {
  nginx: ({ method = "GET", target, address = "198.51.100.7" }: Asked) => [
    "GET /authorize HTTP/1.0",
    "Host: latchkey",
    `X-Original-URI: ${target}`,
    `X-Original-Method: ${method}`,
    `X-Forwarded-For: ${address}`,
    "X-Forwarded-Proto: http",
  ],
  "nginx in compat": ({ method = "GET", target, address = "198.51.100.7" }: Asked) => [
    "GET /authorize?compat=nginx HTTP/1.0",
    "Host: latchkey",
    `X-Original-URI: ${target}`,
    `X-Original-Method: ${method}`,
    `X-Forwarded-For: ${address}`,
    "X-Forwarded-Proto: http",
  ],
  "ingress-nginx": ({ method = "GET", target, address = "198.51.100.7" }: Asked) => [
    "GET /authorize?compat=nginx HTTP/1.1",
    "Host: latchkey",
    `X-Original-URL: http://api.test:8443${target}`,
    `X-Original-Method: ${method}`,
    `X-Forwarded-For: ${address}`,
    `X-Auth-Request-Redirect: ${target}`,
  ],
  Traefik: ({ method = "GET", target, address = "198.51.100.7" }: Asked) => [
    "GET /authorize HTTP/1.1",
    "Host: latchkey",
    `X-Forwarded-Method: ${method}`,
    "X-Forwarded-Proto: http",
    "X-Forwarded-Host: api.test",
    `X-Forwarded-Uri: ${target}`,
    `X-Forwarded-For: ${address}`,
  ],
  Caddy: ({ method = "GET", target, address = "198.51.100.7" }: Asked) => [
    `GET /authorize?${target.split("?")[1] ?? ""} HTTP/1.1`,
    "Host: api.test",
    `X-Forwarded-Method: ${method}`,
    `X-Forwarded-Uri: ${target}`,
    "X-Forwarded-Proto: http",
    "X-Forwarded-Host: api.test",
    `X-Forwarded-For: ${address}`,
  ],
  Envoy: ({ method = "GET", target, address = "198.51.100.7" }: Asked) => [
    `${method} /authorize${target} HTTP/1.1`,
    "Host: api.test",
    "Content-Length: 0",
    `X-Forwarded-For: ${address}`,
    "X-Forwarded-Proto: http",
  ],
} as const;

type GatewayName = keyof typeof GATEWAYS;
const NAMES = Object.keys(GATEWAYS) as readonly GatewayName[];
const IN_COMPAT: readonly GatewayName[] = ["nginx in compat", "ingress-nginx"];

const credentialLine = (key: string | undefined) => (key === undefined ? [] : [`X-API-Key: ${key}`]);

describe("the built program as an authoriser", () => {
  let folder: Folder;
  let upstream: Upstream;
  let program: Program;
  const ask = (name: GatewayName, asked: Asked, from?: string) =>
    send(program.adminPort, [...GATEWAYS[name](asked), ...credentialLine(asked.key), ...(asked.lines ?? [])], from);

  beforeAll(async () => {
    folder = await createFolder();
    upstream = await startUpstream();
    program = await startProgram(await folder.write("latchkey.yaml", config(upstream.url)));
  });
  afterAll(async () => {
    await program.stop();
    await upstream.close();
    await folder.remove();
  });

  describe.for(NAMES)("asked by %s", (name) => {
    test("allows with 200, the identity, the request id and the quotas as headers", async () => {
      const lines = ["X-Request-Id: of-the-gateway"];
      const allowed = await ask(name, { target: "/orders/7?expand=items", key: KEY, lines });
      expect(allowed.status).toBe(200);
      expect(allowed.body).toBe("");
      expect(allowed.values("x-latchkey-key-id")).toEqual(["pos"]);
      expect(allowed.values("x-latchkey-tenant")).toEqual(["bakery"]);
      expect(allowed.values("x-shop")).toEqual(["7"]);
      expect(allowed.values("x-request-id")).toEqual(["of-the-gateway"]);
      expect(allowed.values("cache-control")).toEqual(["no-store"]);
    });

    test("reads the credential from its own place in the call", async () => {
      const lines = [`Authorization: Bearer ${KEY}`];
      expect((await ask(name, { target: "/orders/7", lines })).status).toBe(200);
      expect((await ask(name, { target: "/orders/7", key: READER, lines })).status).toBe(
        IN_COMPAT.includes(name) ? 403 : 400,
      );
    });

    test("answers no identity where there is none, so that a client's own copy is overwritten", async () => {
      const valuesOf = ({ values }: RawResponse) =>
        ["x-latchkey-key-id", "x-latchkey-tenant", "x-shop"].map((header) => values(header));
      const absent = name === "Envoy" ? [] : [""];
      const open = await ask(name, { target: "/public/page" });
      expect([open.status, ...valuesOf(open)]).toEqual([200, absent, absent, absent]);
      const tenantless = await ask(name, { target: "/orders/7", key: TENANTLESS });
      expect(valuesOf(tenantless)).toEqual([["plain"], absent, absent]);
    });

    test.for([
      ["a missing key", { target: "/orders/7" }, 401],
      ["an unknown key", { target: "/orders/7", key: UNKNOWN }, 401],
      ["a scope the key lacks", { target: "/orders/7", method: "POST", key: READER }, 403],
      ["a route there is not", { target: "/elsewhere", key: KEY }, 403],
      ["an ambiguous target", { target: "/public/../orders/7", key: KEY }, 400],
      ["a key in the URL", { target: `/orders/7?api_key=${KEY}` }, 400],
      ["a foreign address", { target: "/orders/7", key: INSIDE }, 403],
    ] as const)("denies %s in the words of the data plane", async ([, asked, status]) => {
      const { target, method = "GET", key }: Asked = asked;
      const requestLines = [`${method} ${target} HTTP/1.1`, "Host: api.test", "X-Request-Id: one-id"];
      const direct = await send(program.port, [...requestLines, ...credentialLine(key)]);
      const denied = await ask(name, { ...asked, lines: ["X-Request-Id: one-id"] });
      expect(direct.status).toBe(status);
      if (!IN_COMPAT.includes(name)) {
        expect(denied.status).toBe(status);
        expect(fieldsOf(denied)).toEqual(fieldsOf(direct));
        expect(denied.body).toBe(direct.body);
        return;
      }
      expect(denied.status).toBe(status === 401 ? 401 : 403);
      expect(denied.values("x-auth-status")).toEqual([String(status)]);
      expect(denied.values("x-auth-body")).toEqual([direct.body]);
      const challenge = status === 401 ? "www-authenticate" : "x-auth-challenge";
      expect(denied.values(challenge).join()).toBe(direct.values("www-authenticate").join(", "));
    });

    test("believes the address and the method the gateway states", async () => {
      const inside = { target: "/orders/7", key: INSIDE };
      expect((await ask(name, { ...inside, address: "203.0.113.9" })).status).toBe(200);
      expect((await ask(name, { ...inside, address: "203.0.113.9, 6.6.6.6" })).status).toBe(403);
      expect((await ask(name, { target: "/orders/7", method: "POST", key: KEY })).status).toBe(200);
      expect((await ask(name, { target: "/orders/7", method: "DELETE", key: KEY })).status).toBe(403);
    });

    test("is refused from an address that is not trusted, and the refusal says so", async () => {
      const refused = await ask(name, { target: "/public/page" }, "127.0.0.3");
      expect(refused.status).toBe(403);
      expect(refused.body).toContain("trustedPeers");
      expect(refused.head).not.toMatch(/^x-/im);
    });

    test.for([
      "X-Latchkey-Key-Id: forged",
      "x_latchkey_key_id: forged",
      "X-Shop: forged",
      "X.Shop: forged",
      "X-Latchkey-Other: forged",
      "X-Rewrite-URL: /public/page",
      "X-HTTP-Method-Override: DELETE",
      "X_Http_Method: DELETE",
    ])("refuses what it cannot take out of the request: %s", async (line) => {
      const refused = await ask(name, { target: "/orders/7", key: KEY, lines: [line] });
      expect(refused.status).toBe(IN_COMPAT.includes(name) ? 403 : 400);
      expect(refused.body).toContain("request_invalid");
      expect(refused.head).not.toContain("forged");
    });

    test("refuses what would have to be taken out of the query, and allows an override where the route does", async () => {
      const refusedStatus = IN_COMPAT.includes(name) ? 403 : 400;
      const inQuery = (await ask(name, { target: "/orders/7?_method=DELETE", key: KEY })).status;
      expect(inQuery).toBe(refusedStatus);
      const keyOnPublic = await ask(name, { target: `/public/page?api_key=${KEY}` });
      expect([keyOnPublic.status, keyOnPublic.body.includes("credential_in_url")]).toEqual([refusedStatus, true]);
      const override = { target: "/override/7?_method=DELETE", key: KEY, lines: ["X-HTTP-Method-Override: DELETE"] };
      expect((await ask(name, override)).status).toBe(200);
    });
  });

  test("spends the same buckets as the data plane, and says when to come back", async () => {
    const target = "/orders/7";
    const direct = ["GET /orders/7 HTTP/1.1", "Host: api.test", `X-API-Key: ${SCARCE}`];
    expect((await send(program.port, direct)).status).toBe(200);
    const second = await ask("Traefik", { target, key: SCARCE });
    expect([second.status, second.values("x-ratelimit-remaining")]).toEqual([200, ["0"]]);
    expect(second.values("ratelimit")).toEqual([expect.stringContaining("r=0")]);
    const denied = await ask("Traefik", { target, key: SCARCE });
    expect(denied.status).toBe(429);
    expect(Number(denied.values("retry-after")[0])).toBeGreaterThan(40_000);
    expect(denied.values("ratelimit")).toHaveLength(1);
    const compat = await ask("nginx in compat", { target, key: SCARCE });
    expect(compat.status).toBe(403);
    expect(compat.values("x-auth-status")).toEqual(["429"]);
    expect(compat.values("x-auth-retry-after")).toEqual(compat.values("retry-after"));
    expect(JSON.parse(compat.values("x-auth-body")[0] ?? "")).toMatchObject({ status: 429, code: "rate_limited" });
    expect((await send(program.port, direct)).status).toBe(429);
  });

  test("spends them where several threads answer, too", async () => {
    const text = `workers: 2\n${config(upstream.url)}`;
    const other = await startProgram(await folder.write("workers.yaml", text));
    const direct = ["GET /orders/7 HTTP/1.1", "Host: api.test", `X-API-Key: ${SCARCE}`];
    const call = [...GATEWAYS.Traefik({ target: "/orders/7" }), `X-API-Key: ${SCARCE}`];
    expect((await send(other.port, direct)).status).toBe(200);
    expect((await send(other.adminPort, call)).status).toBe(200);
    expect((await send(other.port, direct)).status).toBe(429);
    expect((await send(other.adminPort, call)).status).toBe(429);
    await other.stop();
  });

  test("never answers Envoy a denial as 5xx, which it may let pass", async () => {
    const direct = await send(program.port, ["GET /any/7 HTTP/1.1", "Host: api.test", `X-API-Key: ${REVOKED}`]);
    expect(direct.status).toBe(503);
    const toEnvoy = await ask("Envoy", { target: "/any/7", key: REVOKED });
    expect([toEnvoy.status, toEnvoy.values("x-auth-status")]).toEqual([403, ["503"]]);
    const toTraefik = await ask("Traefik", { target: "/any/7", key: REVOKED });
    expect(toTraefik.status).toBe(503);
    const toNginx = await ask("nginx in compat", { target: "/any/7", key: REVOKED });
    expect([toNginx.status, toNginx.values("x-auth-status")]).toEqual([403, ["503"]]);
    // A header holds no bytes outside ASCII, and the JSON means the same without them.
    expect(JSON.parse(toNginx.values("x-auth-body")[0] ?? "")).toMatchObject({ detail: "Grüße" });
  });

  test("tells Envoy which headers of the client to remove", async () => {
    const named = (answer: RawResponse) => (answer.values("x-envoy-auth-headers-to-remove")[0] ?? "").split(", ");
    const open = named(await ask("Envoy", { target: "/public/page", lines: [`X-API-Key: ${KEY}`] }));
    expect(open).toEqual(expect.arrayContaining(["x-latchkey-key-id", "x-latchkey-tenant", "x-shop", "x-api-key"]));
    expect(open).toEqual(expect.arrayContaining(["x-http-method-override", "x-rewrite-url"]));
    const tenantless = named(await ask("Envoy", { target: "/orders/7", key: TENANTLESS }));
    expect(tenantless).toEqual(expect.arrayContaining(["x-latchkey-tenant", "x-shop", "x-api-key"]));
    expect(tenantless).not.toContain("x-latchkey-key-id");
    const basic = ["Authorization: Basic YTpi"];
    expect(named(await ask("Envoy", { target: "/orders/7", key: KEY, lines: basic }))).not.toContain("authorization");
    const override = named(await ask("Envoy", { target: "/override/7", key: KEY }));
    expect(override).not.toContain("x-http-method-override");
  });

  test("reads a HEAD for Envoy and answers it without a body", async () => {
    const denied = await ask("Envoy", { method: "HEAD", target: "/orders/7" });
    expect([denied.status, denied.body]).toEqual([401, ""]);
    expect((await ask("Envoy", { method: "HEAD", target: "/orders/7", key: KEY })).status).toBe(200);
  });

  test("needs no body, and reads none", async () => {
    const lines = [...GATEWAYS.Traefik({ target: "/orders/7" }), `X-API-Key: ${KEY}`, "Content-Length: 1000000"];
    const { bytes, ending } = await sendBytes({
      port: program.adminPort,
      from: GATEWAY,
      parts: [{ bytes: [...lines, "", "the beginning of a body"].join("\r\n") }],
      ending: "wait",
      until: "\r\n\r\n",
      deadlineMs: 10_000,
    });
    expect([parseResponse(bytes).status, ending]).toEqual([200, "enough"]);
  });

  test("logs and counts a decision like the data plane's own, marked", async () => {
    await ask("Traefik", { target: "/orders/logged?x=1", key: KEY, address: "203.0.113.77" });
    const line = await program.waitForLine(({ path }) => path === "/orders/logged");
    expect(line).toMatchObject({
      msg: "request",
      via: "authorizer",
      method: "GET",
      route: "GET /orders/**",
      decision: "allow",
      status: 200,
      keyId: "pos",
      tenant: "bakery",
      clientAddress: "203.0.113.77",
    });
    await ask("Traefik", { target: "/orders/logged", key: UNKNOWN });
    await program.waitForLine(({ reason, via }) => reason === "key_unknown" && via === "authorizer");
    await ask("Traefik", { target: "/orders/logged" }, "127.0.0.3");
    const refused = await program.waitForLine(({ msg }) => msg === "call to the authoriser refused");
    expect(refused).toMatchObject({ cause: "peer", peer: "127.0.0.3" });
    const metrics = await (await fetch(`${program.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(
      /latchkey_requests_total\{route="GET \/orders\/\*\*",decision="allow".*via="authorizer"\} \d/,
    );
    expect(metrics).toMatch(/latchkey_authorizer_refused_calls_total\{cause="peer"\} \d/);
  });

  test("forwards nothing itself", () => {
    expect(upstream.requests.filter(({ target }) => target.includes("logged"))).toEqual([]);
  });

  test("tells of the authoriser nothing where it is not configured", async () => {
    const text = config(upstream.url).replace(/ {2}authorizer:.*\n/, "  probes: {}\n");
    const other = await startProgram(await folder.write("off.yaml", text));
    const call = [...GATEWAYS.Traefik({ target: "/public/page" })];
    for (const line of ["GET /authorize HTTP/1.1", "GET /authorize/public/page HTTP/1.1"]) {
      expect((await send(other.adminPort, [line, ...call.slice(1)], "127.0.0.1")).status).toBe(401);
    }
    await other.stop();
  });

  test("asks for its token where it has one, besides the address", async () => {
    const authorizer = `{ trustedPeers: [${GATEWAY}], token: "${sha256Of(TOKEN)}" }`;
    const text = config(upstream.url).replace(/authorizer:.*\n/, `authorizer: ${authorizer}\n`);
    const other = await startProgram(await folder.write("token.yaml", text));
    const call = [...GATEWAYS.Traefik({ target: "/public/page" })];
    const header = `X-Latchkey-Authorizer-Token: ${TOKEN}`;
    const statusOf = async (lines: readonly string[], from?: string) =>
      (await send(other.adminPort, [...call, ...lines], from)).status;
    expect(await statusOf([header])).toBe(200);
    expect(await statusOf([])).toBe(403);
    expect(await statusOf([`${header}x`])).toBe(403);
    expect(await statusOf([header, header])).toBe(403);
    expect(await statusOf([`X-Latchkey-Authorizer_Token: ${TOKEN}`])).toBe(403);
    expect(await statusOf([`Authorization: Bearer ${TOKEN}`])).toBe(403);
    expect(await statusOf([header], "127.0.0.3")).toBe(403);
    await other.stop();
  });

  test("sees the second description behind more lines than Node counts (CVE-2026-58044)", async () => {
    const text = config(upstream.url).replace("https: optional", "maxHeaders: 5000, maxHeaderBytes: 64KiB");
    const other = await startProgram(await folder.write("many.yaml", text));
    const fillers = Array.from({ length: 2100 }, () => "a:");
    const call = [...GATEWAYS.Traefik({ target: "/public/page" }), ...fillers];
    expect((await send(other.adminPort, call)).status).toBe(200);
    expect((await send(other.adminPort, [...call, "X-Forwarded-Uri: /orders/7"])).status).toBe(400);
    await other.stop();
  });

  test("signs the assertion for the gateway to hand on", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    await folder.write("sign.pem", String(privateKey.export({ type: "pkcs8", format: "pem" })));
    const text = config(upstream.url).replace(
      "identity:\n",
      "identity:\n  assertion: { algorithm: EdDSA, key: sign.pem, audience: app }\n",
    );
    const other = await startProgram(await folder.write("assertion.yaml", text));
    const call = [...GATEWAYS.Envoy({ target: "/orders/7" }), `X-API-Key: ${KEY}`];
    const allowed = await send(other.adminPort, call);
    expect(allowed.values("x-latchkey-assertion")).toEqual([expect.stringMatching(/^ey[\w-]+\.ey[\w-]+\.[\w-]+$/)]);
    const open = await send(other.adminPort, GATEWAYS.Envoy({ target: "/public/page" }));
    expect(open.values("x-envoy-auth-headers-to-remove")[0]).toContain("x-latchkey-assertion");
    await other.stop();
  });

  test("denies plain HTTP where HTTPS is required, unless the gateway says it was none", async () => {
    const text = config(upstream.url).replace("https: optional", "https: required");
    const other = await startProgram(await folder.write("https.yaml", text));
    const traefik = GATEWAYS.Traefik({ target: "/public/page" });
    const ingress = GATEWAYS["ingress-nginx"]({ target: "/public/page" });
    const statusOf = async (lines: readonly string[]) => (await send(other.adminPort, lines)).status;
    const secure = (lines: readonly string[]) => lines.map((line) => line.replace(/(Proto: |URL: )http\b/, "$1https"));
    expect(await statusOf(traefik)).toBe(403);
    expect(await statusOf(traefik.filter((line) => !line.startsWith("X-Forwarded-Proto")))).toBe(403);
    expect(await statusOf(secure(traefik))).toBe(200);
    expect(await statusOf(secure(traefik).map((line) => line.replace("Proto: https", "Proto: wss")))).toBe(200);
    expect(await statusOf(ingress)).toBe(403);
    expect(await statusOf(secure(ingress))).toBe(200);
    // Of two that differ, one is not the gateway's.
    expect(await statusOf([...ingress, "X-Forwarded-Proto: https"])).toBe(403);
    await other.stop();
  });
});

/** The header lines a client would get, but for what every hop writes anew. */
function fieldsOf({ head }: RawResponse): readonly string[] {
  return head
    .split("\r\n")
    .slice(1)
    .filter((line) => !/^(date|connection|keep-alive):/i.test(line));
}
