import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { createFolder, sha256Of } from "../e2e/harness.ts";
import {
  type Answer,
  type Call,
  type Deployment,
  deploy,
  deployCopy,
  send,
  systemFile,
  traitsOf,
  withDeployment,
} from "./deployment.ts";

/** The key of the documentation, and its shortened forms in the code samples. */
const DOCUMENTED = "bk_live_1234567890abcdef1234567890abcdef";
const SHORTENED = "bk_live_1234567890abcdef";
const SHORTENED_TEST = "bk_test_1234567890abcdef";

/** The example keys behind the digests in keys.yaml. */
function keyOf(id: string): string {
  if (id === "docs-example") return DOCUMENTED;
  const secret = createHash("sha256").update(`billoget example ${id}`).digest("hex").slice(0, 32);
  return `bk_${id === "development" ? "test" : "live"}_${secret}`;
}

const NOBODYS_LIVE = `bk_live_${"0".repeat(32)}`;
const NOBODYS_TEST = `bk_test_${"0".repeat(32)}`;

const INVALID = '{"error":"unauthorized","message":"Invalid or missing API key"}';
const lacking = (scope: string) =>
  `{"error":"insufficient_scope","message":"API key does not have required scope: ${scope}"}`;
const tryAgain = (seconds: string) =>
  `{"error":"rate_limit_exceeded","message":"Rate limit exceeded. Try again in ${seconds} seconds"}`;

/** "Expected Response" of "Test API Key Validity". */
const NO_BUDGETS = `{
  "data": [],
  "pagination": {
    "page": 1,
    "limit": 1,
    "total": 0,
    "hasMore": false
  }
}`;

const BUDGETS = "/v1/api/public/budgets";

/** The load balancer that config/systems/billoget trusts on this machine. */
const BALANCER = "127.0.0.2";

/** A call as it reaches Latchkey behind the load balancer: the client itself used HTTPS. */
const overHttps = (call: Call, client = "203.0.113.9"): Call => ({
  from: BALANCER,
  ...call,
  headers: { "X-Forwarded-Proto": "https", "X-Forwarded-For": client, ...call.headers },
});

const bearer = (key: string) => ({ Authorization: `Bearer ${key}`, "Content-Type": "application/json" });

const callWith = (key: string, path = BUDGETS, method = "GET"): Call =>
  overHttps({ method, path, headers: bearer(key) });

/** Every refusal has the documented envelope, JSON and nothing else in it. */
function expectRefusal(answer: Answer, status: number, body: string): void {
  expect(answer.body).toBe(body);
  expect(answer.status).toBe(status);
  expect(answer.values("content-type")).toEqual(["application/json; charset=utf-8"]);
}

