import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PROGRAM, sha256Of } from "../e2e/harness.ts";
import { send as sendRaw } from "./deployment.ts";
import {
  type Answer,
  addRecords,
  copyFiles,
  type Documented,
  shippedFile,
  startDocumented,
  withCopy,
} from "./documented.ts";

/** The examples of keys.yaml: what stands before the dots in the documentation, and the record's id. */
const exampleKey = (id: string) =>
  `bpos_${`abc123${id.replaceAll(/(?:^|-)(.)/g, (_, first: string) => first.toUpperCase())}`.padEnd(32, "0")}`;
const withKey = (id: string) => ({ "X-API-Key": exampleKey(id) });

/** The endpoints of both tables of scopes, and the scopes that open each: write scopes include read. */
const ENDPOINTS: readonly { readonly call: string; readonly open: readonly string[]; readonly write?: true }[] = [
  { call: "GET /api/v1/products", open: ["products:read", "products:write"] },
  { call: "GET /api/v1/products/7", open: ["products:read", "products:write"] },
  { call: "HEAD /api/v1/products", open: ["products:read", "products:write"] },
  { call: "GET /api/v1/categories", open: ["products:read", "products:write"] },
  { call: "GET /api/v1/brands", open: ["products:read", "products:write"] },
  { call: "GET /api/v1/settings", open: ["products:read", "products:write"] },
  { call: "GET /api/v1/customers/7", open: ["customers:read", "customers:write"] },
  { call: "GET /api/v1/customers/7/loyalty", open: ["customers:read", "customers:write"] },
  { call: "GET /api/v1/sales", open: ["sales:read"] },
  { call: "GET /api/v1/sales/7/receipt", open: ["sales:read"] },
  { call: "GET /api/v1/sales/7/items", open: ["sales:read"] },
  { call: "GET /api/v1/inventory", open: ["inventory:read", "inventory:write"] },
  { call: "GET /api/v1/inventory/adjustments", open: ["inventory:read", "inventory:write"] },
  { call: "GET /api/v1/loyalty/tiers", open: ["loyalty:read"] },
  { call: "GET /api/v1/loyalty/rewards", open: ["loyalty:read"] },
  { call: "GET /api/v1/loyalty/transactions", open: ["loyalty:read"] },
  { call: "GET /api/v1/gift-cards/7", open: ["gift_cards:read"] },
  { call: "GET /api/v1/store-credits/7", open: ["store_credits:read"] },
  { call: "PATCH /api/v1/products", open: ["products:write"], write: true },
  { call: "PUT /api/v1/products/7", open: ["products:write"], write: true },
  { call: "POST /api/v1/customers", open: ["customers:write"], write: true },
  { call: "PATCH /api/v1/customers/7", open: ["customers:write"], write: true },
  { call: "POST /api/v1/inventory/adjustments", open: ["inventory:write"], write: true },
  { call: "GET /api/v1/webhooks", open: ["webhooks:manage"] },
  { call: "POST /api/v1/webhooks", open: ["webhooks:manage"], write: true },
  { call: "PATCH /api/v1/webhooks/7", open: ["webhooks:manage"], write: true },
  { call: "DELETE /api/v1/webhooks/7", open: ["webhooks:manage"], write: true },
  // No scope speaks of these.
  { call: "POST /api/v1/products", open: [], write: true },
  { call: "DELETE /api/v1/products/7", open: [], write: true },
  { call: "DELETE /api/v1/customers/7", open: [], write: true },
  { call: "POST /api/v1/sales", open: [], write: true },
  { call: "POST /api/v1/gift-cards", open: [], write: true },
  { call: "GET /api/v1/staff", open: [] },
];

const SCOPES = [
  { scope: "products:read", grants: "Products, categories, brands, store settings" },
  { scope: "customers:read", grants: "Customer profiles, loyalty info" },
  { scope: "sales:read", grants: "Sales history, receipts, line items" },
  { scope: "inventory:read", grants: "Stock levels, inventory adjustments" },
  { scope: "loyalty:read", grants: "Loyalty tiers, rewards, transactions" },
  { scope: "gift_cards:read", grants: "Gift card balances" },
  { scope: "store_credits:read", grants: "Store credit balances" },
  { scope: "products:write", grants: "Bulk-update product prices and stock" },
  { scope: "customers:write", grants: "Create and update customer records" },
  { scope: "inventory:write", grants: "Create stock adjustments" },
  { scope: "webhooks:manage", grants: "Create, update, and delete webhook subscriptions" },
];

