import { connect, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DENIAL_REASONS, type DenialReason } from "../../src/policy/decision.ts";
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

/** A key text of the format below; `tag` makes each one different. */
const keyText = (tag: string, environment = "live", region = "eu") =>
  `tk_${environment}_${region}_${tag.padEnd(32, "0")}`;

const GOOD = keyText("a");
const KEYS = {
  good: GOOD,
  revoked: keyText("b"),
  expired: keyText("c"),
  future: keyText("d"),
  suspended: keyText("e"),
  readOnly: keyText("f"),
  elsewhere: keyText("a1"),
  limited: keyText("a2"),
  scopeless: keyText("a3"),
};

const record = (id: keyof typeof KEYS, more = "") => `
  - id: ${id}
    hash: "${sha256Of(KEYS[id])}"
    scopes: [${id === "scopeless" ? "" : '"orders:*"'}]
${more}`;

const keysYaml = `keys:${[
  record("good"),
  record("revoked", "    status: revoked"),
  record("expired", "    expiresAt: 2020-01-01T00:00:00Z"),
  record("future", "    notBefore: 2999-01-01T00:00:00Z"),
  record("suspended", "    status: suspended"),
  record("readOnly", "    readOnly: true"),
  record("elsewhere", '    allowIps: ["203.0.113.0/24"]'),
  record("limited", '    limits: ["1/hour"]'),
  record("scopeless"),
].join("")}`;

/** Parts of the config that one test says differently. */
interface Parts {
  readonly upstreamUrl: string;
  readonly listen?: string;
  readonly upstream?: string;
  /** Ahead of the others. */
  readonly routes?: string;
  readonly failures?: string;
  readonly more?: string;
}

const configYaml = ({
  upstreamUrl,
  listen = "",
  upstream = "",
  routes = "",
  failures = "1000/minute",
  more = "",
}: Parts) => `
listen: { maxBody: 1KiB, maxHeaders: 40, maxHeaderBytes: 8KiB, timeouts: { headers: 1s }${listen} }
upstream: { url: "${upstreamUrl}", timeouts: { connect: 1s, response: 1s }${upstream} }
keyFormats: ["tk_{environment:live|test}_{region:us|eu}_{secret:hex(32)}"]
accept: { environment: [live], region: [eu] }
routes:${routes}
  - { match: "GET /health", public: true }
  - { match: "GET /api/slow", scopes: "orders:read" }
  - { match: "GET /api/orders/**", scopes: ["orders:read"] }
  - { match: "POST /api/orders/**", scopes: ["orders:write"] }
limits: { failures: ${failures} }
keys: keys.yaml
${more}`;

interface Row {
  readonly reason: DenialReason;
  readonly title: string;
  readonly status: number;
  readonly request: string;
  readonly challenge?: string;
  /** What the log says besides. */
  readonly detail?: string;
}

/** A request's exact bytes. */
const bytes = (method: string, target: string, fields: readonly string[] = [], body = "") =>
  `${[`${method} ${target} HTTP/1.1`, "Host: api.test", "Connection: close", ...fields].join("\r\n")}\r\n\r\n${body}`;
const bearer = (key: string) => `Authorization: Bearer ${key}`;
const get = (key: string) => bytes("GET", "/api/orders/1", [bearer(key)]);