describe("config/systems/billoget", () => {
  let live: Deployment;

  beforeAll(async () => {
    live = await deploy("billoget", (_, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(NO_BUDGETS);
    });
  });
  afterAll(async () => {
    await live.stop();
  });

  /** Sends it and expects that the upstream does not hear of it. */
  async function refused(call: Call): Promise<Answer> {
    const before = live.upstream.requests.length;
    const answer = await send(live, call);
    expect(live.upstream.requests).toHaveLength(before);
    return answer;
  }

  test("its keys file holds the digests of the example keys and nothing of the keys themselves", async () => {
    const text = await readFile(systemFile("billoget", "keys.yaml"), "utf8");
    const { keys }: { readonly keys: readonly Readonly<Record<"id" | "hash" | "prefix", string>>[] } = parse(text);
    expect(keys.map(({ hash }) => hash)).toEqual(keys.map(({ id }) => sha256Of(keyOf(id))));
    // What a key says of itself, so that a rotation makes another of the same.
    expect(keys.map(({ prefix }) => prefix)).toEqual(keys.map(({ id }) => keyOf(id).slice(0, "bk_live_".length)));
    for (const { id } of keys) expect(text).not.toContain(keyOf(id));
  });

  describe("Authentication Method", () => {
    test("All API requests must include an API key in the Authorization header using the Bearer token format", async () => {
      const answer = await send(live, callWith(DOCUMENTED));
      expect(answer.status).toBe(200);
      expect(live.upstream.requests.at(-1)?.headers["x-latchkey-key-id"]).toBe("docs-example");
    });

    test("the app behind learns which key called and in which environment, never the key", async () => {
      await send(live, callWith(DOCUMENTED));
      const reached = live.upstream.requests.at(-1);
      expect(reached?.headers["x-latchkey-environment"]).toBe("live");
      expect(JSON.stringify(reached)).not.toContain(DOCUMENTED);
    });

    test.for([
      ["X-API-Key", DOCUMENTED],
      ["Authorization", DOCUMENTED],
      ["Authorization", `Basic ${DOCUMENTED}`],
      ["Cookie", `session=${DOCUMENTED}`],
    ])("no other header or scheme will do: %s", async ([name = "", value = ""]) => {
      expectRefusal(await refused(overHttps({ path: BUDGETS, headers: { [name]: value } })), 401, INVALID);
    });

    test("there is no session: a request without the key is refused right after one with it", async () => {
      expect((await send(live, callWith(DOCUMENTED))).status).toBe(200);
      expectRefusal(await refused(overHttps({ path: BUDGETS })), 401, INVALID);
    });

    test("a key in the URL is refused, since requests carry it in the Authorization header", async () => {
      const answer = await refused(
        overHttps({ path: `${BUDGETS}?api_key=${DOCUMENTED}`, headers: bearer(DOCUMENTED) }),
      );
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.body)).toMatchObject({ error: "credential_in_url" });
    });
  });

  describe("API Key Format", () => {
    test.for([
      { title: "the shortened key of the code samples", key: SHORTENED },
      { title: "another prefix than bk_", key: DOCUMENTED.replace("bk_", "sk_") },
      { title: "no environment", key: DOCUMENTED.replace("live_", "") },
      { title: "an environment that is neither live nor test", key: DOCUMENTED.replace("live", "prod") },
      { title: "a token of 31 digits", key: DOCUMENTED.slice(0, -1) },
      { title: "a token of 33 digits", key: `${DOCUMENTED}0` },
      { title: "a token that is not hexadecimal", key: DOCUMENTED.replace("abcdef", "ghijkl") },
    ])("Invalid API key format is a 401: $title", async ({ key }) => {
      expectRefusal(await refused(callWith(key)), 401, INVALID);
    });
  });

  describe("Available Scopes", () => {
    const ENDPOINTS = [
      ...["budgets", "customers", "products"].flatMap((name) => [
        ...["GET", "HEAD"].map((method) => ({
          method,
          path: `/api/public/${name}`,
          scope: `READ_${name.toUpperCase()}`,
        })),
        ...["POST", "PUT", "DELETE"].map((method) => ({
          method,
          path: `/api/public/${name}`,
          scope: `WRITE_${name.toUpperCase()}`,
        })),
      ]),
      { method: "POST", path: "/api/public/webhooks/test", scope: "WEBHOOKS" },
    ];
    const SCOPES = [...new Set(ENDPOINTS.map(({ scope }) => scope))];

    describe.for(SCOPES)("a key with %s alone", (held) => {
      const key = keyOf(held.toLowerCase().replace("_", "-"));

      test.for(ENDPOINTS)("is judged at $method $path, which needs $scope", async ({ method, path, scope }) => {
        // As in the table, with the documented base URL, and one resource below it.
        const paths = path.endsWith("/test") ? [path, `/v1${path}`] : [path, `/v1${path}`, `/v1${path}/42`];
        for (const at of paths) {
          const call = callWith(key, at, method);
          if (held === scope) {
            expect((await send(live, call)).status).toBe(200);
            expect(live.upstream.requests.at(-1)).toMatchObject({ method, target: at });
          } else {
            expectRefusal(await refused(call), 403, method === "HEAD" ? "" : lacking(scope));
          }
        }
      });
    });

    test.for([
      ["PATCH", "/v1/api/public/budgets/1"],
      ["OPTIONS", "/v1/api/public/budgets"],
      ["GET", "/v1/api/public/webhooks/test"],
      ["POST", "/v1/api/public/webhooks"],
      ["GET", "/v1/api/public/invoices"],
      ["GET", "/v1/api/private/budgets"],
      ["GET", "/"],
    ] as const)("what the table does not list is open to no key: %s %s", async ([method, path]) => {
      const answer = await refused(callWith(DOCUMENTED, path, method));
      expectRefusal(answer, 403, '{"error":"forbidden","message":"No API key may make this request"}');
    });
  });

  describe("Making Authenticated Requests", () => {
    test("Test API Key Validity: the app's own answer arrives as it is", async () => {
      const answer = await send(live, callWith(DOCUMENTED, `${BUDGETS}?limit=1`));
      expect([answer.status, answer.body]).toEqual([200, NO_BUDGETS]);
      expect(live.upstream.requests.at(-1)?.target).toBe(`${BUDGETS}?limit=1`);
    });
  });

  describe("401 Unauthorized", () => {
    test("Missing Authorization header", async () => {
      const answer = await refused(overHttps({ path: BUDGETS }));
      expectRefusal(answer, 401, INVALID);
      expect(answer.values("www-authenticate")).toEqual(['Bearer realm="api"']);
    });

    test.for(["revoked", "expired"])("a key that is %s cannot be told from one that never was", async (id) => {
      const never = await refused(callWith(NOBODYS_LIVE));
      const answer = await refused(callWith(keyOf(id)));
      expectRefusal(answer, 401, INVALID);
      expect(traitsOf(answer)).toEqual(traitsOf(never));
      expect(traitsOf(answer)).toEqual(traitsOf(await refused(callWith(SHORTENED))));
    });
  });

  describe("403 Forbidden", () => {
    test("API key doesn't have required scope", async () => {
      const answer = await refused(callWith(keyOf("read-budgets"), BUDGETS, "POST"));
      expectRefusal(answer, 403, lacking("WRITE_BUDGETS"));
    });

    test.for(["198.51.100.8", "203.0.113.7", "2001:db8:8::1"])("IP address not whitelisted: %s", async (client) => {
      const answer = await refused(overHttps({ path: BUDGETS, headers: bearer(keyOf("whitelisted")) }, client));
      expectRefusal(answer, 403, '{"error":"forbidden","message":"IP address not whitelisted"}');
    });

    test.for(["198.51.100.7", "2001:db8:7::1"])("a whitelisted address passes: %s", async (client) => {
      const answer = await send(live, overHttps({ path: BUDGETS, headers: bearer(keyOf("whitelisted")) }, client));
      expect(answer.status).toBe(200);
    });

    test("a client cannot put itself on the whitelist: only the load balancer's word counts", async () => {
      const spoofed = { ...bearer(keyOf("whitelisted")), "X-Forwarded-For": "198.51.100.7, 203.0.113.9" };
      const answer = await refused(overHttps({ path: BUDGETS, headers: spoofed }));
      expectRefusal(answer, 403, '{"error":"forbidden","message":"IP address not whitelisted"}');
    });

    test("API key suspended", async () => {
      const answer = await refused(callWith(keyOf("suspended")));
      expectRefusal(answer, 403, '{"error":"forbidden","message":"API key suspended"}');
    });

    test("whoever does not hold the whole suspended key learns nothing of it", async () => {
      const guess = keyOf("suspended").slice(0, -1) + (keyOf("suspended").endsWith("0") ? "1" : "0");
      expectRefusal(await refused(callWith(guess)), 401, INVALID);
    });
  });

  describe("429 Too Many Requests", () => {
    test("Rate limit exceeded. Try again in 3600 seconds", async () => {
      expect((await send(live, callWith(keyOf("hourly")))).status).toBe(200);
      const answer = await refused(callWith(keyOf("hourly")));
      const seconds = answer.values("retry-after")[0] ?? "";
      expectRefusal(answer, 429, tryAgain(seconds));
      // The bucket refills evenly, so of the hour only the moments since the first request are over.
      expect(Number(seconds)).toBeGreaterThan(3590);
      expect(Number(seconds)).toBeLessThanOrEqual(3600);
    });

    test("N is true: after N seconds, and not long before, the key may call again", async () => {
      const call = callWith(keyOf("every-other-second"));
      expect((await send(live, call)).status).toBe(200);
      const spentAt = performance.now();
      const answer = await refused(call);
      const seconds = Number(answer.values("retry-after")[0]);
      expectRefusal(answer, 429, tryAgain(String(seconds)));
      expect(seconds).toBe(2);
      const promisedAt = performance.now() + seconds * 1000;
      // Refused requests take nothing, so asking again and again postpones nothing.
      await expect.poll(async () => (await send(live, call)).status, { timeout: 5000, interval: 50 }).toBe(200);
      expect(performance.now() - spentAt).toBeGreaterThan(1900);
      // One round of the poll and a busy machine come on top.
      expect(performance.now()).toBeLessThan(promisedAt + 1500);
    });

    test("Exceeded rate limit for the API key: another key is not held up by it", async () => {
      expect((await send(live, callWith(keyOf("hourly")))).status).toBe(429);
      expect((await send(live, callWith(keyOf("read-budgets")))).status).toBe(200);
    });

    test("an allowed answer says what is left", async () => {
      const answer = await send(live, callWith(keyOf("read-customers"), "/api/public/customers"));
      expect(answer.values("ratelimit-policy")).toEqual(['"100/minute";q=100;w=60, "1000/hour";q=1000;w=3600']);
    });

    test("whoever tries invalid keys is stopped in the same words, and a valid key from there still passes", async () => {
      await withDeployment(
        deployCopy("billoget", { "failures: 30/minute": "failures: 2/hour" }),
        async (deployment) => {
          for (const key of [NOBODYS_LIVE, SHORTENED]) {
            expectRefusal(await send(deployment, callWith(key)), 401, INVALID);
          }
          const answer = await send(deployment, callWith(NOBODYS_LIVE));
          expectRefusal(answer, 429, tryAgain(answer.values("retry-after")[0] ?? "none"));
          expect((await send(deployment, callWith(DOCUMENTED))).status).toBe(200);
          // A revoked key does not count, and is told from one that never was by that.
          expectRefusal(await send(deployment, callWith(keyOf("revoked"))), 401, INVALID);
        },
      );
    });

    test("a request that is refused for its scope, its route or its address takes nothing from the limit", async () => {
      const record = { id: "scarce", hash: sha256Of(keyOf("scarce")), scopes: ["READ_BUDGETS"], limits: "2/hour" };
      const keys = JSON.stringify({ keys: [{ ...record, allowIps: ["203.0.113.9"] }] });
      const copy = deployCopy("billoget", { "keys: keys.yaml": "keys: scarce.json" }, { "scarce.json": keys });
      await withDeployment(copy, async (deployment) => {
        const calls = [
          callWith(keyOf("scarce"), BUDGETS, "POST"),
          callWith(keyOf("scarce"), "/nowhere"),
          overHttps({ path: BUDGETS, headers: bearer(keyOf("scarce")) }, "203.0.113.10"),
        ];
        for (const call of calls) expect((await send(deployment, call)).status).toBe(403);
        const answer = await send(deployment, callWith(keyOf("scarce")));
        expect([answer.status, answer.values("x-ratelimit-remaining")]).toEqual([200, ["1"]]);
      });
    });
  });

  describe("Environment-Specific Keys", () => {
    const onlyFor = (environment: string) => ({
      "accept: { environment: [live, test] }": `accept: { environment: [${environment}] }`,
    });

    test.for([
      ["development", "test"],
      ["docs-example", "live"],
    ] as const)(
      "both kinds call one base URL: the key %s passes, and the app is told %s",
      async ([id, environment]) => {
        expect((await send(live, callWith(keyOf(id)))).status).toBe(200);
        const headers = { "x-latchkey-key-id": id, "x-latchkey-environment": environment };
        expect(live.upstream.requests.at(-1)?.headers).toMatchObject(headers);
      },
    );

    test.for([NOBODYS_TEST, SHORTENED_TEST])("a test key that nobody registered is invalid: %s", async (key) => {
      expectRefusal(await refused(callWith(key)), 401, INVALID);
    });

    test("Use bk_live_ prefixed keys for production: a deployment for those refuses test keys by their text", async () => {
      await withDeployment(deployCopy("billoget", onlyFor("live")), async (deployment) => {
        expect((await send(deployment, callWith(DOCUMENTED))).status).toBe(200);
        const registered = await send(deployment, callWith(keyOf("development")));
        expectRefusal(registered, 401, INVALID);
        for (const key of [NOBODYS_TEST, SHORTENED_TEST, NOBODYS_LIVE]) {
          expect(traitsOf(await send(deployment, callWith(key)))).toEqual(traitsOf(registered));
        }
        const told = () => deployment.program.lines.flatMap(({ reason }) => (reason === undefined ? [] : [reason]));
        // Lines are written some at a time, by several threads in any order.
        await expect
          .poll(() => told().toSorted())
          .toEqual(["credential_malformed", "environment_mismatch", "environment_mismatch", "key_unknown"]);
        expect(deployment.upstream.requests).toHaveLength(1);
      });
    });

    test("Use bk_test_ prefixed keys for development: a deployment for those refuses live keys", async () => {
      await withDeployment(deployCopy("billoget", onlyFor("test")), async (deployment) => {
        expect((await send(deployment, callWith(keyOf("development")))).status).toBe(200);
        expect(deployment.upstream.requests[0]?.headers["x-latchkey-environment"]).toBe("test");
        for (const key of [DOCUMENTED, NOBODYS_LIVE, keyOf("revoked")]) {
          expectRefusal(await send(deployment, callWith(key)), 401, INVALID);
        }
        expect(deployment.upstream.requests).toHaveLength(1);
      });
    });
  });

  describe("Regenerate API keys periodically", () => {
    const operator = `bk_live_${"a".repeat(32)}`;
    const unmarked = `bk_test_${"b".repeat(32)}`;
    // As the shipped files, with rotation and two keys more: one that may rotate, and one that does not say what it is.
    const records = [
      { id: "operator", hash: sha256Of(operator), scopes: ["*"] },
      { id: "unmarked", hash: sha256Of(unmarked), scopes: ["READ_BUDGETS"] },
    ];
    const rotating = () =>
      deployCopy(
        "billoget",
        {
          "  WEBHOOKS: {": "  KEYS: { description: Rotate keys }\n  WEBHOOKS: {",
          "keys: keys.yaml": "management: { path: /v1/keys, scopes: KEYS }\nkeys: { files: [keys.yaml, more.json] }",
        },
        { "more.json": JSON.stringify({ keys: records }) },
      );
    const rotate = (id: string) => callWith(operator, `/v1/keys/${id}/rotate`, "POST");

    test.for([
      ["development", "test"],
      ["docs-example", "live"],
    ] as const)("the key %s is replaced by a %s key, which works at once", async ([id, environment]) => {
      await withDeployment(rotating(), async (deployment) => {
        const answer = await send(deployment, rotate(id));
        expect(answer.status).toBe(200);
        const { key }: { readonly key: string } = JSON.parse(answer.body);
        expect(key).toMatch(new RegExp(`^bk_${environment}_[0-9a-f]{32}$`));
        expect((await send(deployment, callWith(key))).status).toBe(200);
        expect(deployment.upstream.requests.at(-1)?.headers["x-latchkey-environment"]).toBe(environment);
        expectRefusal(await send(deployment, callWith(keyOf(id))), 401, INVALID);
      });
    });

    test("a record that does not say of which environment its key is keeps it: 409", async () => {
      await withDeployment(rotating(), async (deployment) => {
        expect((await send(deployment, rotate("unmarked"))).status).toBe(409);
        expect((await send(deployment, callWith(unmarked))).status).toBe(200);
      });
    });
  });

  describe("All API requests must use HTTPS", () => {
    const NEEDS_HTTPS = '{"error":"forbidden","message":"All API requests must use HTTPS"}';
    const claim = { ...bearer(DOCUMENTED), "X-Forwarded-Proto": "https" };

    test("a plain connection is refused, key or no key", async () => {
      expectRefusal(await refused({ path: BUDGETS, headers: bearer(DOCUMENTED) }), 403, NEEDS_HTTPS);
      expectRefusal(await refused({ path: BUDGETS }), 403, NEEDS_HTTPS);
    });

    test("X-Forwarded-Proto is believed of a trusted proxy", async () => {
      expect((await send(live, { from: BALANCER, path: BUDGETS, headers: claim })).status).toBe(200);
      expect(live.upstream.requests.at(-1)?.headers["x-forwarded-proto"]).toBe("https");
    });

    test("X-Forwarded-Proto is not believed of anybody else", async () => {
      expectRefusal(await refused({ from: "127.0.0.3", path: BUDGETS, headers: claim }), 403, NEEDS_HTTPS);
      expectRefusal(await refused({ from: "127.0.0.1", path: BUDGETS, headers: claim }), 403, NEEDS_HTTPS);
    });

    test.for(["http", "https, http", ""])("a trusted proxy that says %o is believed too", async (proto) => {
      const headers = { ...bearer(DOCUMENTED), "X-Forwarded-Proto": proto };
      expectRefusal(await refused({ from: BALANCER, path: BUDGETS, headers }), 403, NEEDS_HTTPS);
    });

    test("TLS may end here: the same files with a certificate", async () => {
      const certificate = await createCertificate();
      const tls = { "https: required": "https: required\n  tls: { cert: tls.crt, key: tls.key }" };
      await withDeployment(deployCopy("billoget", tls, certificate), async (deployment) => {
        const answer = await send(deployment, { tls: true, path: BUDGETS, headers: bearer(DOCUMENTED) });
        expect(answer.status).toBe(200);
        expect(deployment.upstream.requests[0]?.headers["x-forwarded-proto"]).toBe("https");
        // Nobody but a trusted proxy can unsay it either.
        const downgraded = { ...bearer(DOCUMENTED), "X-Forwarded-Proto": "http" };
        expect((await send(deployment, { tls: true, path: BUDGETS, headers: downgraded })).status).toBe(200);
        await expect(send(deployment, { path: BUDGETS, headers: bearer(DOCUMENTED) })).rejects.toThrow();
        expect(deployment.upstream.requests).toHaveLength(2);
      });
    });
  });

  test("Keep API Keys Secret: no key that was presented stands in the log", () => {
    const log = JSON.stringify(live.program.lines) + live.program.stderr();
    for (const key of [DOCUMENTED, SHORTENED, NOBODYS_LIVE, keyOf("revoked"), keyOf("development")]) {
      expect(log).not.toContain(key);
    }
  });

  test("Monitor Usage: every request of a key stands in the access log under its id", () => {
    const line = live.program.lines.find((candidate) => candidate["reason"] === "key_revoked");
    expect(line).toMatchObject({ keyId: "revoked", status: 401, route: "GET /v1/api/public/budgets/**" });
  });
});

/** A self-signed certificate for one test. */
async function createCertificate(): Promise<Readonly<Record<"tls.crt" | "tls.key", string>>> {
  const folder = await createFolder();
  const [cert, key] = [`${folder.path}/tls.crt`, `${folder.path}/tls.key`];
  const subject = ["-days", "1", "-nodes", "-subj", "/CN=api.billoget.test"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  await promisify(execFile)("openssl", ["req", "-x509", ...curve, "-keyout", key, "-out", cert, ...subject]);
  const texts = { "tls.crt": await readFile(cert, "utf8"), "tls.key": await readFile(key, "utf8") };
  await folder.remove();
  return texts;
}