const isLimited = ({ status }: Answer): boolean => status === "429 Too Many Requests";

describe("BrotherPOS, with its own files", () => {
  let system: Documented;
  beforeAll(async () => {
    system = await startDocumented("brotherpos");
  });
  afterAll(() => system.stop());

  const send = (text: string, headers: Readonly<Record<string, string>>) => {
    const [method = "", path = ""] = text.split(" ");
    return system.ask({ method, path, headers });
  };

  describe("Include the key in the X-API-Key header on every request", () => {
    test('curl -H "X-API-Key: bpos_abc123..." https://yourstore.brotherpos.ca/api/v1/products', async () => {
      const answer = await send("GET /api/v1/products", withKey("website-sync"));
      expect(answer.status).toBe("200 OK");
      expect(answer.reached).toMatchObject({ method: "GET", target: "/api/v1/products" });
      expect(answer.reached?.rawHeaders.join("\n")).not.toContain("bpos_");
    });

    test("Each key is scoped to a single store, which the API is told", async () => {
      const headers = { ...withKey("website-sync"), "X-Latchkey-Tenant": "otherstore" };
      const { reached } = await send("GET /api/v1/products", headers);
      expect(reached?.headers).toMatchObject({
        "x-latchkey-tenant": "yourstore",
        "x-latchkey-key-id": "website-sync",
        "x-latchkey-key-name": "Website Sync",
        "x-latchkey-scopes": "products:write inventory:read webhooks:manage",
      });
    });

    test("no endpoint answers without it", async () => {
      for (const { call } of ENDPOINTS) {
        const answer = await send(call, {});
        expect([call, answer.status, answer.reached]).toEqual([call, "401 Unauthorized", undefined]);
      }
    });

    test("a Bearer token is not it", async () => {
      const answer = await send("GET /api/v1/products", { authorization: `Bearer ${exampleKey("website-sync")}` });
      expect([answer.status, answer.json()]).toMatchObject(["401 Unauthorized", { code: "credential_missing" }]);
    });
  });

  describe("Never pass your API key as a query parameter", () => {
    const key = exampleKey("website-sync");
    const encoded = key.replaceAll("o", "%6F");
    test.for([
      ["by the header's name", `/api/v1/products?X-API-Key=${key}`, {}],
      ["as api_key", `/api/v1/products?page=2&api_key=${key}`, {}],
      ["under a name of its own", `/api/v1/products?k=${key}`, {}],
      ["as a name", `/api/v1/products?${key}`, {}],
      ["percent-encoded", `/api/v1/products?k=${encoded}`, {}],
      ["besides the header", `/api/v1/products?api_key=${key}`, withKey("website-sync")],
      ["of any text, as api_key", "/api/v1/products?api_key=abc123WebsiteSync", withKey("website-sync")],
    ] as const)("refused: a key %s", async ([, path, headers]) => {
      const answer = await system.ask({ path, headers });
      expect(answer.status).toBe("401 Unauthorized");
      expect(answer.json()).toMatchObject({
        code: "credential_in_url",
        detail: "An API key must not be sent in the URL. Send it in the X-API-Key header, and replace this key.",
      });
      expect(answer.reached).toBeUndefined();
      expect((await system.lineOf(answer))["path"]).toBe("/api/v1/products");
    });

    test("a key within the path is no better, and the log holds a mark in its place", async () => {
      const answer = await system.ask({ path: `/api/v1/${key}/products` });
      expect(answer.status).toBe("401 Unauthorized");
      expect((await system.lineOf(answer))["path"]).toBe("/api/v1/bpos_[redacted]/products");
    });

    test("the text of the key appears in no log, no answer and nothing the API receives", async () => {
      const answer = await system.ask({ path: `/api/v1/products?api_key=${key}` });
      await system.lineOf(answer);
      expect(system.written()).not.toContain("abc123WebsiteSync");
      expect(system.written()).not.toContain(encoded.slice(0, 12));
      expect(answer.body).not.toContain("abc123WebsiteSync");
      expect(JSON.stringify(system.upstream.requests)).not.toContain("abc123WebsiteSync");
    });
  });

  describe("Scopes control what your API key can access", () => {
    test.for(SCOPES)("$scope: $grants, and nothing else", async ({ scope }) => {
      const headers = withKey(scope.replaceAll(/[:_]/g, "-"));
      for (const { call, open } of ENDPOINTS) {
        const answer = await send(call, headers);
        const isOpen = open.includes(scope);
        expect([call, answer.status]).toEqual([call, isOpen ? "200 OK" : "403 Forbidden"]);
        expect(answer.reached === undefined).toBe(!isOpen);
      }
    });

    test("A key with customers:write can also read customers", async () => {
      const read = await send("GET /api/v1/customers/7", withKey("customers-write"));
      const readElse = await send("GET /api/v1/sales", withKey("customers-write"));
      expect([read.status, readElse.status]).toEqual(["200 OK", "403 Forbidden"]);
      const write = await send("PATCH /api/v1/customers/7", withKey("customers-read"));
      expect([write.status, write.json()]).toMatchObject(["403 Forbidden", { scopes: ["customers:write"] }]);
    });
  });

  describe("Test Mode: the key can only read data — all write operations are blocked", () => {
    test("it reads what its write scopes include", async () => {
      const reads = ENDPOINTS.filter(
        ({ open, write }) => write === undefined && open.some((name) => !name.endsWith("read")),
      );
      for (const { call } of reads) {
        expect([call, (await send(call, withKey("test-mode"))).status]).toEqual([call, "200 OK"]);
      }
    });

    test.for(ENDPOINTS.filter(({ open, write }) => write && open.length > 0))(
      "$call is blocked, though the key holds $open.0",
      async ({ call }) => {
        const answer = await send(call, withKey("test-mode"));
        expect([answer.status, answer.json()]).toMatchObject(["403 Forbidden", { code: "key_read_only" }]);
        expect(answer.reached).toBeUndefined();
      },
    );
  });

  describe("Error Responses", () => {
    test.for([
      [
        "401 Unauthorized",
        "a missing key",
        {},
        "GET /api/v1/products",
        "No API key was presented. Send it in the X-API-Key header.",
      ],
      ["401 Unauthorized", "an invalid key", withKey("nobody"), "GET /api/v1/products", "The API key is not valid."],
      [
        "401 Unauthorized",
        "the shortened key of the documentation",
        { "X-API-Key": "bpos_abc123..." },
        "GET /api/v1/products",
        "The API key is not valid.",
      ],
      ["401 Unauthorized", "a revoked key", withKey("leaked"), "GET /api/v1/products", "The API key has been revoked."],
      [
        "403 Forbidden",
        "a valid key but insufficient scope for this endpoint",
        withKey("sales-read"),
        "GET /api/v1/products",
        "The API key lacks a required scope: products:read.",
      ],
    ] as const)("%s: %s", async ([status, , headers, call, detail]) => {
      const answer = await send(call, headers);
      expect(answer.status).toBe(status);
      expect(answer.json()).toMatchObject({ status: Number(status.slice(0, 3)), detail });
      expect(answer.reached).toBeUndefined();
      if (status.startsWith("401")) {
        expect(answer.header("www-authenticate")).toMatch(/^ApiKey realm="brotherpos", header="X-API-Key"/);
      }
    });
  });

  test("401 Unauthorized: two different keys are no valid one", async () => {
    const headers = { "X-API-Key": [exampleKey("website-sync"), exampleKey("sales-read")] };
    const answer = await sendRaw(system, { path: "/api/v1/products", headers });
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([401, { code: "credential_ambiguous" }]);
    expect(answer.values("www-authenticate")).toEqual([expect.stringMatching(/^ApiKey realm="brotherpos"/)]);
  });

  describe("Rate Limit: requests per minute (default: 60, max: 1,000)", () => {
    test.for([
      ["the default", "store-credits-read", "GET /api/v1/store-credits/7", '"60/minute";q=60;w=60'],
      ["the most there is", "bi-dashboard", "GET /api/v1/sales", '"1000/minute";q=1000;w=60'],
    ] as const)("a key may have %s", async ([, id, call, policy]) => {
      expect((await send(call, withKey(id))).header("ratelimit-policy")).toBe(policy);
    });

    test("429 Too Many Requests: rate limit exceeded — check Retry-After header, after which one more passes", async () => {
      const headers = withKey("gift-cards-read");
      const ask = () => system.ask({ path: "/api/v1/gift-cards/7", headers });
      const startedMs = performance.now();
      const answers: Answer[] = [];
      // In tens at a time and never more than twice what fits, so that a limit that is not there ends the test.
      while (answers.length < 120 && !answers.some(isLimited)) {
        answers.push(...(await Promise.all(Array.from({ length: 10 }, ask))));
      }
      const limitedMs = performance.now();
      const admitted = answers.filter(({ status }) => status === "200 OK").length;
      // The one of the table of scopes is spent as well; one request is refilled every second.
      expect(admitted).toBeGreaterThanOrEqual(59);
      expect(admitted).toBeLessThanOrEqual(60 + Math.ceil((limitedMs - startedMs) / 1000));

      const limited = answers.find(isLimited);
      expect(limited?.json()).toMatchObject({ code: "rate_limited", "violated-policies": ["60/minute"] });
      expect(limited?.header("retry-after")).toBe("1");
      expect(limited?.reached).toBeUndefined();
      // Refused requests take nothing, so asking all the time does not put it off.
      await expect.poll(async () => (await ask()).status, { interval: 50, timeout: 3000 }).toBe("200 OK");
      expect(performance.now() - limitedMs).toBeLessThan(2000);
      expect((await send("GET /api/v1/sales", withKey("bi-dashboard"))).status).toBe("200 OK");
    });
  });

  test("the README's call to try presents a key of keys.yaml", async () => {
    const readme = await readFile(shippedFile("brotherpos", "README.md"), "utf8");
    expect(/^curl .*$/m.exec(readme)?.[0]).toContain(exampleKey("website-sync"));
  });
});

