import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { sha256Of } from "../e2e/harness.ts";
import { send as sendRaw } from "./deployment.ts";
import { type Answer, addRecords, type Documented, shippedFile, startDocumented, withCopy } from "./documented.ts";

/** The examples of keys.yaml: what stands before the dots in the documentation, and the record's id. */
const exampleKey = (id: string, region = "us") =>
  `ibp_live_${region}_${`abc123${id.replaceAll(/(?:^|-)(.)/g, (_, first: string) => first.toUpperCase())}`.padEnd(32, "0")}`;
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

const SCOPES = [
  { scope: "orders:read", says: "Read access to orders" },
  { scope: "orders:write", says: "Create and update orders" },
  { scope: "customers:read", says: "Read access to customers" },
  { scope: "customers:write", says: "Create and update customers" },
  { scope: "expenses:read", says: "Read access to expenses" },
  { scope: "expenses:write", says: "Create and update expenses" },
  { scope: "pantry:read", says: "Read access to pantry items" },
  { scope: "pantry:write", says: "Create and update pantry items" },
];

const isLimited = ({ status }: Answer): boolean => status === "429 Too Many Requests";

/** What can be done to a resource, and the action of `resource:action` that opens it. */
const OPERATIONS = (resource: string) => [
  { call: `GET /api/v1/${resource}`, action: "read" },
  { call: `GET /api/v1/${resource}/42`, action: "read" },
  { call: `HEAD /api/v1/${resource}`, action: "read" },
  { call: `POST /api/v1/${resource}`, action: "write" },
  { call: `PUT /api/v1/${resource}/42`, action: "write" },
  { call: `PATCH /api/v1/${resource}/42`, action: "write" },
  { call: `DELETE /api/v1/${resource}/42`, action: undefined },
];
const ENDPOINTS = ["orders", "customers", "expenses", "pantry"].flatMap((resource) =>
  OPERATIONS(resource).map(({ call, action }) => ({
    call,
    scope: action === undefined ? undefined : `${resource}:${action}`,
  })),
);

const REGIONS = [
  { region: "us", name: "North America", endpoint: "api.ibakepro.com" },
  { region: "au", name: "Australia", endpoint: "au.api.ibakepro.com" },
  { region: "eu", name: "Europe", endpoint: "eu.api.ibakepro.com" },
];

const ANOTHER_REGION = /^This API key belongs to the region (.+)\. Use its endpoint, https:\/\/(.+)\.$/;

async function expectRegion(answer: Answer, name: string, endpoint: string): Promise<void> {
  expect(answer.status).toBe("403 Forbidden");
  expect(answer.json()).toMatchObject({ code: "region_mismatch", status: 403 });
  const detail = /"detail":"([^"]*)"/.exec(answer.body)?.[1] ?? "";
  expect(ANOTHER_REGION.exec(detail)?.slice(1)).toEqual([name, endpoint]);
  expect(answer.reached).toBeUndefined();
}

