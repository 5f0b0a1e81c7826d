import { spawnSync } from "node:child_process";
import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PROGRAM, sha256Of } from "../e2e/harness.ts";
import { addRecords, type Documented, shippedFile, startDocumented, withCopy } from "./documented.ts";

/** The key of the documentation's "Key format". */
const DOCUMENTED = "bb_4xK9mZ2nQpR7sT1vW3yA5bC8dE6fG0hJqLnPuVw";
/** The other examples of keys.yaml, made up of their record's id. */
const exampleKey = (id: string) =>
  `bb_${`abc123${id.replaceAll(/(?:^|-)(.)/g, (_, first: string) => first.toUpperCase())}`.padEnd(43, "0")}`;
const READ_ONLY = exampleKey("home-assistant");
const FULL_ACCESS = exampleKey("monthly-report-script");
const REVOKED = exampleKey("old-report-script");

const withKey = (key: string) => ({ "X-API-Key": key });
const nested = (code: string, message: string) => ({ error: { code, message } });
const MISSING = nested("MISSING_API_KEY", "X-API-Key header is required.");
const INVALID = nested("INVALID_API_KEY", "API key is invalid.");

/** "Data endpoints" and those "marked Write": the activities the documentation names. */
const ENDPOINTS = [
  { call: "GET /api/v1/accounts", write: false, activity: "list accounts" },
  { call: "GET /api/v1/transactions", write: false, activity: "query transaction history" },
  { call: "GET /api/v1/transactions?limit=50", write: false, activity: "query it in pages" },
  { call: "GET /api/v1/transactions/txn_1", write: false, activity: "read one transaction" },
  { call: "HEAD /api/v1/accounts", write: false, activity: "ask for the headers of a read" },
  { call: "GET /api/v1/rules", write: false, activity: "read rules" },
  { call: "POST /api/v1/rules", write: true, activity: "create resources: a rule" },
  { call: "PUT /api/v1/rules/7", write: true, activity: "modify data: a rule" },
  { call: "DELETE /api/v1/rules/7", write: true, activity: "modify data: delete a rule" },
  { call: "PATCH /api/v1/transactions/txn_1/category", write: true, activity: "categorize a transaction" },
  { call: "POST /api/v1/sync", write: true, activity: "trigger a sync" },
];

