import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type LoadResult, type Overrides, parseConfiguration } from "../../src/config/load.ts";
import type { Snapshot } from "../../src/config/snapshot.ts";
import { snapshotOf } from "./snapshot-of.ts";

const HASH = `sha256:${"0".repeat(63)}1`;
const ROUTES = 'routes: [{ match: "* /**", public: true }]';
const MAIN = `upstream: http://127.0.0.1:3000\n${ROUTES}\n`;

function load(main: string, overrides?: Overrides, more?: Partial<Snapshot>): LoadResult {
  return parseConfiguration(snapshotOf(main, {}, more), overrides);
}

function configurationOf(main: string, overrides?: Overrides, more?: Partial<Snapshot>) {
  const result = load(main, overrides, more);
  if (result.kind === "loaded") return result.configuration;
  throw new Error(result.diagnostics.map(({ path, message }) => `${path}: ${message}`).join("\n"));
}

function problemsOf(main: string, overrides?: Overrides, more?: Partial<Snapshot>): readonly string[] {
  const result = load(main, overrides, more);
  return result.kind === "rejected"
    ? result.diagnostics.map(({ file, path, message }) => `${file} ${path}: ${message}`)
    : [];
}

/** All that a config means, but for the digest of its text and the lines it stands on. */
function meaningOf(main: string) {
  const { policy, settings } = configurationOf(main);
  const text = JSON.stringify({ policy: { ...policy, revision: "" }, settings }, (name, value: unknown) => {
    if (name === "source") return undefined;
    if (value instanceof Map) return [...value];
    return value instanceof Set ? [...value] : value;
  });
  return JSON.parse(text);
}

describe("a short form means what its long form means", () => {
  test.each([
    ["listen: 8080", "listen: { address: 0.0.0.0:8080 }"],
    ["listen: unix:/run/a.sock", 'listen: { address: "unix:/run/a.sock" }'],
    ["admin: off", "admin: false"],
    ["admin: 9091", 'admin: { address: ":9091" }'],
    ["limits: 100/minute", "limits: { default: [{ rate: 100/minute }] }"],
    ["limits: [100/minute, 5/second]", "limits: { default: [{ rate: 100/minute, burst: 100 }, { rate: 5/second }] }"],
    ["scopes: [a, b]", "scopes: { a: {}, b: { description: B, implies: [] } }"],
    ["log: debug", "log: { level: debug }"],
    ["credentials: { locations: X-Key }", "credentials: { locations: [{ header: X-Key }] }"],
    [
      'credentials: { locations: "Authorization: Bearer" }',
      "credentials: { locations: [{ header: Authorization, scheme: Bearer }] }",
    ],
    ['keyFormats: "a_{secret:hex(32)}"', 'keyFormats: ["a_{secret:hex(32)}"]'],
    [
      `keys: [{ id: a, hash: "${HASH}", scopes: x, limits: 1/second, allowIps: 10.0.0.1 }]`,
      `keys: [{ id: a, hash: "${HASH}", scopes: [x], limits: [{ rate: 1/second }], allowIps: [10.0.0.1], status: active, readOnly: false }]`,
    ],
    ["listen: { timeouts: { request: 0 } }", "listen: { timeouts: { request: 0s } }"],
  ])("%s", (short, long) => expect(meaningOf(`${MAIN}${short}\n`)).toEqual(meaningOf(`${MAIN}${long}\n`)));

  test("upstream", () => {
    expect(meaningOf(`upstream: https://a\n${ROUTES}`)).toEqual(meaningOf(`upstream: { url: https://a }\n${ROUTES}`));
  });

  test("scopes of a route", () => {
    const main = (scopes: string) => `upstream: http://a\nroutes: [{ match: "GET /", scopes: ${scopes} }]\nkeys: []`;
    expect(meaningOf(main("x"))).toEqual(meaningOf(main("[x]")));
  });
});

test("a config means the same in JSON as in YAML", () => {
  const yaml = `${MAIN}limits: [100/minute]\nlisten: { timeouts: { idle: 30s } }\nkeys: [{ id: a, hash: "${HASH}" }]\n`;
  expect(meaningOf(JSON.stringify(parse(yaml)))).toEqual(meaningOf(yaml));
});