describe("ibakepro, with its own files", () => {
  let system: Documented;
  beforeAll(async () => {
    system = await startDocumented("ibakepro");
  });
  afterAll(() => system.stop());

  const send = (text: string, headers: Readonly<Record<string, string>>) => {
    const [method = "", path = ""] = text.split(" ");
    return system.ask({ method, path, headers });
  };

  describe("You'll need to authenticate your requests to access any of the endpoints", () => {
    test("no endpoint answers without a key", async () => {
      for (const { call } of [...ENDPOINTS, { call: "GET /" }, { call: "GET /api/v1/anything" }]) {
        const answer = await send(call, {});
        expect([call, answer.status, answer.reached]).toEqual([call, "401 Unauthorized", undefined]);
        expect(answer.header("www-authenticate")).toBe('Bearer realm="ibakepro"');
      }
    });

    test("the answer says which header is missing", async () => {
      const answer = await send("GET /api/v1/orders", {});
      expect(answer.header("content-type")).toBe("application/problem+json");
      expect(answer.json()).toEqual({
        type: "about:blank",
        title: "API key missing",
        status: 401,
        detail: "No API key was presented. Send it in the Authorization header as Bearer.",
        code: "credential_missing",
        requestId: answer.requestId,
      });
    });
  });

  describe("Include your API key in the Authorization header as a Bearer token", () => {
    test("curl https://api.ibakepro.com/api/v1/orders -H 'Authorization: Bearer ibp_live_us_abc123...'", async () => {
      const answer = await send("GET /api/v1/orders", bearer(exampleKey("pos-integration")));
      expect(answer.status).toBe("200 OK");
      expect(answer.reached).toMatchObject({ method: "GET", target: "/api/v1/orders" });
    });

    test("the scheme's name ignores case, as schemes do", async () => {
      const headers = { authorization: `bearer ${exampleKey("pos-integration")}` };
      expect((await send("GET /api/v1/orders", headers)).status).toBe("200 OK");
    });

    test.for([
      ["in X-API-Key", { "x-api-key": exampleKey("pos-integration") }],
      ["without the scheme", { authorization: exampleKey("pos-integration") }],
      ["with another scheme", { authorization: `Basic ${exampleKey("pos-integration")}` }],
    ] as const)("a key %s is no key", async ([, headers]) => {
      const answer = await send("GET /api/v1/orders", headers);
      expect([answer.status, answer.json()]).toMatchObject(["401 Unauthorized", { code: "credential_missing" }]);
      expect(answer.reached).toBeUndefined();
    });

    test("a key in the URL is refused", async () => {
      const answer = await send(`GET /api/v1/orders?key=${exampleKey("pos-integration")}`, {});
      expect([answer.status, answer.json()]).toMatchObject(["400 Bad Request", { code: "credential_in_url" }]);
      expect(answer.body).not.toContain("abc123");
    });

    test("the key itself does not reach the API", async () => {
      const key = exampleKey("pos-integration");
      const { reached } = await send("GET /api/v1/orders", bearer(key));
      expect(reached?.rawHeaders.join("\n")).not.toContain(key);
    });
  });

  describe("the form ibp_live_us_…", () => {
    test.for([
      ["the documentation's own shortened example", "ibp_live_us_abc123...", "credential_malformed"],
      ["another prefix", exampleKey("orders-read").replace("ibp_", "ibx_"), "credential_malformed"],
      [
        "an environment that is not documented",
        exampleKey("orders-read").replace("live", "test"),
        "credential_malformed",
      ],
      ["a region that is not documented", exampleKey("orders-read", "uk"), "credential_malformed"],
      ["a character too few", exampleKey("orders-read").slice(0, -1), "credential_malformed"],
      ["a character too many", `${exampleKey("orders-read")}0`, "credential_malformed"],
      ["the right form that nobody registered", exampleKey("nobody"), "key_unknown"],
    ] as const)("%s is refused with 401, and told apart in the log only", async ([, key, reason]) => {
      const answer = await send("GET /api/v1/orders", bearer(key));
      expect(answer.status).toBe("401 Unauthorized");
      expect(answer.json()).toMatchObject({ detail: "The API key is not valid." });
      expect((await system.lineOf(answer))["reason"]).toBe(reason);
    });
  });

  describe("Each API key is scoped to specific permissions", () => {
    test.for(SCOPES)("$scope: $says, and nothing else", async ({ scope }) => {
      const headers = bearer(exampleKey(scope.replace(":", "-")));
      for (const { call, scope: needed } of ENDPOINTS) {
        const answer = await send(call, headers);
        expect([call, answer.status]).toEqual([call, needed === scope ? "200 OK" : "403 Forbidden"]);
        expect(answer.reached === undefined).toBe(needed !== scope);
      }
    });

    test("write does not include read, and the answer names the scope that is missing", async () => {
      const answer = await send("GET /api/v1/orders", bearer(exampleKey("orders-write")));
      expect(answer.status).toBe("403 Forbidden");
      expect(answer.json()).toMatchObject({ code: "scope_insufficient", scopes: ["orders:read"] });
      expect(answer.json()).toMatchObject({ detail: "The API key lacks a required scope: orders:read." });
    });

    test("deleting is opened by no scope, whatever a key holds", async () => {
      const answer = await send("DELETE /api/v1/orders/42", bearer(exampleKey("pos-integration")));
      expect([answer.status, answer.json()]).toMatchObject(["403 Forbidden", { code: "route_unknown" }]);
    });
  });

  describe("tied to a single tenant (bakery business)", () => {
    test.for([
      { id: "pos-integration", call: "GET /api/v1/orders", name: "POS Integration", tenant: "main-street-bakery" },
      { id: "website-orders", call: "POST /api/v1/orders", name: "Website Orders", tenant: "corner-bakery" },
    ])("the API hears that $id belongs to $tenant", async ({ id, call, name, tenant }) => {
      const { reached } = await send(call, bearer(exampleKey(id)));
      expect(reached?.headers).toMatchObject({
        "x-latchkey-tenant": tenant,
        "x-latchkey-key-id": id,
        "x-latchkey-key-name": name,
        "x-latchkey-environment": "live",
        "x-latchkey-region": "us",
      });
    });

    test.for(["X-Latchkey-Tenant", "x_latchkey_tenant", "X.Latchkey.Tenant"])(
      "a client that sends %s of its own is not believed",
      async (name) => {
        const headers = { ...bearer(exampleKey("pos-integration")), [name]: "corner-bakery" };
        const { reached } = await send("GET /api/v1/orders", headers);
        expect(reached?.headers["x-latchkey-tenant"]).toBe("main-street-bakery");
        expect(reached?.rawHeaders).not.toContain("corner-bakery");
      },
    );
  });

  describe("Requests to the wrong region will return an error", () => {
    test.for(REGIONS.slice(1))("a key of $name is sent to $endpoint", async ({ region, name, endpoint }) => {
      // Not registered here, and never looked up: its own text says where it belongs.
      const answer = await send("GET /api/v1/orders", bearer(exampleKey("pos-integration", region)));
      await expectRegion(answer, name, endpoint);
    });
  });

  describe("Rotate keys regularly - Generate new keys periodically and revoke old ones", () => {
    test("every record says what its key says of itself, so that a rotation makes another of the same region", async () => {
      const text = await readFile(shippedFile("ibakepro", "keys.yaml"), "utf8");
      const { keys }: { readonly keys: readonly Readonly<Record<"id" | "hash" | "prefix", string>>[] } = parse(text);
      expect(keys.map(({ prefix }) => prefix)).toEqual(keys.map(() => "ibp_live_us_"));
      for (const { id, hash, prefix } of keys) {
        expect(hash).toBe(sha256Of(exampleKey(id)));
        expect(exampleKey(id).startsWith(prefix)).toBe(true);
      }
    });

    test("a revoked key is refused", async () => {
      const answer = await send("GET /api/v1/orders", bearer(exampleKey("pos-integration-2024")));
      expect([answer.status, answer.json()]).toMatchObject(["401 Unauthorized", { code: "key_revoked" }]);
      expect(answer.reached).toBeUndefined();
    });
  });

  describe("Rate limiting", () => {
    test("100 requests per minute per API key, and 1000 per hour: every answer reports both", async () => {
      const answer = await send("GET /api/v1/pantry", bearer(exampleKey("pos-integration")));
      expect(answer.header("ratelimit-policy")).toBe('"100/minute";q=100;w=60, "1000/hour";q=1000;w=3600');
    });

    test("the request after the 100th is answered 429 Too Many Requests, and other keys do not feel it", async () => {
      const startedMs = performance.now();
      const headers = bearer(exampleKey("website-orders"));
      const path = "/api/v1/orders";
      const before = system.upstream.requests.length;
      const answers: Answer[] = [];
      // In tens at a time and never more than twice what fits, so that a limit that is not there ends the test.
      while (answers.length < 200 && !answers.some(isLimited)) {
        answers.push(
          ...(await Promise.all(Array.from({ length: 10 }, () => system.ask({ method: "POST", path, headers })))),
        );
      }
      const limited = answers.find(isLimited);
      const elapsedMs = performance.now() - startedMs;
      const admitted = answers.filter(({ status }) => status === "200 OK").length;
      // The one from the tenant's test is spent as well; one request is refilled every 600 ms.
      expect(admitted).toBeGreaterThanOrEqual(99);
      expect(admitted).toBeLessThanOrEqual(100 + Math.ceil(elapsedMs / 600));
      expect(system.upstream.requests.length - before).toBe(admitted);

      if (limited === undefined) throw new Error("200 requests were admitted in one go");
      expect(limited.header("retry-after")).toBe("1");
      expect(limited.json()).toMatchObject({
        type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
        status: 429,
        code: "rate_limited",
        "violated-policies": ["100/minute"],
      });
      expect(limited.header("ratelimit")).toMatch(/^"100\/minute";r=0;t=1, "1000\/hour";r=\d{3};t=\d+$/);
      expect((await send("GET /api/v1/orders", bearer(exampleKey("pos-integration")))).status).toBe("200 OK");
    });
  });

  test("two different keys in one request are refused with 400, not chosen between", async () => {
    const headers = { Authorization: ["pos-integration", "orders-read"].map((id) => `Bearer ${exampleKey(id)}`) };
    const answer = await sendRaw(system, { path: "/api/v1/orders", headers });
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([400, { code: "credential_ambiguous" }]);
  });

  test("Never expose your API keys in logs: none of the above has left a key in one", () => {
    expect(system.written()).toContain("call-1");
    expect(system.written()).not.toMatch(/ibp_live_.._abc123/);
    expect(system.written()).not.toContain("abc123PosIntegration");
  });

  test("the README's call to try presents a key of keys.yaml", async () => {
    const readme = await readFile(shippedFile("ibakepro", "README.md"), "utf8");
    expect(/^curl .*$/m.exec(readme)?.[0]).toContain(exampleKey("pos-integration"));
  });
});

