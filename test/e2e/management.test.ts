import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
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

const ADMIN = "lk_adminadminadminadminadminadmin00";
const CLERK = "lk_clerkclerkclerkclerkclerkclerk00";
const SHOP = "lk_shopshopshopshopshopshopshop0000";
const OTHER = "lk_otherotherotherotherotherothe00";

const CONFIG = (upstreamUrl: string) => `
upstream: ${upstreamUrl}
keyFormats: "lk_{secret:base62(30..40)}"
routes:
  - { match: "* /**", authenticated: true }
management:
  path: /api/keys
  scopes: { rotate: keys.rotate, revoke: keys.revoke, suspend: keys.suspend, resume: keys.suspend }
keys: keys.yaml
`;

const KEYS = `# Keys of the shop. Edited by hand.
keys:
  - id: admin
    hash: "${sha256Of(ADMIN)}"
    tenant: shop
    scopes: ["*"]
  # May manage, but not do what the shop does.
  - { id: clerk, hash: "${sha256Of(CLERK)}", scopes: ["keys.*"] }
  - id: shop      # the till
    hash: "${sha256Of(SHOP)}"
    tenant: shop
    scopes: ["orders:write"]
    limits: 100/minute

  - { id: other, hash: "${sha256Of(OTHER)}", tenant: elsewhere, scopes: ["keys.rotate"] }
`;