describe("BrotherPOS, with files that say otherwise", () => {
  const record = { id: "partner", hash: sha256Of(exampleKey("partner")), scopes: ["products:read"] };
  const TOO_MUCH = [
    { limits: "1001/minute", asks: "1001/minute", why: "one too many" },
    { limits: "20/second", asks: "20/second", why: "1,200 in a minute" },
    { limits: "50000/hour", asks: "50000/hour", why: "all of which may come in one minute" },
    { limits: { rate: "60/minute", burst: 1001 }, asks: "60/minute with a burst of 1001", why: "at once" },
  ];

  test.for(TOO_MUCH)(
    "a key that asks for $asks, $why, is an error of the config: check ends with 1",
    async ({ limits, asks }) => {
      const folder = await copyFiles("brotherpos", { "keys.yaml": addRecords({ ...record, limits }) });
      for (const command of ["check", "serve"]) {
        const args = [PROGRAM, command, "--config", join(folder.path, "latchkey.yaml")];
        const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
        expect([command, status]).toEqual([command, 1]);
        const told = `keys[15].limits: The key asks for ${asks}, more than limits.max (1000/minute) in the main file`;
        expect(stdout + stderr).toContain(told);
      }
      await folder.remove();
    },
  );

  test("exactly 1,000 a minute is not more, and the shipped files have nothing to warn of", async () => {
    const folder = await copyFiles("brotherpos", { "keys.yaml": addRecords({ ...record, limits: "1000/minute" }) });
    const args = [PROGRAM, "check", "--strict", "--config", join(folder.path, "latchkey.yaml")];
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect([status, stdout]).toMatchObject([0, expect.stringContaining("is valid")]);
    await folder.remove();
  });

  test("a request that is refused for its scope, its route or test mode takes nothing from the limit", async () => {
    const scarce = { ...record, limits: "2/hour", readOnly: true };
    await withCopy("brotherpos", { "keys.yaml": addRecords(scarce) }, async (system) => {
      const ask = (path: string, method = "GET") => system.ask({ method, path, headers: withKey("partner") });
      expect((await ask("/api/v1/sales")).status).toBe("403 Forbidden");
      expect((await ask("/api/v1/nowhere")).status).toBe("403 Forbidden");
      expect((await ask("/api/v1/products", "PATCH")).status).toBe("403 Forbidden");
      const answer = await ask("/api/v1/products");
      expect([answer.status, answer.header("x-ratelimit-remaining")]).toEqual(["200 OK", "1"]);
    });
  });

  test("behind a load balancer the client's own address counts, for allowlists and for refused keys", async () => {
    const rewrites = {
      "latchkey.yaml": (text: string) =>
        text.replace("10.0.0.0/8", "127.0.0.1/32").replace("limits:\n", "limits:\n  failures: 2/hour\n"),
      "keys.yaml": addRecords({ ...record, allowIps: ["203.0.113.9"] }),
    };
    await withCopy("brotherpos", rewrites, async (system) => {
      const ask = (id: string, client: string) =>
        system.ask({ path: "/api/v1/products", headers: { ...withKey(id), "X-Forwarded-For": client } });
      expect((await ask("partner", "203.0.113.9")).status).toBe("200 OK");
      expect((await ask("partner", "203.0.113.10")).status).toBe("403 Forbidden");
      for (const status of ["401 Unauthorized", "401 Unauthorized", "429 Too Many Requests"]) {
        expect((await ask("nobody", "203.0.113.9")).status).toBe(status);
      }
      expect((await ask("partner", "203.0.113.9")).status).toBe("200 OK");
      expect((await ask("nobody", "203.0.113.10")).status).toBe("401 Unauthorized");
    });
  });

  test("a running instance refuses such a record and keeps the last good policy", async () => {
    await withCopy("brotherpos", {}, async (system) => {
      const file = join(system.folder, "keys.yaml");
      await writeFile(file, addRecords({ ...record, limits: "1001/minute" })(await readFile(file, "utf8")));
      // A look at the file while it is being written may find another error first.
      await system.program.waitForLine((line) => JSON.stringify(line).includes("more than limits.max (1000/minute)"));
      const ask = (id: string) => system.ask({ path: "/api/v1/products", headers: withKey(id) });
      expect([(await ask("partner")).status, (await ask("products-read")).status]).toEqual([
        "401 Unauthorized",
        "200 OK",
      ]);
    });
  });

  test.for([
    ["to come", "2999-01-01T00:00:00Z", "200 OK"],
    ["past", "2020-01-01T00:00:00Z", "401 Unauthorized"],
  ] as const)("Expires At, an expiration date %s", async ([, expiresAt, status]) => {
    await withCopy("brotherpos", { "keys.yaml": addRecords({ ...record, expiresAt }) }, async (system) => {
      const answer = await system.ask({ path: "/api/v1/products", headers: withKey("partner") });
      expect(answer.status).toBe(status);
      if (status !== "200 OK") expect(answer.json()).toMatchObject({ detail: "The API key has expired." });
    });
  });

  test("Expires At holds for a key in use, with no reload in between", async () => {
    await withCopy("brotherpos", {}, async (system) => {
      const ask = () => system.ask({ path: "/api/v1/products", headers: withKey("partner") });
      const expiresAt = new Date(Date.now() + 1500).toISOString();
      const file = join(system.folder, "keys.yaml");
      await writeFile(file, addRecords({ ...record, expiresAt })(await readFile(file, "utf8")));
      const reloaded = await system.program.waitForLine((line) => line["msg"] === "policy reloaded");
      expect(JSON.stringify(reloaded["changes"])).toContain("partner");
      await expect.poll(async () => (await ask()).status, { timeout: 5000 }).toBe("401 Unauthorized");
      expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt));
      expect((await ask()).json()).toMatchObject({ code: "key_expired" });
    });
  });

  test("Revocation is immediate: the very next request after the file was taken up is answered 401", async () => {
    await withCopy("brotherpos", {}, async (system) => {
      const ask = () => system.ask({ path: "/api/v1/products", headers: withKey("products-read") });
      expect((await ask()).status).toBe("200 OK");
      const file = join(system.folder, "keys.yaml");
      const before = await readFile(file, "utf8");
      const revoked = before.replace("  - id: products-read\n", "  - id: products-read\n    status: revoked\n");
      expect(revoked).not.toBe(before);
      await writeFile(file, revoked);
      const line = await system.program.waitForLine((candidate) => candidate["msg"] === "policy reloaded");
      const answer = await ask();
      expect([answer.status, answer.json()]).toMatchObject(["401 Unauthorized", { code: "key_revoked" }]);
      expect(JSON.stringify(line["changes"])).toContain("products-read");
    });
  });
});
