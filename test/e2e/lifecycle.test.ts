import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createFolder,
  type Folder,
  PROGRAM,
  type Program,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "./harness.ts";

const ONE = "lk_11111111111111111111111111111111";
const TWO = "lk_22222222222222222222222222222222";

// As many looks at the connections of a drain as Node takes for a leak of listeners, and some.
const SLOW_MS = 1_000;

const CONFIG = (upstreamUrl: string, more = "") => `
upstream: ${upstreamUrl}
routes:
  - { match: "* /**", authenticated: true }
limits: { failures: 1000000/minute }
keys: keys.yaml
${more}`;

const keysOf = (...credentials: readonly string[]) =>
  `keys:\n${credentials.map((credential) => `  - { id: "${credential.slice(3, 5)}", hash: "${sha256Of(credential)}" }\n`).join("")}`;

/** The status a key gets. */
const ask = async (program: Program, credential: string): Promise<number> => {
  const response = await fetch(`${program.url}/x`, { headers: { "x-api-key": credential } });
  await response.arrayBuffer();
  return response.status;
};

describe("the built program, over its life", () => {
  let upstream: Upstream;
  let folder: Folder;

  beforeAll(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.url === "/slow") setTimeout(() => response.end("slow but whole"), SLOW_MS);
      else response.end(JSON.stringify(request.headers));
    });
    folder = await createFolder();
  });
  afterAll(async () => {
    await upstream.close();
    await folder.remove();
  });

  /** A program with its own files. */
  async function withProgram(keys: string, use: (program: Program, own: Folder) => Promise<void>, more = "") {
    const own = await createFolder();
    await own.write("keys.yaml", keys);
    const program = await startProgram(await own.write("latchkey.yaml", CONFIG(upstream.url, more)));
    try {
      await use(program, own);
    } finally {
      await program.stop();
      await own.remove();
    }
  }

  test("takes up a changed keys file, and keeps the last good one when the next is bad", async () => {
    await withProgram(keysOf(ONE), async (program, own) => {
      expect([await ask(program, ONE), await ask(program, TWO)]).toEqual([200, 401]);

      await own.write("keys.yaml", keysOf(TWO));
      await program.waitForLine((line) => line["msg"] === "policy reloaded");
      expect([await ask(program, ONE), await ask(program, TWO)]).toEqual([401, 200]);

      await own.write("keys.yaml", "keys:\n  - { id: broken, hsah: 1 }\n");
      const rejected = await program.waitForLine((line) => line["level"] === "error");
      expect(JSON.stringify(rejected)).toContain("hsah");
      expect([await ask(program, ONE), await ask(program, TWO)]).toEqual([401, 200]);
      const metrics = await (await fetch(`${program.adminUrl}/metrics`)).text();
      expect(metrics).toContain("latchkey_config_last_reload_success 0");
      expect(metrics).toContain('latchkey_config_reloads_total{result="failure"} 1');
    });
  });

  test("reloads at SIGHUP and after a file is renamed over", async () => {
    await withProgram(keysOf(ONE), async (program, own) => {
      await writeFile(join(own.path, "next.yaml"), keysOf(ONE, TWO), { mode: 0o600 });
      await rename(join(own.path, "next.yaml"), join(own.path, "keys.yaml"));
      program.process.kill("SIGHUP");
      const line = await program.waitForLine((candidate) => candidate["msg"] === "policy reloaded");
      expect(JSON.stringify(line["changes"])).toContain("22");
      expect(await ask(program, TWO)).toBe(200);
    });
  });

  test("names in the line of a reload what it changed in the settings", async () => {
    await withProgram(keysOf(ONE), async (program, own) => {
      await own.write("latchkey.yaml", CONFIG(upstream.url, "drain: { delay: 3s }\nlog: { requests: none }\n"));
      const line = await program.waitForLine(({ msg }) => msg === "policy reloaded");
      expect(line["changes"]).toEqual(["drain.delay changed from 0s to 3s", "log.requests changed from all to none"]);
    });
  });

  test("keeps what was spent of a limit over a reload", async () => {
    const limited = (limit: string) => `${keysOf(ONE)}    # ${limit}\n`.replace(" }", `, limits: ["${limit}"] }`);
    await withProgram(limited("3/hour"), async (program, own) => {
      expect([await ask(program, ONE), await ask(program, ONE)]).toEqual([200, 200]);
      await own.write("keys.yaml", limited("4/hour"));
      await program.waitForLine((line) => line["msg"] === "policy reloaded");
      const statuses = [await ask(program, ONE), await ask(program, ONE), await ask(program, ONE)];
      expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(2);
      expect(statuses.at(-1)).toBe(429);
    });
  });

  test("keeps what was spent, refused and slowly verified over reloads of a file that a thread of its own loads", async () => {
    const [verified, unverified] = [`slow_a_${"1".repeat(32)}`, `slow_b_${"2".repeat(32)}`];
    const others = Array.from({ length: 200 }, (_, index) => `lk_${String(index).padStart(32, "0")}`);
    const slowly = [verified, unverified].map(
      (credential) =>
        `  - { id: ${credential.slice(0, 6)}, prefix: ${credential.slice(0, 7)}, hash: "${hashSync(credential, 4)}" }\n`,
    );
    const records = (limit: string) =>
      `keys:\n  - { id: one, hash: "${sha256Of(ONE)}", limits: ["${limit}"] }\n${slowly.join("")}` +
      others.map((credential, index) => `  - { id: other-${index}, hash: "${sha256Of(credential)}" }\n`).join("");
    const folder = await createFolder();
    await folder.write("keys.yaml", records("3/hour"));
    const main = CONFIG(upstream.url).replace("1000000/minute", "2/hour");
    const program = await startProgram(await folder.write("latchkey.yaml", main));
    try {
      const seen = new Set<unknown>();
      const reloadTo = async (limit: string) => {
        await folder.write("keys.yaml", records(limit));
        const line = await program.waitForLine(({ msg, revision }) => msg === "policy reloaded" && !seen.has(revision));
        seen.add(line["revision"]);
      };
      expect([await ask(program, ONE), await ask(program, ONE), await ask(program, verified)]).toEqual([200, 200, 200]);
      // From an address over its budget nothing is hashed slowly: only what was verified before still passes.
      expect([await ask(program, TWO), await ask(program, TWO), await ask(program, TWO)]).toEqual([401, 401, 429]);
      expect([await ask(program, verified), await ask(program, unverified)]).toEqual([200, 429]);

      await reloadTo("2/hour");
      expect([await ask(program, ONE), await ask(program, verified), await ask(program, unverified)]).toEqual([
        429, 200, 429,
      ]);
      await reloadTo("4/hour");
      expect([await ask(program, ONE), await ask(program, ONE), await ask(program, ONE)]).toEqual([200, 200, 429]);
      expect([await ask(program, verified), await ask(program, unverified)]).toEqual([200, 429]);
    } finally {
      await program.stop();
      await folder.remove();
    }
  });

  test("finishes what is in flight at SIGTERM, and fails readiness meanwhile", async () => {
    await withProgram(
      keysOf(ONE),
      async (program) => {
        const slow = fetch(`${program.url}/slow`, { headers: { "x-api-key": ONE } });
        await expect.poll(() => upstream.requests.at(-1)?.target).toBe("/slow");
        const stopped = program.stop();
        await program.waitForLine((line) => line["msg"] === "draining");
        expect((await fetch(`${program.adminUrl}/readyz`)).status).toBe(503);
        expect((await fetch(`${program.adminUrl}/livez`)).status).toBe(200);
        expect(await (await slow).text()).toBe("slow but whole");
        expect(await stopped).toBe(0);
        expect(program.stderr()).toBe("");
      },
      "drain: { delay: 200ms, timeout: 5s }",
    );
  });

  test("answers health and metrics, and nothing more without the admin token", async () => {
    const more = `admin: { token: "${sha256Of("admin-secret")}", probes: { app: /healthz } }`;
    await withProgram(
      keysOf(ONE),
      async (program, own) => {
        await ask(program, ONE);
        await ask(program, "nonsense");
        const get = (path: string, init?: RequestInit) => fetch(`${program.adminUrl}${path}`, init);
        expect((await get("/livez")).status).toBe(200);
        expect(await (await get("/readyz")).json()).toMatchObject({ status: "ready" });
        const metrics = await (await get("/metrics")).text();
        expect(metrics).toContain(
          'latchkey_requests_total{route="* /**",decision="allow",reason="",status="200",via="proxy"} 1',
        );
        expect(metrics).toContain('reason="key_unknown",status="401",via="proxy"} 1');
        expect((await get("/probe/app")).status).toBe(200);
        expect(upstream.requests.at(-1)?.target).toBe("/healthz");
        expect((await get("/probe/other")).status).toBe(404);
        for (const path of ["/", "/api/keys", "/-/reload"]) expect((await get(path)).status).toBe(401);
        expect((await get("/-/reload", { method: "POST" })).status).toBe(401);
        const reload = { method: "POST", headers: { authorization: "Bearer admin-secret" } };
        const outcomeOf = async () => {
          const answer = await get("/-/reload", reload);
          return { status: answer.status, outcome: await answer.json() };
        };
        expect(await outcomeOf()).toEqual({ status: 200, outcome: { kind: "unchanged" } });
        await own.write("keys.yaml", keysOf(ONE, TWO));
        expect(await outcomeOf()).toMatchObject({
          status: 200,
          outcome: { kind: expect.stringMatching(/swapped|unch/) },
        });
        await own.write("keys.yaml", "keys: [{ id: 5");
        const refused = await outcomeOf();
        expect(refused).toMatchObject({ status: 422, outcome: { kind: "rejected" } });
        expect(JSON.stringify(refused.outcome)).toContain("keys.yaml");
      },
      more,
    );
  });

  test("verifies bcrypt keys as PHP and others write them, and refuses what might have been one no faster", async () => {
    const credential = "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6a1b2";
    const digest = hashSync(credential, 4).replace(/^\$2.\$/, "$2y$$");
    const keys = `keys:\n  - { id: php, prefix: a1b2c3d4, hash: "${digest}" }\n`;
    await withProgram(keys, async (program) => {
      const statuses = await Promise.all(Array.from({ length: 8 }, () => ask(program, credential)));
      expect(new Set(statuses)).toEqual(new Set([200]));
      const timed = async (wrong: string) => {
        const before = performance.now();
        expect(await ask(program, wrong)).toBe(401);
        return performance.now() - before;
      };
      const [known, unknown, malformed] = [
        await timed(`a1b2c3d4${"0".repeat(56)}`),
        await timed("f".repeat(64)),
        await timed("a,b"),
      ];
      for (const elapsed of [known, unknown, malformed]) expect(elapsed).toBeGreaterThan(230);
    });
  });

  test("signs who the caller is, verifiable by the keys it publishes", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const pem = await folder.write("sign.pem", String(privateKey.export({ type: "pkcs8", format: "pem" })));
    const assertion = `{ header: X-Latchkey-Assertion, algorithm: EdDSA, key: "${pem}", audience: billing, ttl: 60s }`;
    await withProgram(
      keysOf(ONE),
      async (program) => {
        const response = await fetch(`${program.url}/x`, {
          headers: { "x-api-key": ONE, "x-latchkey-assertion": "forged" },
        });
        const seen: unknown = await response.json();
        const token =
          typeof seen === "object" && seen !== null && "x-latchkey-assertion" in seen
            ? String(seen["x-latchkey-assertion"])
            : "";
        const published = await fetch(`${program.adminUrl}/.well-known/jwks.json`);
        const keys: JSONWebKeySet = JSON.parse(await published.text());
        const { payload } = await jwtVerify(token, createLocalJWKSet(keys), { audience: "billing" });
        expect(payload.sub).toBe("11");
        expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
        expect(JSON.stringify(keys)).not.toContain('"d"');
      },
      `identity: { assertion: ${assertion} }`,
    );
  });

  test("does not start on a bad config, and says where and what at once", async () => {
    const bad = await folder.write(
      "bad.yaml",
      "upstream: http://127.0.0.1:1\nroutes:\n  - { mach: GET /, public: true }\n  - 5\n",
    );
    const { status, stderr } = spawnSync(process.execPath, [PROGRAM, "serve", "--config", bad], { encoding: "utf8" });
    expect(status).toBe(1);
    for (const told of ["bad.yaml:3", "mach", "match", "bad.yaml:4"]) expect(stderr).toContain(told);
  });

  test("does not start on an address in use, and says what to do", async () => {
    await withProgram(keysOf(ONE), async (program, own) => {
      const args = ["serve", "--config", join(own.path, "latchkey.yaml"), "--listen", `127.0.0.1:${program.port}`];
      const { status, stderr } = spawnSync(process.execPath, [PROGRAM, ...args, "--admin", "off"], {
        encoding: "utf8",
      });
      expect(status).toBe(1);
      expect(stderr).toContain("--listen");
    });
  });

  test.each([
    ["20.20.2", 1],
    ["24.11.9", 1],
    ["24.12.0", 0],
    ["27.0.0", 0],
  ])("says so where Node is too old: %s", (version, expected) => {
    const pretend = `Object.defineProperty(process.versions, "node", { value: "${version}" });`;
    const args = ["--import", `data:text/javascript,${encodeURIComponent(pretend)}`, PROGRAM, "--version"];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(status).toBe(expected);
    expect(stderr.includes(`Node ${version} is too old: 24.12 or later`)).toBe(expected === 1);
  });
});
