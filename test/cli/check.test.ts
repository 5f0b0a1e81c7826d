import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { createDirectory, run } from "./run.ts";

const GOOD = `upstream: http://127.0.0.1:3000
limits: 100/minute
keyFormats: "lk_{secret:base62(40)}"
routes:
  - { match: "GET /health", public: true }
  - { match: "* /**", authenticated: true }
keys: keys.yaml
`;
const KEYS = `keys:
  - { id: a, hash: "sha256:${"a".repeat(64)}" }
  - { id: b, hash: "sha256:${"b".repeat(64)}", limits: 5/minute, status: suspended }
`;
const BAD = GOOD.replace("upstream:", "upstrem:").replace("GET /health", "GET health");
const WARNED = GOOD.replace("    - { match", "  - { match").replace(
  '  - { match: "GET /health", public: true }\n',
  '  - { match: "* /**", authenticated: true }\n',
);

async function check(main: string, ...flags: readonly string[]) {
  const directory = await createDirectory({ "latchkey.yaml": main, "keys.yaml": KEYS });
  return run(["check", "--config", `${directory}/latchkey.yaml`, ...flags]);
}

describe("latchkey check", () => {
  test("sums up a good config in facts that are true of it", async () => {
    const { code, out } = await check(GOOD);
    expect(code).toBe(0);
    expect(out).toMatch(/is valid, revision [0-9a-f]{12}\n/);
    expect(out).toContain("routes       2, of which 1 public");
    expect(out).toContain("keys         2 (2 sha256), 1 suspended or revoked");
    expect(out).toContain("key formats  lk_{secret:base62(40)}");
    expect(out).toContain("limits       100/minute (1 key); 5/minute (1 key)");
    expect(out).toContain("→ http://127.0.0.1:3000, admin 127.0.0.1:9090");
  });

  test("counts the routes that stand in the file, not those that management adds", async () => {
    const { out } = await check(`${GOOD}management: { path: /keys, scopes: manage }\n`);
    expect(out).toContain("routes       2, of which 1 public");
  });

  test("names every error with its line, and fails", async () => {
    const { code, out } = await check(BAD);
    expect(code).toBe(1);
    expect(out).toMatch(/latchkey\.yaml:1:1: error: upstrem: /);
    expect(out).toContain("upstream");
    expect(out).not.toContain("is valid");
    expect(out).toMatch(/\n\d errors?\n$/);
  });

  test("and serve tell a config's errors in the same form, with their number", async () => {
    const directory = await createDirectory({ "latchkey.yaml": BAD.replace("GET health", "GET /health") });
    const config = `${directory}/latchkey.yaml`;
    const { code, out, err } = await run(["serve", "--config", config]);
    expect([code, out]).toEqual([1, ""]);
    const checked = await run(["check", "--config", config]);
    // Serving keeps no text of the files to show lines from.
    const withoutLines = checked.out.replaceAll(/^ +\d* \|.*\n/gm, "");
    expect(err).toBe(withoutLines);
    expect(err).toMatch(/\n\n\d errors?\n$/);
  });

  test("tells programs the same in JSON", async () => {
    const good: unknown = JSON.parse((await check(GOOD, "--json")).out);
    expect(good).toMatchObject({ valid: true, diagnostics: [], summary: { keys: { total: 2 }, routes: { total: 2 } } });
    const bad: unknown = JSON.parse((await check(BAD, "--json")).out);
    expect(bad).toMatchObject({ valid: false, summary: null });
    expect(bad).toHaveProperty(
      "diagnostics",
      expect.arrayContaining([expect.objectContaining({ path: "upstrem", line: 1 })]),
    );
  });

  test("passes with warnings, unless told to be strict", async () => {
    const lenient = await check(WARNED);
    expect(lenient.code).toBe(0);
    expect(lenient.out).toContain("can never match");
    expect(lenient.out).toContain("1 warning; the config is valid");
    expect((await check(WARNED, "--strict")).code).toBe(1);
  });

  describe("with a shadow policy", () => {
    const checkBoth = async (candidate: string, ...flags: readonly string[]) => {
      const files = {
        "latchkey.yaml": `${GOOD}shadow: candidate.yaml\n`,
        "candidate.yaml": candidate,
        "keys.yaml": KEYS,
      };
      const directory = await createDirectory(files);
      const { code, out } = await run(["check", "--config", `${directory}/latchkey.yaml`, ...flags]);
      return { code, out: out.replaceAll(`${directory}/`, "") };
    };

    test("says what is wrong with it under its own name, and fails", async () => {
      const { code, out } = await checkBoth(BAD);
      expect(code).toBe(1);
      expect(out).toMatch(/^candidate\.yaml:1:1: error: upstrem: /m);
      expect(out).toContain("  1 | upstrem: http://127.0.0.1:3000\n");
      expect(out).not.toContain("is valid");
      expect(JSON.parse((await checkBoth(BAD, "--json")).out)).toMatchObject({ valid: false, summary: null });
    });

    test("passes with a good one, and says that it was looked at", async () => {
      const { code, out } = await checkBoth(GOOD);
      expect(code).toBe(0);
      expect(out).toMatch(/^latchkey\.yaml is valid, revision/);
      expect(out).toContain("shadow       candidate.yaml is valid, revision");
    });

    test("tells its warnings, and what is wrong with a shared keys file once", async () => {
      const { code, out } = await checkBoth(WARNED);
      expect(code).toBe(0);
      expect(out).toMatch(/^candidate\.yaml:\d+:\d+: warning: .*can never match/);
      expect((await checkBoth(WARNED, "--strict")).code).toBe(1);
      const broken = await createDirectory({
        "latchkey.yaml": `${GOOD}shadow: candidate.yaml\n`,
        "candidate.yaml": GOOD,
        "keys.yaml": KEYS.replace("sha256:", "sha1:"),
      });
      const { out: shared } = await run(["check", "--config", `${broken}/latchkey.yaml`]);
      expect(shared).toMatch(/\n1 error\n$/);
    });

    test("names one that is not there", async () => {
      const directory = await createDirectory({ "latchkey.yaml": `${GOOD}shadow: gone.yaml\n`, "keys.yaml": KEYS });
      const { code, out } = await run(["check", "--config", `${directory}/latchkey.yaml`]);
      expect(code).toBe(1);
      expect(out).toMatch(/latchkey\.yaml:8:1: error: shadow: The file \S*gone\.yaml does not exist\n/);
      expect(out).not.toContain("--config");
    });
  });

  test("colours only where the terminal shows colours", async () => {
    const directory = await createDirectory({ "latchkey.yaml": BAD, "keys.yaml": KEYS });
    const argv = ["check", "--config", `${directory}/latchkey.yaml`];
    expect((await run(argv)).out).not.toContain("\u001b[");
    expect((await run(argv, { colour: true })).out).toContain("\u001b[");
  });

  test("a file that is not there is an error that says how to begin", async () => {
    const { code, out } = await run(["check"], { env: { LATCHKEY_CONFIG: "/nowhere/latchkey.yaml" } });
    expect(code).toBe(1);
    expect(out).toContain("/nowhere/latchkey.yaml: error: The file does not exist");
    expect(out).toContain("latchkey init");
  });
});

