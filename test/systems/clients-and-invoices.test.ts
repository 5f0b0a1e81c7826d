import { execFile, spawnSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { compare } from "bcryptjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { createFolder, PROGRAM, sha256Of } from "../e2e/harness.ts";
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
import fixture from "./fixtures/php-hashes.json" with { type: "json" };

const SYSTEM = "clients-and-invoices";

type KeyName = keyof typeof fixture.keys;

/** The example key behind a record's digest; PHP made the digest, see fixtures/php-hashes.sh. */
const keyOf = (id: KeyName): string => fixture.keys[id].key;

interface Row {
  readonly id: string;
  readonly hash: string;
  readonly prefix: string;
  readonly scopes?: readonly string[];
  readonly allowIps?: readonly string[];
  readonly expiresAt?: string;
  readonly status?: string;
  readonly rotatedTo?: string;
}

function parseRows(text: string): readonly Row[] {
  const { keys }: { readonly keys: readonly Row[] } = parse(text);
  return keys;
}

const CLIENTS = "/api/v1/clients";
const bearer = (key: string) => ({ Authorization: `Bearer ${key}`, "Content-Type": "application/json" });
const callWith = (key: string, path = CLIENTS, method = "GET"): Call => ({ method, path, headers: bearer(key) });

/** What a refusal says to programs: its status, code and, where scopes lack, which. */
function reasonOf({ status, body }: Answer) {
  const { code, scopes }: { readonly code: string; readonly scopes?: readonly string[] } = JSON.parse(body);
  return scopes === undefined ? { status, code } : { status, code, scopes };
}

describe("config/systems/clients-and-invoices", () => {
  let deployment: Deployment;

  beforeAll(async () => {
    deployment = await deploy(SYSTEM);
  });
  afterAll(async () => {
    await deployment.stop();
  });

  /** Sends it and expects that the upstream does not hear of it. */
  async function refused(call: Call): Promise<Answer> {
    const before = deployment.upstream.requests.length;
    const answer = await send(deployment, call);
    expect(deployment.upstream.requests).toHaveLength(before);
    return answer;
  }

  describe("Keys are stored hashed", () => {
    test("its keys file holds the digests that PHP's password_hash() wrote, and of the keys only the first characters", async () => {
      const text = await readFile(systemFile(SYSTEM, "keys.yaml"), "utf8");
      const rows = parseRows(text);
      const written = Object.entries(fixture.keys).filter(([id]) => id !== "unregistered");
      expect(rows.map(({ id, hash }) => [id, hash]).toSorted()).toEqual(
        written.map(([id, { hash }]) => [id, hash]).toSorted(),
      );
      for (const { hash } of rows) expect(hash).toMatch(/^\$2y\$1[02]\$/);
      for (const { key } of Object.values(fixture.keys)) expect(text).not.toContain(key.slice(0, 9));
    });

    test("the raw key is shown only once, on creation", async () => {
      await withDeployment(deployCopy(SYSTEM), async ({ program, folder = "", ...rest }) => {
        const config = ["--config", join(folder, "latchkey.yaml")];
        const wanted = ["--id", "created", "--scopes", "client.read", "--hash", "bcrypt"];
        const { stdout, stderr } = await promisify(execFile)(process.execPath, [
          ...[PROGRAM, "keys", "create", ...config, ...wanted],
        ]);
        const key = stdout.trim();
        expect(key).toMatch(/^[0-9a-f]{64}$/);
        expect(stderr).not.toContain(key);
        await program.waitForLine((line) => line["msg"] === "policy reloaded");
        expect((await send({ program }, callWith(key))).status).toBe(200);

        const text = await readFile(join(folder, "keys.yaml"), "utf8");
        expect(text).not.toContain(key);
        // "API keys do not expire by default."
        expect(parseRows(text).at(-1)).toEqual({
          id: "created",
          hash: expect.stringMatching(/^\$2[aby]\$/),
          prefix: key.slice(0, 4),
          scopes: ["client.read"],
        });
        expect(rest.upstream.requests).toHaveLength(1);
      });
    });
  });

  describe("Headers", () => {
    test.for([
      { title: "Authorization: Bearer your_64_char_hex_api_key", headers: bearer(keyOf("everything")) },
      { title: "X-API-Key: your_64_char_hex_api_key", headers: { "X-API-Key": keyOf("everything") } },
      {
        title: "both with the same key",
        headers: { ...bearer(keyOf("everything")), "X-API-Key": keyOf("everything") },
      },
    ])("Send your API key in one of two ways: $title", async ({ headers }) => {
      expect((await send(deployment, { path: CLIENTS, headers })).status).toBe(200);
      const reached = deployment.upstream.requests.at(-1);
      expect(reached?.headers["x-latchkey-key-id"]).toBe("everything");
      expect(JSON.stringify(reached)).not.toContain(keyOf("everything"));
    });

    test("two different keys at once are refused, not chosen between", async () => {
      const headers = { ...bearer(keyOf("everything")), "X-API-Key": keyOf("client-read") };
      expect(reasonOf(await refused({ path: CLIENTS, headers }))).toEqual({
        status: 400,
        code: "credential_ambiguous",
      });
    });

    test("All API requests require authentication via an API key", async () => {
      const answer = await refused({ path: CLIENTS });
      expect(reasonOf(answer)).toEqual({ status: 401, code: "credential_missing" });
      expect(answer.values("www-authenticate")).toEqual([
        'Bearer realm="api"',
        'ApiKey realm="api", header="X-API-Key"',
      ]);
      expect(reasonOf(await refused({ path: "/" }))).toEqual({ status: 401, code: "credential_missing" });
    });

    test.for(["api_key", "apiKey", "X-API-Key", "access_token"])(
      "Never put the API key in the URL: ?%s=… is refused, with a key in the header too",
      async (name) => {
        const path = `${CLIENTS}?${name}=${keyOf("everything")}`;
        expect(reasonOf(await refused({ path }))).toEqual({ status: 400, code: "credential_in_url" });
        const both = await refused({ path, headers: bearer(keyOf("everything")) });
        expect(reasonOf(both)).toEqual({ status: 400, code: "credential_in_url" });
      },
    );
  });

  describe("Key format", () => {
    test("API keys are 64 hexadecimal characters (32 bytes), such as a1b2c3d4e5f6…", async () => {
      expect(keyOf("everything")).toMatch(/^a1b2c3d4e5f6[0-9a-f]{52}$/);
      expect((await send(deployment, callWith(keyOf("everything")))).status).toBe(200);
    });

    test.for([
      { title: "63 characters", key: keyOf("everything").slice(1) },
      { title: "65 characters", key: `${keyOf("everything")}0` },
      { title: "a character that is not hexadecimal", key: keyOf("everything").replace("a1", "g1") },
      { title: "a prefix in front", key: `sk_${keyOf("everything").slice(3)}` },
      { title: "the placeholder of the documentation", key: "your_64_char_hex_api_key" },
    ])("anything else is no key: $title", async ({ key }) => {
      expect(reasonOf(await refused(callWith(key)))).toEqual({ status: 401, code: "key_unknown" });
    });

    test("The key is validated by prefix lookup and password_verify(): both must fit", async () => {
      const right = keyOf("client-read");
      const wrongEnd = right.slice(0, -1) + (right.endsWith("0") ? "1" : "0");
      const wrongStart = (right.startsWith("0") ? "1" : "0") + right.slice(1);
      for (const key of [wrongEnd, wrongStart, keyOf("unregistered")]) {
        expect(reasonOf(await refused(callWith(key)))).toEqual({ status: 401, code: "key_unknown" });
      }
      expect((await send(deployment, callWith(right))).status).toBe(200);
    });

    test("keys that begin alike are told apart by their digests", async () => {
      expect(keyOf("twin-a").slice(0, 8)).toBe(keyOf("twin-b").slice(0, 8));
      expect((await send(deployment, callWith(keyOf("twin-a")))).status).toBe(200);
      expect((await send(deployment, callWith(keyOf("twin-b"), "/api/v1/invoices"))).status).toBe(200);
      expect(deployment.upstream.requests.slice(-2).map(({ headers }) => headers["x-latchkey-key-id"])).toEqual([
        "twin-a",
        "twin-b",
      ]);
    });

    test("a digest of the cost that PHP 8.4 chooses is verified as well", async () => {
      expect(fixture.keys.costly.hash).toMatch(/^\$2y\$12\$/);
      expect((await send(deployment, callWith(keyOf("costly")))).status).toBe(200);
    });
  });

  describe("Permissions", () => {
    const ACTIONS = [
      ["GET", "read"],
      ["HEAD", "read"],
      ["POST", "create"],
      ["PUT", "update"],
      ["PATCH", "update"],
      ["DELETE", "delete"],
    ] as const;

    const HOLDERS: readonly { readonly id: KeyName; readonly scopes: readonly string[] }[] = [
      { id: "everything", scopes: ["*"] },
      { id: "all-clients", scopes: ["client.create", "client.read", "client.update", "client.delete"] },
      { id: "client-create", scopes: ["client.create"] },
      { id: "client-read", scopes: ["client.read"] },
      { id: "client-update", scopes: ["client.update"] },
      { id: "client-delete", scopes: ["client.delete"] },
      { id: "all-invoices", scopes: ["invoice.create", "invoice.read", "invoice.update", "invoice.delete"] },
      { id: "invoice-create", scopes: ["invoice.create"] },
      { id: "invoice-read", scopes: ["invoice.read"] },
      {
        id: "back-office",
        scopes: [
          ..."create read update delete".split(" ").map((action) => `client.${action}`),
          "invoice.create",
          "invoice.read",
        ],
      },
    ];

    describe.for(HOLDERS)("the key $id", ({ id, scopes }) => {
      test.for(ACTIONS)("is judged at %s, which is the action %s", async ([method, action]) => {
        for (const [plural, singular] of [
          ["clients", "client"],
          ["invoices", "invoice"],
          ["payments", "payment"],
        ]) {
          const needed = `${singular}.${action}`;
          for (const path of [`/api/v1/${plural}`, `/api/v1/${plural}/42`, `/api/v1/${plural}/42/notes`]) {
            const call = callWith(keyOf(id), path, method);
            if (scopes.includes("*") || scopes.includes(needed)) {
              expect((await send(deployment, call)).status, needed).toBe(200);
              expect(deployment.upstream.requests.at(-1)).toMatchObject({ method, target: path });
            } else {
              const answer = await refused(call);
              expect(answer.status, needed).toBe(403);
              if (method === "HEAD") continue;
              expect(reasonOf(answer)).toEqual({ status: 403, code: "scope_insufficient", scopes: [needed] });
            }
          }
        }
      });
    });

    test.for([
      ["clients", "client"],
      ["invoices", "invoice"],
      ["expenses", "expense"],
      ["companies", "company"],
      ["addresses", "address"],
      ["taxes", "tax"],
      ["branches", "branch"],
      ["warehouses", "warehouse"],
      ["wishes", "wish"],
      ["dishes", "dish"],
      ["statuses", "status"],
      ["status", "status"],
      ["order-statuses", "order-status"],
      ["order-status", "order-status"],
      ["skus", "sku"],
      ["menus", "menu"],
      ["caches", "cache"],
      ["cookies", "cookie"],
      ["movies", "movie"],
      ["quizzes", "quiz"],
      ["series", "series"],
      ["access", "access"],
      ["people", "person"],
      ["api-keys", "api_key"],
      ["recurring-invoices", "recurring-invoice"],
      ["staff", "staff"],
    ])("Resource names map from the URL path: /api/v1/%s asks for %s", async ([plural, singular]) => {
      // This key holds no permission of any resource, so that its refusal names the one that is needed.
      for (const [method, action] of ACTIONS.filter(([name]) => name !== "HEAD")) {
        const answer = await refused(callWith(keyOf("revokes-only"), `/api/v1/${plural}`, method));
        expect(reasonOf(answer)).toEqual({
          status: 403,
          code: "scope_insufficient",
          scopes: [`${singular}.${action}`],
        });
      }
    });

    test.for([
      ["heroes", "heroe"],
      ["calories", "calory"],
      ["children", "children"],
      ["news", "new"],
    ])(
      "a plural that needs a line of its own is refused until it has one, and the answer says what was asked for: %s",
      async ([plural, asked]) => {
        const answer = await refused(callWith(keyOf("revokes-only"), `/api/v1/${plural}`));
        expect(reasonOf(answer)).toEqual({ status: 403, code: "scope_insufficient", scopes: [`${asked}.read`] });
      },
    );

    test("a permission in the plural matches nothing", async () => {
      const key = "c".repeat(64);
      const keys = JSON.stringify({ keys: [{ id: "plural", hash: sha256Of(key), scopes: ["clients.read"] }] });
      const copy = deployCopy(SYSTEM, { "keys: keys.yaml": "keys: plural.json" }, { "plural.json": keys });
      await withDeployment(copy, async (other) => {
        const answer = await send(other, callWith(key));
        expect(reasonOf(answer)).toEqual({ status: 403, code: "scope_insufficient", scopes: ["client.read"] });
      });
    });

    test.for(["/api/v1/client%2E*", "/api/v1/*", "/api/v1/client.read"])(
      "a resource that is no plain name needs a permission nobody but * can hold: %s",
      async (path) => {
        expect((await refused(callWith(keyOf("all-clients"), path))).status).toBe(403);
        expect((await send(deployment, callWith(keyOf("everything"), path))).status).toBe(200);
      },
    );

    test("a method without an action is open to * alone", async () => {
      expect((await refused(callWith(keyOf("all-clients"), CLIENTS, "OPTIONS"))).status).toBe(403);
      expect((await send(deployment, callWith(keyOf("everything"), CLIENTS, "OPTIONS"))).status).toBe(200);
    });

    test.for(["/", "/api/v1", "/api/v2/clients", "/admin"])(
      "outside /api/v1/… no key opens anything: %s",
      async (path) => {
        expect(reasonOf(await refused(callWith(keyOf("everything"), path)))).toEqual({
          status: 403,
          code: "route_unknown",
        });
      },
    );
  });

  describe("IP allowlist", () => {
    test("If set, only requests from listed IPs are allowed", async () => {
      const call = callWith(keyOf("office-only"));
      expect(reasonOf(await refused(call))).toEqual({ status: 403, code: "address_denied" });
      expect(reasonOf(await refused({ ...call, from: "127.0.0.2" }))).toEqual({ status: 403, code: "address_denied" });
      expect((await send(deployment, { ...call, from: "127.0.0.3" })).status).toBe(200);
    });

    test("a header that claims another address changes nothing", async () => {
      const headers = {
        ...bearer(keyOf("office-only")),
        "X-Forwarded-For": "203.0.113.10",
        "X-Real-IP": "203.0.113.10",
      };
      expect((await refused({ path: CLIENTS, headers })).status).toBe(403);
    });

    test("behind a load balancer that is trusted, the client's own address counts", async () => {
      await withDeployment(deployCopy(SYSTEM, { "10.0.0.0/8": "127.0.0.1/32" }), async (other) => {
        const ask = (client: string) =>
          send(other, {
            path: CLIENTS,
            headers: { ...bearer(keyOf("office-only")), "X-Forwarded-For": client },
          });
        expect((await ask("203.0.113.10")).status).toBe(200);
        expect(reasonOf(await ask("203.0.113.11"))).toEqual({ status: 403, code: "address_denied" });
      });
    });

    test.for(["127.0.0.1", "127.0.0.2", "127.0.0.3"])("Empty allowlist = allow all: %s", async (from) => {
      expect((await send(deployment, { ...callWith(keyOf("anywhere")), from })).status).toBe(200);
    });

    test("Stored as JSON array: records exported as JSON are taken as they are", async () => {
      const rows = parseRows(await readFile(systemFile(SYSTEM, "keys.yaml"), "utf8"));
      const copy = deployCopy(
        SYSTEM,
        { "keys: keys.yaml": "keys: keys.json" },
        { "keys.json": JSON.stringify({ keys: rows }) },
      );
      await withDeployment(copy, async (other) => {
        const call = callWith(keyOf("office-only"));
        expect((await send(other, call)).status).toBe(403);
        expect((await send(other, { ...call, from: "127.0.0.3" })).status).toBe(200);
      });
    });
  });

  describe("Token expiry", () => {
    test("API keys do not expire by default: a record without an end has none", async () => {
      const rows = parseRows(await readFile(systemFile(SYSTEM, "keys.yaml"), "utf8"));
      expect(rows.filter(({ expiresAt }) => expiresAt !== undefined).map(({ id }) => id)).toEqual(["expired"]);
    });

    test("a key that was given an end is refused after it", async () => {
      expect(reasonOf(await refused(callWith(keyOf("expired"))))).toEqual({ status: 401, code: "key_expired" });
    });

    test("Use revoke for immediate invalidation: a revoked key is refused", async () => {
      expect(reasonOf(await refused(callWith(keyOf("revoked"))))).toEqual({ status: 401, code: "key_revoked" });
    });
  });

  describe("Key rotation and revoke", () => {
    const operate = (key: string, id: string, operation: string): Call =>
      callWith(key, `/api/v1/api-keys/${id}/${operation}`, "POST");
    const keysText = ({ folder = "" }: Deployment) => readFile(join(folder, "keys.yaml"), "utf8");

    interface Rotated {
      readonly id: string;
      readonly key: string;
      readonly prefix: string;
      readonly rotatedFrom: string;
    }

    test("Rotate creates a new key with the same permissions and revokes the old one", async () => {
      await withDeployment(deployCopy(SYSTEM), async (own) => {
        const old = callWith(keyOf("back-office"));
        expect((await send(own, old)).status).toBe(200);

        const answer = await send(own, operate(keyOf("everything"), "back-office", "rotate"));
        expect(answer.status).toBe(200);
        expect(answer.values("content-type")).toEqual(["application/json; charset=utf-8"]);
        expect(answer.values("cache-control")).toEqual(["no-store"]);
        const rotated: Rotated = JSON.parse(answer.body);
        expect(rotated).toEqual({
          id: "back-office-2",
          key: expect.stringMatching(/^[0-9a-f]{64}$/),
          prefix: rotated.key.slice(0, 8),
          rotatedFrom: "back-office",
        });

        // The very next request.
        expect(reasonOf(await send(own, old))).toEqual({ status: 401, code: "key_revoked" });

        for (const [method, path, status] of [
          ["GET", "/api/v1/clients", 200],
          ["DELETE", "/api/v1/clients/1", 200],
          ["POST", "/api/v1/invoices", 200],
          ["DELETE", "/api/v1/invoices/1", 403],
          ["POST", "/api/v1/api-keys/client-read/rotate", 403],
        ] as const) {
          expect((await send(own, callWith(rotated.key, path, method))).status, `${method} ${path}`).toBe(status);
        }
        // The upstream heard of the key's own requests and of no operation.
        expect(own.upstream.requests.map(({ method, target }) => `${method} ${target}`)).toEqual([
          "GET /api/v1/clients",
          "GET /api/v1/clients",
          "DELETE /api/v1/clients/1",
          "POST /api/v1/invoices",
        ]);
      });
    });

    test("The response includes the new key; it is not shown again", async () => {
      await withDeployment(deployCopy(SYSTEM), async (own) => {
        const rotate = operate(keyOf("everything"), "client-read", "rotate");
        const { key }: Rotated = JSON.parse((await send(own, rotate)).body);
        expect(reasonOf(await send(own, rotate))).toEqual({ status: 409, code: "key_conflict" });
        const files = await Promise.all(
          (await readdir(own.folder ?? "")).map((name) => readFile(join(own.folder ?? "", name), "utf8")),
        );
        expect(files.join()).not.toContain(key);
        expect(JSON.stringify(own.program.lines) + own.program.stderr()).not.toContain(key);
      });
    });

    test("the keys file is rewritten in one piece, its comments and other records kept, the new digest bcrypt too", async () => {
      await withDeployment(deployCopy(SYSTEM), async (own) => {
        const before = await keysText(own);
        const seen = new Set<string>();
        let isDone = false;
        const watching = (async () => {
          while (!isDone) seen.add(await keysText(own));
        })();
        const answer = await send(own, operate(keyOf("everything"), "invoice-read", "rotate"));
        isDone = true;
        await watching;
        const after = await keysText(own);
        // Whoever read the file meanwhile saw the old one or the new one.
        expect([...seen].filter((text) => text !== before && text !== after)).toEqual([]);
        expect((await readdir(own.folder ?? "")).toSorted()).toEqual(["keys.yaml", "latchkey.yaml"]);

        const { id, key, prefix }: Rotated = JSON.parse(answer.body);
        const [oldRows, newRows] = [parseRows(before), parseRows(after)];
        const { hash = "" } = newRows.at(-1) ?? {};
        expect(newRows).toEqual([
          ...oldRows.map((row) => (row.id === "invoice-read" ? { ...row, status: "revoked", rotatedTo: id } : row)),
          { id, prefix, hash, scopes: ["invoice.read"] },
        ]);
        // Of the same version and cost, so that PHP's password_verify() takes it as well.
        expect(hash).toMatch(/^\$2y\$10\$/);
        expect(await compare(key, hash)).toBe(true);
        const lines = new Set(after.split("\n"));
        expect(before.split("\n").filter((line) => !lines.has(line))).toEqual([]);
      });
    });

    test("Revoke immediately invalidates the key", async () => {
      await withDeployment(deployCopy(SYSTEM), async (own) => {
        const call = callWith(keyOf("client-read"));
        expect((await send(own, call)).status).toBe(200);
        const answer = await send(own, operate(keyOf("revokes-only"), "client-read", "revoke"));
        expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { id: "client-read", status: "revoked" }]);
        expect(reasonOf(await send(own, call))).toEqual({ status: 401, code: "key_revoked" });
        expect((await send(own, callWith(keyOf("client-create"), CLIENTS, "POST"))).status).toBe(200);

        const rows = parseRows(await keysText(own));
        expect(rows.find(({ id }) => id === "client-read")?.status).toBe("revoked");
        // Revoking is final.
        const again = await send(own, operate(keyOf("revokes-only"), "client-read", "revoke"));
        expect(reasonOf(again)).toEqual({ status: 409, code: "key_conflict" });
        expect(own.upstream.requests.map(({ method }) => method)).toEqual(["GET", "POST"]);
      });
    });

    test("a key may rotate itself, and is refused from then on", async () => {
      await withDeployment(deployCopy(SYSTEM), async (own) => {
        const rotate = operate(keyOf("rotates-itself"), "rotates-itself", "rotate");
        const { key }: Rotated = JSON.parse((await send(own, rotate)).body);
        expect(reasonOf(await send(own, rotate))).toEqual({ status: 401, code: "key_revoked" });
        expect((await send(own, callWith(key, "/api/v1/invoices"))).status).toBe(200);
        expect((await send(own, operate(key, "rotates-itself-2", "rotate"))).status).toBe(200);
      });
    });

    test("of two rotations at once one succeeds, and only one new key is valid", async () => {
      await withDeployment(deployCopy(SYSTEM), async (own) => {
        const rotate = operate(keyOf("everything"), "client-read", "rotate");
        const answers = await Promise.all([send(own, rotate), send(own, rotate)]);
        expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409]);
        const ids = parseRows(await keysText(own)).map(({ id }) => id);
        expect(ids.filter((id) => id.startsWith("client-read"))).toEqual(["client-read", "client-read-2"]);
      });
    });

    test("an id that no key has is a 404 in the same envelope", async () => {
      for (const operation of ["rotate", "revoke"]) {
        const answer = await refused(operate(keyOf("everything"), "nobody", operation));
        expect(reasonOf(answer)).toEqual({ status: 404, code: "key_not_found" });
        expect(answer.values("content-type")).toEqual(["application/problem+json"]);
      }
    });

    test.for([
      { id: "all-clients", operation: "rotate", lacking: "api_key.rotate" },
      { id: "all-clients", operation: "revoke", lacking: "api_key.revoke" },
      { id: "rotates-itself", operation: "revoke", lacking: "api_key.revoke" },
      { id: "revokes-only", operation: "rotate", lacking: "api_key.rotate" },
    ] as const)("the key $id may not $operation: it lacks $lacking", async ({ id, operation, lacking }) => {
      for (const target of ["client-read", "nobody"]) {
        const answer = await refused(operate(keyOf(id), target, operation));
        expect(reasonOf(answer)).toEqual({ status: 403, code: "scope_insufficient", scopes: [lacking] });
      }
    });

    test("without a key nobody learns which ids there are", async () => {
      const [known, unknown] = await Promise.all(
        ["client-read", "nobody"].map((id) => refused({ method: "POST", path: `/api/v1/api-keys/${id}/rotate` })),
      );
      if (known === undefined || unknown === undefined) throw new Error("two requests have two answers");
      expect(reasonOf(known)).toEqual({ status: 401, code: "credential_missing" });
      const withoutId = (answer: Answer) => ({
        ...traitsOf(answer),
        body: answer.body.replace(/"requestId":"[^"]*"/, ""),
      });
      expect(withoutId(known)).toEqual(withoutId(unknown));
    });

    test("nobody gains by rotating: a key that may do more than the caller's stays as it is", async () => {
      const answer = await refused(operate(keyOf("key-admin"), "everything", "rotate"));
      expect(reasonOf(answer)).toEqual({ status: 403, code: "scope_insufficient", scopes: ["*"] });
      expect((await send(deployment, callWith(keyOf("everything")))).status).toBe(200);
    });

    test("a rotated key ends on the day its predecessor would have, and an expired one is not rotated", async () => {
      const hash = sha256Of("d".repeat(64));
      const record = { id: "ending", hash, scopes: ["client.read"], expiresAt: "2099-12-31T00:00:00Z" };
      const copy = deployCopy(
        SYSTEM,
        { "keys: keys.yaml": "keys: { files: [keys.yaml, more.json] }" },
        { "more.json": JSON.stringify({ keys: [record] }) },
      );
      await withDeployment(copy, async (own) => {
        expect((await send(own, operate(keyOf("everything"), "ending", "rotate"))).status).toBe(200);
        const rows = parseRows(await readFile(join(own.folder ?? "", "more.json"), "utf8"));
        expect(rows.map(({ id, expiresAt }) => [id, expiresAt])).toEqual([
          ["ending", record.expiresAt],
          ["ending-2", record.expiresAt],
        ]);
        const expired = await send(own, operate(keyOf("everything"), "expired", "rotate"));
        expect(reasonOf(expired)).toEqual({ status: 409, code: "key_conflict" });
      });
    });

    test("api_key.* covers both operations", async () => {
      await withDeployment(deployCopy(SYSTEM), async (own) => {
        expect((await send(own, operate(keyOf("key-admin"), "all-clients", "rotate"))).status).toBe(200);
        expect((await send(own, operate(keyOf("key-admin"), "all-invoices", "revoke"))).status).toBe(200);
      });
    });
  });

  describe("Invalid keys are limited for each address", () => {
    test("and when that is spent, no key whose slow hash is still to be computed passes from there", async () => {
      const fast = "e".repeat(64);
      const record = { id: "fast", hash: sha256Of(fast), scopes: ["client.read"] };
      const copy = deployCopy(
        SYSTEM,
        { "keys: keys.yaml": "limits: { failures: 2/hour }\nkeys: { files: [keys.yaml, more.json] }" },
        { "more.json": JSON.stringify({ keys: [record] }) },
      );
      await withDeployment(copy, async (other) => {
        expect((await send(other, callWith(keyOf("all-clients")))).status).toBe(200);
        for (const key of ["no key", keyOf("unregistered")]) {
          expect((await send(other, callWith(key))).status).toBe(401);
        }
        const exceeded = { status: 429, code: "failures_exceeded" };
        expect(reasonOf(await send(other, callWith(keyOf("client-read"))))).toEqual(exceeded);
        const revoke = callWith(keyOf("everything"), "/api/v1/api-keys/client-read/revoke", "POST");
        expect(reasonOf(await send(other, revoke))).toEqual(exceeded);
        // Verified a moment ago, found by its digest, from another address.
        expect((await send(other, callWith(keyOf("all-clients")))).status).toBe(200);
        expect((await send(other, callWith(fast))).status).toBe(200);
        expect((await send(other, { ...callWith(keyOf("client-read")), from: "127.0.0.2" })).status).toBe(200);
      });
    });
  });

  describe("Rows of the app's own table", () => {
    const row = { id: "17", prefix: "4f91c672", hash: fixture.keys["all-clients"].hash, scopes: ["client.*"] };
    const check = async (more: Readonly<Record<string, unknown>>): Promise<number> => {
      const folder = await createFolder();
      await folder.write("latchkey.yaml", await readFile(systemFile(SYSTEM, "latchkey.yaml"), "utf8"));
      await folder.write("keys.yaml", JSON.stringify({ keys: [{ ...row, ...more }] }));
      const args = [PROGRAM, "check", "--strict", "--config", join(folder.path, "latchkey.yaml")];
      const { status } = spawnSync(process.execPath, args);
      await folder.remove();
      return status ?? -1;
    };

    test("a bcrypt hash, a prefix and an array of addresses are taken as they are", async () => {
      expect(await check({ allowIps: ["203.0.113.10"], expiresAt: "2099-01-01T00:00:00Z" })).toBe(0);
    });

    test.for([
      ["a number as the id", { id: 17 }],
      ["NULL for an allowlist", { allowIps: null }],
      ["an array within a text", { allowIps: '["203.0.113.10"]' }],
      ["a time as SQL writes it", { expiresAt: "2099-01-01 00:00:00" }],
      ["an argon2id hash", { hash: "$argon2id$v=19$m=65536,t=4,p=1$c29tZXNhbHRzb21l$bm90IGEgcmVhbCBvbmU" }],
      ["another column", { created_at: "2099-01-01T00:00:00Z" }],
    ] as const)("%s is not", async ([, more]) => {
      expect(await check(more)).toBe(1);
    });
  });

  test("no key that was presented stands in the log", () => {
    const log = JSON.stringify(deployment.program.lines) + deployment.program.stderr();
    for (const { key } of Object.values(fixture.keys)) expect(log).not.toContain(key);
  });
});