describe("ibakepro, with files that say otherwise", () => {
  test("behind a load balancer refused keys are counted for the client, and a valid key from there still passes", async () => {
    const rewrites = {
      "latchkey.yaml": (text: string) =>
        text.replace("10.0.0.0/8", "127.0.0.1/32").replace("limits:\n", "limits:\n  failures: 2/hour\n"),
    };
    await withCopy("ibakepro", rewrites, async (system) => {
      const ask = (key: string, client: string) =>
        system.ask({ path: "/api/v1/orders", headers: { ...bearer(key), "X-Forwarded-For": client } });
      const guess = exampleKey("nobody");
      for (const key of [guess, "ibp_live_us_abc123..."]) {
        expect((await ask(key, "203.0.113.9")).status).toBe("401 Unauthorized");
      }
      const refused = await ask(guess, "203.0.113.9");
      expect([refused.status, refused.json()]).toMatchObject(["429 Too Many Requests", { code: "failures_exceeded" }]);
      expect((await ask(exampleKey("pos-integration"), "203.0.113.9")).status).toBe("200 OK");
      expect((await ask(guess, "203.0.113.10")).status).toBe("401 Unauthorized");
    });
  });

  test("a request that is refused for its scope or its route takes nothing from the limits", async () => {
    const key = exampleKey("scarce");
    const record = { id: "scarce", hash: sha256Of(key), scopes: ["orders:read"], limits: "2/hour" };
    await withCopy("ibakepro", { "keys.yaml": addRecords(record) }, async (system) => {
      for (const path of ["/api/v1/customers", "/api/v1/nowhere"]) {
        expect((await system.ask({ path, headers: bearer(key) })).status).toBe("403 Forbidden");
      }
      const answer = await system.ask({ path: "/api/v1/orders", headers: bearer(key) });
      expect([answer.status, answer.header("x-ratelimit-remaining")]).toEqual(["200 OK", "1"]);
    });
  });

  test("the hour window refuses too, and takes nothing from the minute's when it does", async () => {
    const key = exampleKey("hourly");
    const record = { id: "hourly", hash: sha256Of(key), scopes: ["orders:read"], limits: ["100/minute", "3/hour"] };
    await withCopy("ibakepro", { "keys.yaml": addRecords(record) }, async (system) => {
      const ask = () => system.ask({ path: "/api/v1/orders", headers: bearer(key) });
      for (const left of ["2", "1", "0"]) {
        const answer = await ask();
        expect([answer.status, answer.header("x-ratelimit-remaining")]).toEqual(["200 OK", left]);
      }
      for (let attempt = 0; attempt < 3; attempt += 1) {
        const refused = await ask();
        expect(refused.status).toBe("429 Too Many Requests");
        expect(refused.json()).toMatchObject({ "violated-policies": ["3/hour"] });
        // A third of an hour until one more is refilled.
        expect(Number(refused.header("retry-after"))).toBeGreaterThan(1190);
        expect(Number(refused.header("retry-after"))).toBeLessThanOrEqual(1200);
        expect(refused.header("ratelimit")).toMatch(/^"100\/minute";r=(97|98|99|100);t=\d, "3\/hour";r=0;t=\d+$/);
        expect(refused.reached).toBeUndefined();
      }
    });
  });

  test.for(REGIONS)(
    "deployed for $name, it serves its own keys and names each other's endpoint",
    async ({ region }) => {
      const key = exampleKey("local", region);
      const record = { id: "local", hash: sha256Of(key), scopes: ["orders:read"] };
      const rewrites = {
        ...(region === "us"
          ? {}
          : {
              "latchkey.yaml": (text: string) =>
                text.replace("accept: { region: [us] }", `accept: { region: [${region}] }`),
            }),
        "keys.yaml": addRecords(record),
      };
      await withCopy("ibakepro", rewrites, async (system) => {
        const own = await system.ask({ path: "/api/v1/orders", headers: bearer(key) });
        expect([own.status, own.reached?.headers["x-latchkey-region"]]).toEqual(["200 OK", region]);
        for (const other of REGIONS.filter((candidate) => candidate.region !== region)) {
          const headers = bearer(exampleKey("local", other.region));
          await expectRegion(await system.ask({ path: "/api/v1/orders", headers }), other.name, other.endpoint);
        }
      });
    },
  );
});