describe("overrides", () => {
  const origin = "--upstream";

  test("beat what the file says", () => {
    const { settings } = configurationOf(
      `${MAIN}listen: 1000\nadmin: { address: 127.0.0.1:1, probes: { app: /up } }\n`,
      {
        listen: { value: ":2000", origin: "--listen" },
        upstream: { value: "unix:/run/app.sock", origin },
        admin: { value: "127.0.0.1:3000", origin: "LATCHKEY_ADMIN" },
      },
    );
    expect(settings.listen.address).toEqual({ kind: "tcp", host: "0.0.0.0", port: 2000 });
    expect(settings.upstream.socketPath).toBe("/run/app.sock");
    expect(settings.admin).toMatchObject({ address: { port: 3000 }, probes: new Map([["app", "/up"]]) });
  });

  test("switch the admin port off, and on again", () => {
    expect(configurationOf(MAIN, { admin: { value: "off", origin: "--admin" } }).settings.admin).toBeUndefined();
    const on = configurationOf(`${MAIN}admin: off\n`, { admin: { value: "9090", origin: "--admin" } });
    expect(on.settings.admin).toMatchObject({ address: { port: 9090 }, tokenSha256: undefined });
  });

  test("give the upstream that the file leaves out", () => {
    expect(problemsOf(ROUTES, { upstream: { value: "http://app:1", origin } })).toEqual([]);
  });

  test("are blamed by their own names", () => {
    const overrides = { listen: { value: "nowhere", origin: "LATCHKEY_LISTEN" }, upstream: { value: "app:1", origin } };
    expect(problemsOf(MAIN, overrides)).toEqual([
      expect.stringMatching(/^LATCHKEY_LISTEN : Expected an address/),
      expect.stringMatching(/^--upstream : Expected the upstream's URL/),
    ]);
  });

  test("do not make up for a config file that is missing", () => {
    const problems = problemsOf("", { upstream: { value: "http://app:1", origin } }, { main: undefined });
    expect(problems).toEqual([expect.stringMatching(/^--upstream : An upstream alone is no policy/)]);
  });
});

describe("the admin port and listen", () => {
  const problems = (listen: string, admin: string) =>
    problemsOf(`${MAIN}listen: "${listen}"\nadmin: "${admin}"\n`).filter((problem) => problem.includes("same address"));

  test.each([
    ["8080", "0.0.0.0:8080"],
    ["8080", "127.0.0.1:8080"],
    ["127.0.0.1:8080", "8080"],
    ["[::]:8080", "127.0.0.1:8080"],
    ["[::]:8080", "0.0.0.0:8080"],
    ["[::1]:8080", "[0:0::0]:8080"],
    ["[::1]:8080", "[0::1]:8080"],
    ["localhost:8080", ":8080"],
    ["localhost:8080", "localhost:8080"],
    ["unix:/run/a.sock", "unix:/run/a.sock"],
  ])("cannot have %s and %s", (listen, admin) => {
    expect(problems(listen, admin)).toHaveLength(1);
  });

  test.each([
    ["8080", "8081"],
    ["127.0.0.1:8080", "127.0.0.2:8080"],
    ["0.0.0.0:8080", "[::1]:8080"],
    ["127.0.0.1:0", "127.0.0.1:0"],
    ["unix:/run/a.sock", "unix:/run/b.sock"],
    ["unix:/run/a.sock", "8080"],
  ])("may have %s and %s", (listen, admin) => {
    expect(problems(listen, admin)).toEqual([]);
  });
});

describe("the revision", () => {
  const revisionOf = (main: string, more?: Partial<Snapshot>) => configurationOf(main, {}, more).policy.revision;

  test("is that of the contents, whatever file they stand in", () => {
    expect(revisionOf(MAIN)).toMatch(/^[0-9a-f]{12}$/);
    expect(revisionOf(MAIN)).toBe(revisionOf(MAIN));
    expect(revisionOf(`${MAIN}# a comment\n`)).not.toBe(revisionOf(MAIN));
    expect(revisionOf(MAIN, { referenced: new Map([["env:PEPPER", "x"]]) })).not.toBe(revisionOf(MAIN));
    expect(revisionOf(MAIN, { keysFiles: [{ path: "k.yaml", text: "keys: []", mode: 0o600 }] })).not.toBe(
      revisionOf(MAIN),
    );
  });
});

describe("locate()", () => {
  const result = load(`${MAIN}limits:\n  default: 100/minute\n`);
  const locate = result.kind === "loaded" ? result.locate : () => undefined;

  test("finds the line that says something", () => {
    expect(locate(["limits", "default"])).toEqual({ file: "latchkey.yaml", line: 4 });
  });

  test("falls back on what stands around it", () => {
    expect(locate(["routes", 0, "cost"])).toEqual({ file: "latchkey.yaml", line: 2 });
  });

  test("finds nothing for a default", () => expect(locate(["paths", "encodedSlash"])).toBeUndefined());
});

describe("what other files and variables hold", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const signing = `${MAIN}identity: { assertion: { key: sign.pem, audience: billing } }\n`;
  const referenced = (name: string, text: string) => ({ referenced: new Map([[name, text]]) });

  test("signs assertions", () => {
    const { identity } = configurationOf(signing, {}, referenced("file:sign.pem", pem)).settings;
    expect(identity.assertion).toEqual({
      header: "X-Latchkey-Assertion",
      algorithm: "EdDSA",
      privateKey: pem,
      issuer: "latchkey",
      audience: "billing",
      ttlMs: 60_000,
    });
  });

  test.each([
    ["is no PEM", "x", "EdDSA"],
    ["cannot be read", "-----BEGIN PRIVATE KEY-----\nsecretsecret\n-----END PRIVATE KEY-----", "EdDSA"],
    ["is of another type", pem, "ES256"],
  ])("is refused as a signing key when it %s, and never repeated", (_name, text, algorithm) => {
    const main = signing.replace("key: sign.pem", `key: sign.pem, algorithm: ${algorithm}`);
    const problems = problemsOf(main, {}, referenced("file:sign.pem", text));
    expect(problems).toEqual([expect.stringContaining("identity.assertion.key:")]);
    expect(problems.join()).not.toContain("secretsecret");
  });

  test("peppers digests, without the newline at the end of the file", () => {
    const main = `${MAIN}hashing: { pepper: { file: pepper } }\nkeys: [{ id: a, hash: "hmac-${HASH}" }]\n`;
    const { keys } = configurationOf(main, {}, referenced("file:pepper", "0123456789abcdef\n")).policy;
    expect(keys.pepper?.symmetricKeySize).toBe(16);
    expect(keys.hmacCount).toBe(1);
  });

  test("is refused as a pepper when it is short", () => {
    const main = `${MAIN}hashing: { pepper: { env: PEPPER } }\n`;
    expect(problemsOf(main, {}, referenced("env:PEPPER", "short\n"))).toEqual([
      "latchkey.yaml hashing.pepper: The pepper is 5 bytes long; expected at least 16",
    ]);
  });

  test("is refused as an authority when it is no certificate", () => {
    const main = `upstream: { url: https://app, ca: ca.pem }\n${ROUTES}`;
    expect(problemsOf(main, {}, referenced("file:ca.pem", "x"))).toEqual([
      'latchkey.yaml upstream.ca: The file holds no PEM block "BEGIN CERTIFICATE"',
    ]);
  });
});

