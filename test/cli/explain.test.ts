import { hashSync } from "bcryptjs";
import { describe, expect, test } from "vitest";
import { CHECK_OF, CHECKS, type CheckState } from "../../src/cli/checks.ts";
import { type Explanation, explainRequest, type Question } from "../../src/cli/explain-request.ts";
import { createSources } from "../../src/cli/explain-sources.ts";
import { parseConfiguration } from "../../src/config/load.ts";
import type { Configuration } from "../../src/config/settings.ts";
import type { Snapshot } from "../../src/config/snapshot.ts";
import { createBucketTable } from "../../src/policy/bucket-table.ts";
import { decide } from "../../src/policy/decide.ts";
import { DENIAL_REASONS, type Decision, type DenialReason } from "../../src/policy/decision.ts";
import { sha256 } from "../../src/policy/digest.ts";
import { parseAddress } from "../../src/policy/network.ts";
import { createGeneration } from "../../src/proxy/generation.ts";
import { renderDenial } from "../../src/proxy/respond.ts";
import { createDirectory, run } from "./run.ts";

const NOW = Date.parse("2026-06-01T12:00:00Z");
const credentialOf = (letter: string, environment = "live", region = "us") =>
  `bk_${environment}_${region}_${letter.repeat(32)}`;

const MAIN = `listen: { https: required }
upstream: http://127.0.0.1:3000
keyFormats: ["bk_{environment:live|test}_{region:us|eu}_{secret:hex(32)}"]
accept: { environment: live, region: us }
scopes: { "orders:read": {}, "orders:write": { implies: "orders:read" } }
routes:
  - { match: "GET /health", public: true }
  - { match: "GET /orders/**", scopes: "orders:read" }
  - { match: "POST /orders/**", scopes: "orders:write" }
limits:
  default: 100/minute
  failures: 2/minute
keys: keys.yaml
`;

const RECORDS: Readonly<Record<string, readonly string[]>> = {
  reader: ["scopes: orders:read", "tenant: shop", `hash: sha256:${sha256(credentialOf("a"))}`],
  writer: ["scopes: orders:write", `hash: sha256:${sha256(credentialOf("b"))}`, "limits: 3/minute"],
  revoked: ["scopes: orders:read", `hash: sha256:${sha256(credentialOf("c"))}`, "status: revoked"],
  suspended: ["scopes: orders:read", `hash: sha256:${sha256(credentialOf("d"))}`, "status: suspended"],
  expired: ["scopes: orders:read", `hash: sha256:${sha256(credentialOf("e"))}`, "expiresAt: 2026-01-01T00:00:00Z"],
  early: ["scopes: orders:read", `hash: sha256:${sha256(credentialOf("f"))}`, "notBefore: 2027-01-01T00:00:00Z"],
  "test-mode": ["scopes: orders:write", `hash: sha256:${sha256(credentialOf("0"))}`, "readOnly: true"],
  office: ["scopes: orders:read", `hash: sha256:${sha256(credentialOf("1"))}`, "allowIps: 203.0.113.0/24"],
  old: ["scopes: orders:read", `hash: ${hashSync(credentialOf("2"), 4)}`, "prefix: bk_live_us_2222"],
  sandbox: [`hash: sha256:${sha256(credentialOf("3", "test"))}`, "prefix: bk_test_us_3333"],
  europe: [`hash: sha256:${sha256(credentialOf("4", "live", "eu"))}`, "prefix: bk_live_eu_4444"],
  foreign: [`hash: sha256:${"9".repeat(64)}`, "prefix: zz_live"],
};

const KEYS = `keys:\n${Object.entries(RECORDS)
  .map(([id, lines]) => `  - id: ${id}\n${lines.map((line) => `    ${line}\n`).join("")}`)
  .join("")}`;

const SNAPSHOT: Snapshot = {
  mainFile: "latchkey.yaml",
  directory: "/",
  main: { path: "latchkey.yaml", text: MAIN, mode: 0o600 },
  keysFiles: [{ path: "keys.yaml", text: KEYS, mode: 0o600 }],
  referenced: new Map(),
  problems: [],
  watched: [],
  digests: new Map(),
};

const CONFIGURATION = load(SNAPSHOT);

function load(snapshot: Snapshot): Configuration {
  const loaded = parseConfiguration(snapshot);
  if (loaded.kind === "rejected") throw new Error(JSON.stringify(loaded.diagnostics));
  return loaded.configuration;
}