describe("latchkey check, of a certificate", () => {
  async function checkWith(cert: string, key: string): Promise<string> {
    const files = { "tls.crt": cert, "tls.key": key, "keys.yaml": KEYS };
    const directory = await createDirectory(files);
    const tls = `listen: { tls: { cert: ${directory}/tls.crt, key: ${directory}/tls.key } }\n`;
    const main = await createDirectory({ "latchkey.yaml": tls + GOOD, "keys.yaml": KEYS });
    const { code, out } = await run(["check", "--config", `${main}/latchkey.yaml`]);
    return `${code} ${out.replaceAll(`${directory}/`, "")}`;
  }

  test("takes one that belongs to its private key, and refuses another's, with both files and what to do", async () => {
    const [one, other] = [await issue(), await issue()];
    expect(await checkWith(one.cert, one.key)).toMatch(/^0 .*is valid/);
    expect(await checkWith(one.cert, other.key)).toMatch(
      /^1 tls\.key: error: listen\.tls\.key: This private key is not the one of the certificate in tls\.crt\n {2}fix: Put the two of one issue there: /,
    );
  });

  test("says which of the files cannot be read, and shows nothing of it", async () => {
    const { cert, key } = await issue();
    const broken = (pem: string) => pem.replace(/\n[^-][^\n]*\n/, "\nAAAA\n");
    expect(await checkWith(broken(cert), key)).toMatch(/^1 tls\.crt: error: listen\.tls\.cert: The first certificate /);
    const unreadable = await checkWith(cert, broken(key));
    expect(unreadable).toMatch(/^1 tls\.key: error: listen\.tls\.key: The private key of this file cannot be read\n/);
    expect(unreadable).not.toContain(key.split("\n").at(-3));
  });
});

async function issue(): Promise<{ readonly cert: string; readonly key: string }> {
  const folder = await createDirectory({});
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost";
  await promisify(execFile)("openssl", [...request.split(" "), "-keyout", "key", "-out", "cert"], { cwd: folder });
  const [cert, key] = await Promise.all(["cert", "key"].map((name) => readFile(`${folder}/${name}`, "utf8")));
  return { cert: cert ?? "", key: key ?? "" };
}
