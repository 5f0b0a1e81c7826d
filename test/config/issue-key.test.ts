import { describe, expect, test } from "vitest";
import { choicesOf, issueSuccessor } from "../../src/config/issue-key.ts";
import { parseConfiguration } from "../../src/config/load.ts";
import { type KeyFormat, matchKeyFormat, parseKeyFormat } from "../../src/policy/key-format.ts";
import { sha256Of } from "../e2e/harness.ts";
import { snapshotOf } from "./snapshot-of.ts";

const FORMAT = "ibp_{environment:live|test}_{region:us|uk|ca}_{secret:hex(32)}";

function formatOf(text: string): KeyFormat {
  const parsed = parseKeyFormat(text);
  if (parsed.kind === "problem") throw new Error(parsed.problem);
  return parsed.format;
}

describe("choicesOf() reads from a prefix what it says, and no more", () => {
  test.each([
    ["", {}],
    ["ibp", {}],
    ["ibp_", {}],
    ["ibp_t", { environment: "test" }],
    ["ibp_test_", { environment: "test" }],
    // us or uk
    ["ibp_test_u", { environment: "test" }],
    ["ibp_test_uk", { environment: "test", region: "uk" }],
    ["ibp_live_ca_0a1b", { environment: "live", region: "ca" }],
  ])("%j", (prefix, said) => {
    expect(Object.fromEntries(choicesOf(prefix, formatOf(FORMAT)) ?? [["no", "key begins so"]])).toEqual(said);
  });

  test.each(["ibx_", "ibp_stage_", "ibp_live_de_"])("%j begins no key of the format", (prefix) => {
    expect(choicesOf(prefix, formatOf(FORMAT))).toBeUndefined();
  });

  test("a value that begins another one is not taken for it", () => {
    const format = formatOf("k_{plan:pro|prod}_{secret:hex(32)}");
    expect(choicesOf("k_pro", format)).toEqual(new Map());
    expect(choicesOf("k_pro_", format)).toEqual(new Map([["plan", "pro"]]));
    expect(choicesOf("k_prod", format)).toEqual(new Map([["plan", "prod"]]));
  });
});

describe("issueSuccessor()", () => {
  test.each([
    ["prefix: ibp_test_uk_", "{}", { environment: "test", region: "uk" }],
    // What the prefix says holds, even where this instance accepts another.
    ["prefix: ibp_test_uk_", "{ environment: live }", { environment: "test", region: "uk" }],
    ["prefix: ibp_test_", "{ region: ca }", { environment: "test", region: "ca" }],
    ["", "{ environment: test, region: uk }", { environment: "test", region: "uk" }],
  ])("record { %s }, accept %s", async (prefix, accept, segments) => {
    const succession = await succeed(prefix, accept);
    const credential = succession.kind === "issued" ? succession.issued.credential : "";
    expect(Object.fromEntries(matchKeyFormat(credential, [formatOf(FORMAT)])?.segments ?? [])).toMatchObject(segments);
  });

  test.each([
    ["", "{}", "environment"],
    ["", "{ environment: [live, test], region: us }", "environment"],
    ["prefix: ibp_", "{ region: us }", "environment"],
    ["prefix: ibp_live_", "{ environment: live }", "region"],
  ])("record { %s }, accept %s: does not guess", async (prefix, accept, segment) => {
    expect(await succeed(prefix, accept)).toMatchObject({ kind: "undecided", segment: { name: segment } });
  });

  const SHORT = "old_{secret:hex(8)}";
  const LONG = "bk_{secret:hex(32)}";

  test.each([
    ["prefix: old_", [LONG, SHORT], /^bk_[0-9a-f]{32}$/, 7],
    ["prefix: old_12", [LONG, SHORT], /^bk_[0-9a-f]{32}$/, 7],
    ["", [LONG, SHORT], /^bk_[0-9a-f]{32}$/, 7],
    // No key of any format begins so: the record shows nothing to go by.
    ["prefix: elsewhere-what", [LONG, SHORT], /^bk_[0-9a-f]{32}$/, 7],
    // Two formats begin so, and one of them is long enough.
    ["prefix: k_1", [LONG, "k_{secret:hex(8)}", "k_{secret:hex(40)}"], /^k_[0-9a-f]{40}$/, 3],
    ["prefix: bk_123456", [LONG, SHORT], /^bk_[0-9a-f]{32}$/, 9],
  ])("record { %s } of %j: a key that cannot be guessed, and its own prefix", async (prefix, formats, shape, shown) => {
    const succession = await succeed(prefix, "{}", formats);
    if (succession.kind !== "issued") throw new Error(succession.kind);
    const { credential, prefix: recorded } = succession.issued;
    expect(credential).toMatch(shape);
    expect(recorded).toBe(credential.slice(0, shown));
  });

  test("what a short key says of itself holds for the long one in its place", async () => {
    const formats = ["bk_{environment:live|test}_{secret:hex(32)}", "old_{environment:live|test}_{secret:hex(8)}"];
    expect(await succeed("prefix: old_test_", "{ environment: live }", formats)).toMatchObject({
      kind: "issued",
      issued: { credential: expect.stringMatching(/^bk_test_/) },
    });
    const others = ["bk_{environment:live|test}_{secret:hex(32)}", "old_{environment:dev|test}_{secret:hex(8)}"];
    expect(await succeed("prefix: old_dev_", "{ environment: live }", others)).toMatchObject({ kind: "undecided" });
  });
});

async function succeed(prefix: string, accept: string, formats: readonly string[] = [FORMAT]) {
  const main = `
upstream: http://127.0.0.1:3000
keyFormats: ${JSON.stringify(formats)}
accept: ${accept}
routes: [{ match: "* /**", authenticated: true }]
keys: [{ id: one, hash: "${sha256Of("one")}"${prefix === "" ? "" : `, ${prefix}`} }]
`;
  const loaded = parseConfiguration(snapshotOf(main, {}), {}, 0);
  if (loaded.kind === "rejected") throw new Error(JSON.stringify(loaded.diagnostics));
  const { policy } = loaded.configuration;
  const key = policy.keys.findById("one");
  if (key === undefined) throw new Error("the record is there");
  return issueSuccessor(key, policy, async () => "");
}