type Asked = Partial<Omit<Question, "address">> & { readonly from?: string };

function toQuestion({ from, ...asked }: Asked): Question {
  const address = parseAddress(from ?? "198.51.100.7");
  if (address === undefined) throw new Error(`not an address: ${from}`);
  const question = { method: "GET", target: "/orders/1", headers: [], https: true, atMs: NOW, times: 1 };
  return { ...question, key: { kind: "none" }, ...asked, address };
}

async function explain(asked: Asked): Promise<Explanation> {
  const verify = async (credential: string) => credential === credentialOf("2");
  const explained = await explainRequest(toQuestion(asked), CONFIGURATION, createSources(SNAPSHOT), verify);
  if (explained.kind !== "explained") throw new Error(`no key ${explained.id}`);
  return explained.explanation;
}

const present = (letter: string, environment?: string, region?: string) =>
  ({ kind: "credential", credential: credentialOf(letter, environment, region) }) as const;

/** One request for each reason that `decide` gives, with the line of config it goes by. */
const REFUSALS: readonly (readonly [reason: DenialReason, asked: Asked, source: string | undefined])[] = [
  ["target_invalid", { target: "/orders/%2e%2e/admin" }, undefined],
  ["https_required", { https: false }, "latchkey.yaml:1"],
  ["credential_missing", {}, undefined],
  ["credential_ambiguous", { key: present("a"), headers: [["X-API-Key", credentialOf("b")]] }, undefined],
  ["credential_in_url", { target: `/orders/1?key=${credentialOf("a")}` }, undefined],
  ["credential_malformed", { key: { kind: "credential", credential: "bk_live_us_short" } }, "latchkey.yaml:3"],
  ["environment_mismatch", { key: present("3", "test") }, "latchkey.yaml:4"],
  ["region_mismatch", { key: present("4", "live", "eu") }, "latchkey.yaml:4"],
  ["key_unknown", { key: present("8") }, "latchkey.yaml:13"],
  ["failures_exceeded", { key: present("8"), times: 3 }, "latchkey.yaml:12"],
  ["key_revoked", { key: present("c") }, lineOf("status: revoked")],
  ["key_expired", { key: present("e") }, lineOf("expiresAt")],
  ["key_not_yet_valid", { key: present("f") }, lineOf("notBefore")],
  ["key_suspended", { key: present("d") }, lineOf("status: suspended")],
  ["route_unknown", { key: present("a"), target: "/invoices" }, "latchkey.yaml:6"],
  ["scope_insufficient", { key: present("a"), method: "POST" }, lineOf("scopes: orders:read")],
  ["key_read_only", { key: present("0"), method: "POST" }, lineOf("readOnly")],
  ["address_denied", { key: present("1") }, lineOf("allowIps")],
  ["rate_limited", { key: present("b"), times: 4 }, lineOf("limits: 3/minute")],
];

function lineOf(text: string): string {
  return `keys.yaml:${KEYS.split("\n").findIndex((line) => line.includes(text)) + 1}`;
}

/** The same request, decided without any of this command's code. */
function decideDirectly(asked: Asked): Decision {
  const { key, headers, method, target, address, https, times } = toQuestion(asked);
  const bearer = key.kind === "credential" ? ["Authorization", `Bearer ${key.credential}`] : [];
  const rawHeaders = ["Host", "localhost", ...bearer, ...headers.flat()];
  const facts = { method, target, rawHeaders, clientAddress: address, secure: https };
  const state = {
    buckets: createBucketTable(),
    failures: createBucketTable(),
    verified: { find: () => undefined },
    slowHashes: { isUnderWay: () => false },
  };
  const decisions = Array.from({ length: times }, () => decide(facts, CONFIGURATION.policy, state, NOW));
  const last = decisions.at(-1);
  if (last === undefined) throw new Error("nothing was decided");
  return last;
}