describe("the built program, key operations over HTTP", () => {
  let upstream: Upstream;
  let folder: Folder;
  let program: Program;

  beforeAll(async () => {
    upstream = await startUpstream();
  });
  beforeEach(async () => {
    upstream.requests.length = 0;
    folder = await createFolder();
    await folder.write("keys.yaml", KEYS);
    program = await startProgram(await folder.write("latchkey.yaml", CONFIG(upstream.url)));
    return async () => {
      await program.stop();
      await folder.remove();
    };
  });
  afterAll(() => upstream.close());

  const keysFile = () => readFile(join(folder.path, "keys.yaml"), "utf8");

  /** The status and JSON body of an answer. */
  async function call(credential: string, path: string, method = "POST"): Promise<readonly [number, Body]> {
    const response = await fetch(`${program.url}${path}`, { method, headers: { "x-api-key": credential } });
    const body: Body = JSON.parse(await response.text());
    return [response.status, body];
  }
  type Body = Readonly<Record<string, unknown>>;

  test("rotate hands out the new key once, with the old one's scopes, and refuses the old one from the next request", async () => {
    const [status, body] = await call(ADMIN, "/api/keys/shop/rotate");
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: "shop-2", rotatedFrom: "shop" });
    expect((await call(SHOP, "/x", "GET"))[0]).toBe(401);
    expect((await call(String(body["key"]), "/x", "GET"))[0]).toBe(200);
    expect(upstream.requests.map(({ target }) => target)).toEqual(["/x"]);
    expect(upstream.requests[0]?.headers["x-latchkey-scopes"]).toBe("orders:write");

    const text = await keysFile();
    for (const kept of ["# Keys of the shop. Edited by hand.", "# May manage", "id: shop      # the till"]) {
      expect(text).toContain(kept);
    }
    expect(text).toContain("rotatedTo: shop-2");
    expect(text).not.toContain(String(body["key"]));
    expect((await stat(join(folder.path, "keys.yaml"))).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(program.lines)).not.toContain(String(body["key"]));
  });

  test("suspend, resume and revoke take effect before they answer", async () => {
    expect(await call(ADMIN, "/api/keys/shop/suspend")).toEqual([200, { id: "shop", status: "suspended" }]);
    expect((await call(SHOP, "/x", "GET"))[0]).toBe(403);
    expect(await call(ADMIN, "/api/keys/shop/resume")).toEqual([200, { id: "shop", status: "active" }]);
    expect((await call(SHOP, "/x", "GET"))[0]).toBe(200);
    expect(await call(ADMIN, "/api/keys/shop/revoke")).toEqual([200, { id: "shop", status: "revoked" }]);
    expect((await call(SHOP, "/x", "GET"))[1]).toMatchObject({ code: "key_revoked" });
  });

  test("an operation whose body was announced and not asked for ends the connection", async () => {
    const head = `Host: a\r\nX-API-Key: ${ADMIN}\r\n`;
    const operation = `POST /api/keys/shop/suspend HTTP/1.1\r\n${head}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`;
    const answer = parseResponse(await exchangeBytes(program.port, operation));
    expect([answer.status, answer.values("connection")]).toEqual([200, ["close"]]);
  });

  test("a caller without the scope, or with less than the key it would get, is refused: scope_insufficient", async () => {
    expect((await call(SHOP, "/api/keys/admin/rotate"))[1]).toMatchObject({ code: "scope_insufficient" });
    const [status, body] = await call(CLERK, "/api/keys/shop/rotate");
    expect([status, body["scopes"]]).toEqual([403, ["orders:write"]]);
    expect((await call(CLERK, "/api/keys/shop/revoke"))[0]).toBe(200);
  });

  test("keys that do not exist, or are another tenant's, are not found: key_not_found", async () => {
    expect((await call(ADMIN, "/api/keys/nobody/rotate"))[1]).toMatchObject({ status: 404, code: "key_not_found" });
    expect((await call(OTHER, "/api/keys/shop/rotate"))[1]).toMatchObject({ status: 404, code: "key_not_found" });
  });

  test("revoked is final: key_conflict", async () => {
    await call(ADMIN, "/api/keys/shop/revoke");
    expect((await call(ADMIN, "/api/keys/shop/rotate"))[1]).toMatchObject({ status: 409, code: "key_conflict" });
    expect((await call(ADMIN, "/api/keys/admin/resume"))[1]).toMatchObject({ status: 409, code: "key_conflict" });
  });

  test("a keys file that cannot be changed says so and changes nothing: keys_not_writable", async () => {
    await rm(join(folder.path, "keys.yaml"));
    expect((await call(ADMIN, "/api/keys/shop/revoke"))[1]).toMatchObject({ status: 503, code: "keys_not_writable" });
    expect((await call(SHOP, "/x", "GET"))[0]).toBe(200);
  });

  test("while the files do not load nothing is changed, nor once they do again", async () => {
    const broken = `${CONFIG(upstream.url)}oops: 1\n`;
    await folder.write("latchkey.yaml", broken);
    for (const operation of ["rotate", "revoke", "suspend"]) {
      const [status, body] = await call(ADMIN, `/api/keys/shop/${operation}`);
      expect([status, body["code"]]).toEqual([503, "keys_not_writable"]);
      expect(await keysFile()).toBe(KEYS);
    }
    await folder.write("latchkey.yaml", `${CONFIG(upstream.url)}log: { level: debug }\n`);
    await program.waitForLine((line) => line["msg"] === "policy reloaded");
    expect((await call(SHOP, "/x", "GET"))[0]).toBe(200);
  });

  test("a key with the longest of ids can be rotated, again and again", async () => {
    const longest = `till-${"x".repeat(123)}`;
    await folder.write("keys.yaml", KEYS.replace("id: shop ", `id: ${longest} `));
    await program.waitForLine((line) => line["msg"] === "policy reloaded");
    let id = longest;
    for (const ending of ["-2", "-3"]) {
      const [status, body] = await call(ADMIN, `/api/keys/${id}/rotate`);
      id = String(body["id"]);
      expect([status, id]).toEqual([200, longest.slice(0, -2) + ending]);
    }
  });

  test("what is suspended stays so, and what has expired is not made anew by rotation", async () => {
    await folder.write(
      "keys.yaml",
      `${KEYS}  - { id: old, tenant: shop, hash: "${sha256Of("old")}", expiresAt: 2024-01-01T00:00:00Z }\n`,
    );
    await program.waitForLine((line) => line["msg"] === "policy reloaded");
    await call(ADMIN, "/api/keys/shop/suspend");
    const [status, body] = await call(ADMIN, "/api/keys/shop/rotate");
    expect(status).toBe(200);
    expect((await call(String(body["key"]), "/x", "GET"))[1]).toMatchObject({ code: "key_suspended" });
    expect((await call(ADMIN, "/api/keys/old/rotate"))[1]).toMatchObject({ status: 409, code: "key_conflict" });
  });

  test("a key is replaced by one for the same deployment, or not at all", async () => {
    const live = "bk_live_11111111111111111111111111111111";
    const test = "bk_test_22222222222222222222222222222222";
    const known = "bk_test_33333333333333333333333333333333";
    const config = (accept: string) =>
      CONFIG(upstream.url).replace(
        /keyFormats: .*/,
        `keyFormats: "bk_{environment:live|test}_{secret:hex(32)}"\naccept: ${accept}`,
      );
    await folder.write(
      "keys.yaml",
      `keys:
  - { id: admin, hash: "${sha256Of(live)}", scopes: ["*"] }
  - { id: tester, hash: "${sha256Of(test)}", scopes: ["orders:write"] }
  - { id: known, hash: "${sha256Of(known)}", scopes: ["orders:write"], prefix: bk_test_3 }
`,
    );
    await folder.write("latchkey.yaml", config("{ environment: [live, test] }"));
    await program.waitForLine((line) => line["msg"] === "policy reloaded");

    expect(await call(live, "/api/keys/tester/rotate")).toEqual([
      409,
      expect.objectContaining({ code: "key_conflict" }),
    ]);
    expect((await call(test, "/x", "GET"))[0]).toBe(200);
    expect(await call(live, "/api/keys/known/rotate")).toEqual([
      200,
      expect.objectContaining({
        key: expect.stringMatching(/^bk_test_/),
        prefix: expect.stringMatching(/^bk_test_.$/),
      }),
    ]);
  });

  test("ten rotations at once are done one after the other, and every record survives", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => call(ADMIN, "/api/keys/shop/rotate")));
    // The first one revokes what the others name.
    expect(answers.map(([status]) => status).sort()).toEqual([200, ...Array.from({ length: 9 }, () => 409)]);
    const ids = [...(await keysFile()).matchAll(/id: ([\w-]+)/g)].map(([, id]) => id);
    expect(ids).toEqual(["admin", "clerk", "shop", "other", "shop-2"]);
  });
});