const ROWS: readonly Row[] = [
  {
    reason: "target_invalid",
    title: "a path with a dot segment",
    status: 400,
    request: bytes("GET", "/api/orders/../health", [bearer(GOOD)]),
  },
  { reason: "request_invalid", title: "a TRACE", status: 400, request: bytes("TRACE", "/api/orders", [bearer(GOOD)]) },
  {
    reason: "request_invalid",
    title: "two lengths",
    status: 400,
    request: bytes("POST", "/api/orders", [bearer(GOOD), "Content-Length: 1", "Content-Length: 2"], "ab"),
  },
  {
    reason: "headers_too_large",
    title: "more header lines than allowed",
    status: 431,
    request: bytes("GET", "/api/orders", [bearer(GOOD), ...Array.from({ length: 41 }, (_, n) => `X-${n}: a`)]),
  },
  {
    reason: "headers_too_large",
    title: "more header bytes than allowed",
    status: 431,
    request: bytes("GET", "/api/orders", [`X-Long: ${"a".repeat(9000)}`]),
  },
  {
    reason: "request_timeout",
    title: "a head that never ends",
    status: 408,
    request: "GET /api/orders HTTP/1.1\r\nHost",
  },
  {
    reason: "credential_missing",
    title: "no key",
    status: 401,
    request: bytes("GET", "/api/orders/1"),
    challenge: 'Bearer realm="api"',
  },
  {
    reason: "credential_ambiguous",
    title: "two different keys",
    status: 400,
    request: bytes("GET", "/api/orders/1", [bearer(GOOD), `X-API-Key: ${KEYS.limited}`]),
    challenge: 'Bearer realm="api", error="invalid_request"',
  },
  {
    reason: "credential_in_url",
    title: "a key in the query",
    status: 400,
    request: bytes("GET", `/api/orders/1?api_key=${GOOD}`),
  },
  {
    reason: "credential_malformed",
    title: "a key of no known format",
    status: 401,
    request: get("tk_live_eu_short"),
    challenge: 'Bearer realm="api", error="invalid_token"',
  },
  {
    reason: "environment_mismatch",
    title: "a test key",
    status: 403,
    request: get(keyText("0", "test")),
  },
  {
    reason: "region_mismatch",
    title: "a key of another region",
    status: 403,
    request: get(keyText("0", "live", "us")),
  },
  {
    reason: "key_unknown",
    title: "a key nobody registered",
    status: 401,
    request: get(keyText("0")),
    challenge: 'Bearer realm="api", error="invalid_token"',
  },
  { reason: "key_revoked", title: "a revoked key", status: 401, request: get(KEYS.revoked) },
  { reason: "key_expired", title: "an expired key", status: 401, request: get(KEYS.expired) },
  { reason: "key_not_yet_valid", title: "a key of the future", status: 401, request: get(KEYS.future) },
  { reason: "key_suspended", title: "a suspended key", status: 403, request: get(KEYS.suspended) },
  {
    reason: "route_unknown",
    title: "a path no route names, with a valid key",
    status: 403,
    request: bytes("GET", "/admin", [bearer(GOOD)]),
  },
  {
    reason: "scope_insufficient",
    title: "a key without the scope",
    status: 403,
    request: get(KEYS.scopeless),
    challenge: 'Bearer realm="api", error="insufficient_scope", scope="orders:read"',
    detail: "lacks orders:read",
  },
  {
    reason: "key_read_only",
    title: "a write with a read-only key",
    status: 403,
    request: bytes("POST", "/api/orders", [bearer(KEYS.readOnly), "Content-Length: 0"]),
  },
  {
    reason: "address_denied",
    title: "a key of another network",
    status: 403,
    request: get(KEYS.elsewhere),
    detail: "not in allowIps of the key",
  },
  {
    reason: "body_too_large",
    title: "a body beyond the limit",
    status: 413,
    request: bytes("POST", "/api/orders", [bearer(GOOD), "Content-Length: 2000"], "x".repeat(2000)),
    detail: "2000 bytes announced, 1024 allowed",
  },
  {
    reason: "body_too_large",
    title: "a chunked body beyond the limit",
    status: 413,
    request: bytes(
      "POST",
      "/api/orders",
      [bearer(GOOD), "Transfer-Encoding: chunked"],
      `7d0\r\n${"x".repeat(2000)}\r\n0\r\n\r\n`,
    ),
    detail: "more than 1024 bytes",
  },
];

/** Reasons that need a state of the deployment, each shown by a test of its own below. */
const SHOWN_BELOW: readonly DenialReason[] = [
  "https_required",
  "failures_exceeded",
  "rate_limited",
  "upstream_unreachable",
  "upstream_invalid",
  "upstream_timeout",
  "draining",
  "overloaded",
];