describe("Breadbox, with its own files", () => {
  let system: Documented;
  beforeAll(async () => {
    system = await startDocumented("breadbox");
  });
  afterAll(() => system.stop());

  const send = (text: string, headers: Readonly<Record<string, string>>) => {
    const [method = "", path = ""] = text.split(" ");
    return system.ask({ method, path, headers });
  };

  describe("Every request to the Breadbox REST API must include a valid API key", () => {
    test.for(ENDPOINTS)("no key, no answer: to $activity", async ({ call }) => {
      const answer = await send(call, {});
      expect(answer.status).toBe("401 Unauthorized");
      expect(answer.body === "" ? MISSING : answer.json()).toEqual(MISSING);
      expect(answer.reached).toBeUndefined();
    });

    test("what is not the REST API is not served at all, and strangers do not learn what exists", async () => {
      const stranger = await send("GET /settings/api-keys", {});
      expect([stranger.status, stranger.json()]).toEqual(["401 Unauthorized", MISSING]);
      const holder = await send("GET /settings/api-keys", withKey(FULL_ACCESS));
      expect([holder.status, holder.json()]).toMatchObject(["403 Forbidden", { error: { code: "FORBIDDEN" } }]);
    });
  });

  describe("Include the key in the X-API-Key HTTP header", () => {
    test('curl -H "X-API-Key: bb_…" http://localhost:8080/api/v1/accounts', async () => {
      const answer = await send("GET /api/v1/accounts", withKey(DOCUMENTED));
      expect(answer.status).toBe("200 OK");
      expect(answer.reached).toMatchObject({ method: "GET", target: "/api/v1/accounts" });
      expect(answer.reached?.headers["x-api-key"]).toBeUndefined();
    });

    test.for([
      ["as a Bearer token", "/api/v1/accounts", { authorization: `Bearer ${FULL_ACCESS}` }],
      ["in Api-Key", "/api/v1/accounts", { "api-key": FULL_ACCESS }],
      ["in X_API_Key", "/api/v1/accounts", { x_api_key: FULL_ACCESS }],
      ["in a cookie", "/api/v1/accounts", { cookie: `X-API-Key=${FULL_ACCESS}` }],
      ["with an empty header", "/api/v1/accounts", { "X-API-Key": " " }],
    ] as const)("a key presented %s is a missing one", async ([, path, headers]) => {
      const answer = await system.ask({ path, headers });
      expect([answer.status, answer.json()]).toEqual(["401 Unauthorized", MISSING]);
      expect(answer.reached).toBeUndefined();
    });

    test("nor in the URL, whose keys end up in logs", async () => {
      const answer = await system.ask({ path: `/api/v1/accounts?key=${FULL_ACCESS}`, headers: withKey(FULL_ACCESS) });
      const message = "X-API-Key header is required; keys do not belong in URLs.";
      expect([answer.status, answer.json()]).toEqual(["401 Unauthorized", nested("MISSING_API_KEY", message)]);
    });

    test.for(["api_key=1", "access_token=of-something-else", "X-API-Key=1"])(
      "a parameter that is called as a key is enough, beside a valid header: ?%s",
      async (query) => {
        const answer = await system.ask({ path: `/api/v1/accounts?${query}`, headers: withKey(FULL_ACCESS) });
        const message = "X-API-Key header is required; keys do not belong in URLs.";
        expect([answer.status, answer.json()]).toEqual(["401 Unauthorized", nested("MISSING_API_KEY", message)]);
      },
    );
  });

  describe("All authentication errors use the standard error envelope", () => {
    const unknown = exampleKey("nobody");
    test.for([
      {
        scenario: "X-API-Key header missing",
        call: "GET /api/v1/accounts",
        key: "",
        status: "401 Unauthorized",
        body: MISSING,
      },
      {
        scenario: "Key does not start with bb_",
        call: "GET /api/v1/accounts",
        key: `sk_${unknown.slice(3)}`,
        status: "401 Unauthorized",
        body: INVALID,
      },
      {
        scenario: "Key does not match any active key",
        call: "GET /api/v1/accounts",
        key: unknown,
        status: "401 Unauthorized",
        body: INVALID,
      },
      {
        scenario: "Key has been revoked",
        call: "GET /api/v1/accounts",
        key: REVOKED,
        status: "401 Unauthorized",
        body: nested("REVOKED_API_KEY", "API key has been revoked."),
      },
      {
        scenario: "Key scope is insufficient for the endpoint",
        call: "POST /api/v1/rules",
        key: READ_ONLY,
        status: "403 Forbidden",
        body: nested("FORBIDDEN", "API key does not have the required scope: full_access."),
      },
    ])("$scenario: $status, $body.error.code", async ({ call, key, status, body }) => {
      const answer = await send(call, withKey(key));
      expect(answer.status).toBe(status);
      expect(answer.body).toBe(JSON.stringify(body));
      expect(answer.header("content-type")).toBe("application/json; charset=utf-8");
      expect(answer.reached).toBeUndefined();
    });

    test("the example of the envelope, to the letter", async () => {
      const example = `{
  "error": {
    "code": "MISSING_API_KEY",
    "message": "X-API-Key header is required."
  }
}`;
      const answer = await send("GET /api/v1/accounts", {});
      expect(JSON.stringify(answer.json(), undefined, 2)).toBe(example);
    });

    test("a 401 carries a challenge that names the header", async () => {
      const answer = await send("GET /api/v1/accounts", {});
      expect(answer.header("www-authenticate")).toBe('ApiKey realm="breadbox", header="X-API-Key"');
    });
  });

  describe("begin with the bb_ prefix followed by 32 cryptographically random bytes encoded in base62", () => {
    test.for([
      ["the placeholder of the documentation", "bb_your_api_key_here"],
      ["the prefix alone", "bb_"],
      ["the prefix in capitals", DOCUMENTED.replace("bb_", "BB_")],
      ["a digit that base62 does not have", `${DOCUMENTED.slice(0, -1)}-`],
      ["more digits than 32 bytes can make", `bb_${"a".repeat(44)}`],
      ["too few digits", DOCUMENTED.slice(0, -1)],
    ] as const)("%s is refused by its looks", async ([, key]) => {
      const answer = await send("GET /api/v1/accounts", withKey(key));
      expect([answer.status, answer.json()]).toEqual(["401 Unauthorized", INVALID]);
      expect((await system.lineOf(answer))["reason"]).toBe("credential_malformed");
    });
  });

  describe("Each key is assigned one of two scopes", () => {
    test.for(ENDPOINTS)("read_only to $activity", async ({ call, write }) => {
      const answer = await send(call, withKey(READ_ONLY));
      expect(answer.status).toBe(write ? "403 Forbidden" : "200 OK");
      if (write) expect(answer.json()).toMatchObject({ error: { code: "FORBIDDEN" } });
      expect(answer.reached === undefined).toBe(write);
    });

    test.for(ENDPOINTS)("full_access, which reads as well, to $activity", async ({ call }) => {
      const answer = await send(call, withKey(FULL_ACCESS));
      expect(answer.status).toBe("200 OK");
      const [method = "", target = ""] = call.split(" ");
      expect(answer.reached).toMatchObject({ method, target });
    });
  });

  test("Breadbox never stores the full plaintext key", async () => {
    const keys = await readFile(join(system.folder, "keys.yaml"), "utf8");
    const records = keys.replaceAll(/^\s*#.*$/gm, "");
    expect(records).not.toContain("bb_");
    expect(keys.match(/hash: "sha256:[0-9a-f]{64}"/g)).toHaveLength(4);
  });

  test("nor does any log hold one", () => {
    expect(system.written()).toContain("call-1");
    for (const key of [DOCUMENTED, READ_ONLY, FULL_ACCESS, REVOKED])
      expect(system.written()).not.toContain(key.slice(3));
  });

  test("the README's call to try presents a key of keys.yaml", async () => {
    const readme = await readFile(shippedFile("breadbox", "README.md"), "utf8");
    expect(/^curl .*$/m.exec(readme)?.[0]).toContain(DOCUMENTED);
  });
});

describe("Breadbox, with files that say otherwise", () => {
  test.for([
    ["strip", "/api/v1/accounts?limit=1"],
    ["ignore", "/api/v1/accounts?limit=1&access_token=2"],
  ] as const)("credentials.inUrl: %s lets such a request pass, and %s reaches the app", async ([inUrl, target]) => {
    const rewrite = (text: string) => text.replace("[X-API-Key]\n", `[X-API-Key]\n  inUrl: ${inUrl}\n`);
    await withCopy("breadbox", { "latchkey.yaml": rewrite }, async (system) => {
      const path = "/api/v1/accounts?limit=1&access_token=2";
      const answer = await system.ask({ path, headers: withKey(FULL_ACCESS) });
      expect([answer.status, answer.reached?.target]).toEqual(["200 OK", target]);
    });
  });

  test("Any string that does not start with bb_ is immediately rejected: not even one whose digest is registered", async () => {
    const key = `xx${DOCUMENTED.slice(2)}`;
    const record = { id: "no-prefix", hash: sha256Of(key), scopes: "full_access" };
    await withCopy("breadbox", { "keys.yaml": addRecords(record) }, async (system) => {
      const answer = await system.ask({ path: "/api/v1/accounts", headers: withKey(key) });
      expect([answer.status, answer.json()]).toEqual(["401 Unauthorized", INVALID]);
      // Had its digest been computed and looked up, it would have been found.
      expect((await system.lineOf(answer))["reason"]).toBe("credential_malformed");
      const known = await system.ask({ path: "/api/v1/accounts", headers: withKey(DOCUMENTED) });
      expect(known.status).toBe("200 OK");
    });
  });

  test.for([
    ["has expired", { expiresAt: "2020-01-01T00:00:00Z" }],
    ["is not valid yet", { notBefore: "2999-01-01T00:00:00Z" }],
    ["is suspended", { status: "suspended" }],
  ] as const)("Key does not match any active key: one that %s", async ([, fields]) => {
    const key = exampleKey("inactive");
    const record = { id: "inactive", hash: sha256Of(key), scopes: "full_access", ...fields };
    await withCopy("breadbox", { "keys.yaml": addRecords(record) }, async (system) => {
      const answer = await system.ask({ path: "/api/v1/accounts", headers: withKey(key) });
      expect([answer.status, answer.body]).toEqual(["401 Unauthorized", JSON.stringify(INVALID)]);
    });
  });

  test("The full plaintext key is displayed exactly once when you create it, and works at once", async () => {
    await withCopy("breadbox", {}, async (system) => {
      const config = join(system.folder, "latchkey.yaml");
      const args = ["keys", "create", "--config", config, "--id", "new-client", "--scopes", "read_only"];
      const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { encoding: "utf8" });
      expect([status, stderr]).toMatchObject([0, expect.stringContaining("one time")]);
      const key = stdout.trim();
      expect(key).toMatch(/^bb_[0-9A-Za-z]{43}$/);
      expect(key).toHaveLength(46);
      const keys = await readFile(join(system.folder, "keys.yaml"), "utf8");
      expect(keys).not.toContain(key);
      expect(keys).toContain(sha256Of(key));

      await system.program.waitForLine((line) => line["msg"] === "policy reloaded");
      const read = await system.ask({ path: "/api/v1/accounts", headers: withKey(key) });
      const write = await system.ask({ method: "POST", path: "/api/v1/rules", headers: withKey(key) });
      expect([read.status, write.status]).toEqual(["200 OK", "403 Forbidden"]);
    });
  });

  test("then revoke the old key: the next request with it is told so, and no other client is disrupted", async () => {
    const active = (text: string) => text.replace("    status: revoked\n", "");
    await withCopy("breadbox", { "keys.yaml": active }, async (system) => {
      const ask = (key: string) => system.ask({ path: "/api/v1/accounts", headers: withKey(key) });
      expect((await ask(REVOKED)).status).toBe("200 OK");
      await copyFile(shippedFile("breadbox", "keys.yaml"), join(system.folder, "keys.yaml"));
      await system.program.waitForLine((line) => line["msg"] === "policy reloaded");
      const answer = await ask(REVOKED);
      expect([answer.status, answer.json()]).toMatchObject([
        "401 Unauthorized",
        { error: { code: "REVOKED_API_KEY" } },
      ]);
      expect((await ask(FULL_ACCESS)).status).toBe("200 OK");
    });
  });
});