describe("explain agrees with decide", () => {
  test.each(REFUSALS)(
    "%s: the same decision, the same answer, and the check that made it",
    async (reason, asked, source) => {
      const { decision, checks, outcome } = await explain(asked);
      const direct = decideDirectly(asked);

      expect(decision).toEqual(direct);
      if (direct.kind !== "deny" || outcome.kind !== "refused")
        throw new Error(`expected a refusal, got ${direct.kind}`);
      expect(direct.reason).toBe(reason);
      const { status, headers, body } = renderDenial(
        direct,
        "example-request-id",
        createGeneration(CONFIGURATION),
        () => NOW,
      );
      expect(outcome).toMatchObject({ status, headers, body });

      const refused = checks.filter(({ state }) => state === "refused");
      expect(refused.map(({ check }) => check)).toEqual([CHECK_OF[reason]]);
      const at = refused[0]?.source;
      expect(at && `${at.file}:${at.line}`).toBe(source);
    },
  );

  test("there is a request for every reason that an offline request can be refused for", () => {
    // What is found out only of a live request: how it arrives, what the upstream does, how full this process is.
    const live: readonly DenialReason[] = [
      "request_timeout",
      "upstream_unreachable",
      "upstream_invalid",
      "upstream_timeout",
      "draining",
      "overloaded",
      "key_not_found",
      "key_conflict",
      "keys_not_writable",
      "internal_error",
    ];
    // By the listener rather than by `decide`: test/e2e/explain-agrees.test.ts.
    const byItsHead: readonly DenialReason[] = ["request_invalid", "headers_too_large", "body_too_large"];
    const shown = REFUSALS.map(([reason]) => reason);
    expect(new Set([...shown, ...byItsHead, ...live])).toEqual(new Set(DENIAL_REASONS));
  });

  test("every check is told, in the order in which the checks are made", async () => {
    const { checks } = await explain({ key: present("a") });
    expect(checks.map(({ check }) => check)).toEqual(CHECKS);
    expect(checks.every(({ state }) => state === "passed")).toBe(true);
  });

  test("what comes before the refusal passed, and what comes after it was not reached", async () => {
    const { checks } = await explain({ key: present("a"), method: "POST" });
    const passed: readonly CheckState[] = ["passed", "passed", "passed", "passed", "passed", "passed", "passed"];
    const unreached: readonly CheckState[] = ["not reached", "not reached", "not reached", "not reached"];
    expect(checks.map(({ state }) => state)).toEqual([...passed, "refused", ...unreached]);
  });

  test("a public route skips every check of the key", async () => {
    const { checks } = await explain({ target: "/health" });
    const skipped = checks.filter(({ state }) => state === "skipped").map(({ check }) => check);
    expect(skipped).toEqual(["credential", "format", "key", "status", "scope", "read-only"]);
  });

  test("a route that does not exist is refused only after the key was found valid", async () => {
    const stateOf = async (asked: Asked) =>
      (await explain(asked)).checks.map(({ check, state }) => `${check} ${state}`);
    expect(await stateOf({ target: "/invoices" })).toContain("route unmatched");
    const withKey = await stateOf({ target: "/invoices", key: present("a") });
    expect(withKey).toContain("route refused");
    expect(withKey).toContain("status passed");
    expect(withKey).toContain("scope not reached");
  });

  test("a bcrypt key is verified, and a wrong one is unknown", async () => {
    expect((await explain({ key: present("2") })).decision).toMatchObject({ kind: "allow" });
    const wrong = credentialOf("2").replace(/2$/, "3");
    const { decision } = await explain({ key: { kind: "credential", credential: wrong } });
    expect(decision).toMatchObject({ kind: "deny", reason: "key_unknown" });
  });
});

describe("explain by key id", () => {
  const ids = Object.keys(RECORDS);
  test.each(ids.filter((id) => !["foreign", "old"].includes(id)))("%s is decided as with its own key", async (id) => {
    const letters: Readonly<Record<string, ReturnType<typeof present>>> = {
      reader: present("a"),
      writer: present("b"),
      revoked: present("c"),
      suspended: present("d"),
      expired: present("e"),
      early: present("f"),
      "test-mode": present("0"),
      office: present("1"),
      sandbox: present("3", "test"),
      europe: present("4", "live", "eu"),
    };
    const own = letters[id];
    if (own === undefined) throw new Error(`no key for ${id}`);
    for (const method of ["GET", "POST"]) {
      const byId = await explain({ key: { kind: "id", id }, method });
      const byKey = await explain({ key: own, method });
      expect(byId.outcome).toEqual(byKey.outcome);
      expect(byId.checks).toEqual(byKey.checks);
    }
  });

  test("a bcrypt key needs no slow hash, since nobody knows its text", async () => {
    const { decision } = await explain({ key: { kind: "id", id: "old" } });
    expect(decision).toMatchObject({ kind: "allow", principal: { key: { id: "old" } } });
  });

  test("a record whose prefix fits no key format is malformed, as its real key is", async () => {
    const { decision, notes } = await explain({ key: { kind: "id", id: "foreign" } });
    expect(decision).toMatchObject({ reason: "credential_malformed" });
    expect(notes).toEqual(['the record\'s prefix "zz_live" fits no key format']);
  });

  test("an id nobody has is named with the nearest one", async () => {
    const config = await writeConfig();
    const { code, err } = await run(["explain", "GET", "/orders/1", "--key-id", "raeder", "--config", config]);
    expect(code).toBe(2);
    expect(err).toContain("Did you mean reader?");
  });
});