describe("what a file holds reaches nobody's terminal or log as a control character", () => {
  test.each([
    ["keyFormats", String.raw`keyFormats: ["bk_{secret:hex(32)\0", "bk\u001b[2J_{secret:hex(32)}", "a{b\nc:d}"]`],
    ["a name", String.raw`scopes: { "a\u009b2Jb": {} }`],
    ["an unknown name", String.raw`"limi\u202ets": 1/second`],
    ["an address", String.raw`listen: "a\u0007b"`],
  ])("in %s", (_, line) => {
    const result = load(`${MAIN}${line}\n`);
    const shown = (result.kind === "loaded" ? result.warnings : result.diagnostics).map(
      ({ path, message, fix }) => `${path} ${message} ${fix}`,
    );
    expect(shown).not.toEqual([]);
    for (const text of shown) expect(text).not.toMatch(/[\p{Cc}\u202e]/u);
  });
});

test("keys files that others may write are warned of", () => {
  const result = load(MAIN, {}, { keysFiles: [{ path: "keys.yaml", text: "keys: []", mode: 0o666 }] });
  expect(result.kind === "loaded" && result.warnings).toMatchObject([
    {
      file: "keys.yaml",
      message: "Every user of this machine may write the keys file (mode 0666)",
      fix: "chmod 600 keys.yaml",
    },
  ]);
});

test("a hundred thousand records load, and all errors of a large file are told, in linear time", {
  timeout: 60_000,
}, () => {
  const textOf = (count: number, extra: object) =>
    JSON.stringify({
      keys: Array.from({ length: count }, (_, index) => ({
        id: `key-${index}`,
        hash: `sha256:${index.toString(16).padStart(64, "0")}`,
        scopes: ["orders:read"],
        ...extra,
      })),
    });
  const keysFiles = (text: string) => ({ keysFiles: [{ path: "keys.json", text, mode: 0o600 }] });
  const good = load(MAIN, {}, keysFiles(textOf(100_000, {})));
  expect(good.kind === "loaded" && good.configuration.policy.keys.size).toBe(100_000);
  const bad = load(MAIN, {}, keysFiles(textOf(10_000, { scope: "x" })));
  expect(bad.kind === "rejected" && bad.diagnostics.length).toBe(10_000);
});