/** Reasons of key operations, shown in management.test.ts. */
const OF_OPERATIONS: readonly DenialReason[] = ["key_not_found", "key_conflict", "keys_not_writable"];

/** Reasons that only a defect of Latchkey itself can bring about; shown with a broken check in test/proxy/authorize.test.ts. */
const NOT_REACHABLE: readonly DenialReason[] = ["internal_error"];

describe("the built program, for every denial reason", () => {
  let upstream: Upstream;
  let folder: Folder;
  let program: Program;

  beforeAll(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.url === "/api/slow") return;
      response.end("ok");
    });
    folder = await createFolder();
    await folder.write("keys.yaml", keysYaml);
    program = await startProgram(await folder.write("latchkey.yaml", configYaml({ upstreamUrl: upstream.url })));
  });
  afterAll(async () => {
    await program.stop();
    await upstream.close();
    await folder.remove();
  });

  /** A program of its own for one test, whose config differs in these parts. */
  async function withProgram(
    parts: Partial<Parts>,
    use: (other: Program) => Promise<void>,
    args: readonly string[] = [],
  ): Promise<void> {
    const own = await createFolder();
    await own.write("keys.yaml", keysYaml);
    const text = configYaml({ upstreamUrl: upstream.url, ...parts });
    const other = await startProgram(await own.write("latchkey.yaml", text), args);
    try {
      await use(other);
    } finally {
      await other.stop();
      await own.remove();
    }
  }

  /** Sends it and checks the answer's reason in the body and in the log. */
  async function expectDenial(target: Program, request: string, reason: DenialReason, status: number, detail?: string) {
    const reached = upstream.requests.length;
    const response = parseResponse(await exchangeBytes(target.port, request));
    // Which of the two it was is told in the log only.
    const shown = reason === "credential_malformed" ? "key_unknown" : reason;
    expect(response.body).toContain(`"code":"${shown}"`);
    expect(response.status).toBe(status);
    expect(response.values("content-type")).toEqual(["application/problem+json"]);
    expect(Number(response.values("content-length")[0])).toBe(Buffer.byteLength(response.body));
    expect(upstream.requests).toHaveLength(reached);
    const requestId = response.values("x-request-id")[0];
    const line = await target.waitForLine((candidate) => candidate["requestId"] === requestId);
    expect(line["reason"]).toBe(reason);
    if (detail !== undefined) expect(line["detail"]).toBe(detail);
    return response;
  }

  test.for(ROWS)("refuses $title: $reason", async ({ reason, status, request, challenge, detail }) => {
    const response = await expectDenial(program, request, reason, status, detail);
    if (status === 401 || challenge !== undefined) {
      expect(response.values("www-authenticate")[0]).toMatch(/^Bearer realm="api"/);
    }
    if (challenge !== undefined) expect(response.values("www-authenticate")[0]).toBe(challenge);
  });

  test("refuses the request beyond a limit and says when one more will pass: rate_limited", async () => {
    expect(parseResponse(await exchangeBytes(program.port, get(KEYS.limited))).status).toBe(200);
    const response = await expectDenial(program, get(KEYS.limited), "rate_limited", 429, "over 1/hour (key)");
    const seconds = Number(response.values("retry-after")[0]);
    expect(seconds).toBeGreaterThan(3590);
    expect(seconds).toBeLessThanOrEqual(3600);
    expect(response.values("ratelimit")[0]).toMatch(/^"1\/hour";r=0;t=\d+$/);
    expect(response.values("ratelimit-policy")).toEqual(['"1/hour";q=1;w=3600']);
    expect(response.values("x-ratelimit-remaining")).toEqual(["0"]);
    expect(response.body).toContain(`Try again in ${seconds} seconds`);
  });

  test("takes a key out of what is said of a scope that the path names", async () => {
    const routes = '\n  - { match: "GET /of/{resource}", scopes: "{resource}.{action}" }';
    await withProgram({ routes }, async (other) => {
      const request = bytes("GET", `/of/${KEYS.limited}`, [bearer(KEYS.scopeless)]);
      const response = await expectDenial(other, request, "scope_insufficient", 403, "lacks tk_[redacted]");
      expect(response.values("www-authenticate")[0]).toContain('scope="tk_[redacted]"');
    });
  });

  test("refuses plain HTTP where HTTPS is required: https_required", async () => {
    await withProgram({ listen: ", https: required" }, async (other) => {
      await expectDenial(other, get(GOOD), "https_required", 403);
    });
  });

  test("refuses an address after too many unknown keys, yet lets a valid key pass: failures_exceeded", async () => {
    await withProgram({ failures: "2/hour" }, async (other) => {
      await expectDenial(other, get(keyText("0")), "key_unknown", 401);
      await expectDenial(other, get("tk_nonsense"), "credential_malformed", 401);
      const response = await expectDenial(other, get(keyText("0")), "failures_exceeded", 429);
      expect(Number(response.values("retry-after")[0])).toBeGreaterThan(0);
      expect(parseResponse(await exchangeBytes(other.port, get(GOOD))).status).toBe(200);
    });
  });

  test("answers for an upstream that does not listen: upstream_unreachable", async () => {
    const gone = await startUpstream();
    await gone.close();
    await withProgram({ upstreamUrl: gone.url }, async (other) => {
      await expectDenial(other, get(GOOD), "upstream_unreachable", 502);
    });
  });

  test("answers for an upstream that speaks no HTTP: upstream_invalid", async () => {
    const nonsense = createServer((socket) => socket.end("this is no HTTP\r\n\r\n"));
    await new Promise<void>((resolve) => nonsense.listen(0, "127.0.0.1", resolve));
    const bound = nonsense.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    await withProgram({ upstreamUrl: `http://127.0.0.1:${port}` }, async (other) => {
      await expectDenial(other, get(GOOD), "upstream_invalid", 502);
    });
    nonsense.close();
  });

  test("answers for an upstream that does not answer in time: upstream_timeout", async () => {
    const response = parseResponse(await exchangeBytes(program.port, bytes("GET", "/api/slow", [bearer(GOOD)])));
    expect(response.status).toBe(504);
    expect(response.body).toContain('"code":"upstream_timeout"');
  });

  test("refuses more than connections and queue hold: overloaded", async () => {
    const silent = await startUpstream(() => {});
    await withProgram(
      { upstreamUrl: silent.url, upstream: ", maxConnections: 1, maxQueue: 0", more: "drain: { timeout: 1s }" },
      async (other) => {
        const first = connect(other.port, "127.0.0.1");
        first.on("error", () => {});
        first.write(get(GOOD));
        await expect.poll(() => silent.requests.length).toBe(1);
        await expectDenial(other, get(GOOD), "overloaded", 503);
        first.destroy();
      },
      // A thread has a connection of its own at least.
      ["--workers", "1"],
    );
    await silent.close();
  });

  test("refuses a new WebSocket while draining: draining", async () => {
    await withProgram(
      { more: "drain: { delay: 1s, timeout: 2s }" },
      async (other) => {
        const stopped = other.stop();
        await other.waitForLine((line) => line["msg"] === "draining");
        const upgrade = [
          "Upgrade: websocket",
          "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        const request = bytes("GET", "/api/orders/1", [bearer(GOOD), ...upgrade]);
        await expectDenial(other, request.replace("Connection: close", "Connection: Upgrade"), "draining", 503);
        expect(await stopped).toBe(0);
      },
      // Further threads hear of it a moment after the log.
      ["--workers", "1"],
    );
  });

  test("between them these tests show every reason", () => {
    const shown = new Set<DenialReason>([
      ...ROWS.map(({ reason }) => reason),
      ...SHOWN_BELOW,
      ...OF_OPERATIONS,
      ...NOT_REACHABLE,
    ]);
    expect([...DENIAL_REASONS].filter((reason) => !shown.has(reason))).toEqual([]);
  });
});