describe("latchkey explain", () => {
  test("shows what the upstream receives, and never the key", async () => {
    const config = await writeConfig();
    const argv = ["explain", "GET", "/orders/1", "--key", "-", "--https", "--config", config];
    const { code, out } = await run(argv, { input: `${credentialOf("a")}\n` });
    expect(code).toBe(0);
    expect(out).toContain("GET /orders/1 HTTP/1.1");
    expect(out).toContain("X-Latchkey-Key-Id: reader");
    expect(out).toContain("X-Latchkey-Tenant: shop");
    expect(out).not.toContain(credentialOf("a"));
  });

  test("withholds a key that the config lets through, and one that stands in the URL", async () => {
    const config = await writeConfig("credentials: { forward: true, inUrl: strip }\n");
    const path = `/orders/1?page=2&token=${credentialOf("a")}`;
    const argv = ["explain", "GET", path, "--key", credentialOf("a"), "--https", "--config", config];
    const { code, out } = await run(argv);
    expect(code).toBe(0);
    expect(out).toContain("GET /orders/1?page=2 HTTP/1.1");
    expect(out).toContain("Authorization: (the key, withheld)");
    expect(out).not.toContain(credentialOf("a"));
  });

  test("answers programs in JSON, and says no by its exit code", async () => {
    const config = await writeConfig();
    const argv = ["explain", "POST", "/orders", "--key-id", "reader", "--https", "--json", "--config", config];
    const { code, out } = await run(argv);
    expect(code).toBe(1);
    const told: unknown = JSON.parse(out);
    expect(told).toMatchObject({ decision: "deny", reason: "scope_insufficient", response: { status: 403 } });
  });

  test("tells an operation of Latchkey's own from a request that is forwarded", async () => {
    const config = await writeConfig('management: { path: /keys, scopes: { revoke: "orders:write" } }\n');
    const argv = ["explain", "POST", "/keys/reader/revoke", "--key-id", "writer", "--https", "--config", config];
    const { code, out } = await run(argv);
    expect(code).toBe(0);
    expect(out).toContain("Latchkey itself would revoke the key reader; the upstream hears nothing of it.");
  });

  test("--at asks about another day", async () => {
    const config = await writeConfig();
    const ask = (at: string) =>
      run(["explain", "GET", "/orders", "--key-id", "early", "--https", "--at", at, "--config", config]);
    expect((await ask("2026-12-31")).out).toContain("Refused: key_not_yet_valid");
    expect((await ask("2027-01-01T00:00:00Z")).code).toBe(0);
  });

  test.each([
    [["explain", "GET"], "missing required argument 'path'"],
    [["explain", "GET", "/", "--key", "a", "--key-id", "b"], "--key and --key-id exclude each other"],
    [["explain", "GET", "/", "--address", "localhost"], "--address takes an IPv4 or IPv6 address, not 'localhost'"],
    [["explain", "GET", "/", "--at", "soon"], "--at takes an instant"],
    [["explain", "GET", "/", "--header", "nonsense"], '--header 1 is not "Name: value"'],
    [["explain", "GET", "/", "--adress", "::1"], "Did you mean --address?"],
  ])("%j is a wrong call", async (argv, said) => {
    const { code, err } = await run(argv);
    expect(code).toBe(2);
    expect(err).toContain(said);
  });
});

async function writeConfig(more = ""): Promise<string> {
  const directory = await createDirectory({ "latchkey.yaml": MAIN + more, "keys.yaml": KEYS });
  return `${directory}/latchkey.yaml`;
}
