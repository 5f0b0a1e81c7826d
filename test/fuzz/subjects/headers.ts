import { parseConfiguration } from "../../../src/config/load.ts";
import { parseAddress } from "../../../src/policy/network.ts";
import { findOrigin, type Peer } from "../../../src/proxy/client-address.ts";
import { createGeneration } from "../../../src/proxy/generation.ts";
import { foldHeaderName } from "../../../src/proxy/header-rules.ts";
import { buildRequestFields, findRequestId } from "../../../src/proxy/request-headers.ts";
import { snapshotOf } from "../../config/snapshot-of.ts";
import { sha256Of } from "../../e2e/harness.ts";
import type { Subject } from "../fuzzer.ts";
import { assert } from "./assert.ts";

const CREDENTIAL = "bk_live_0123456789abcdef0123456789abcdef";
const OURS = ["X-Latchkey-Key-Id", "X-Latchkey-Tenant", "Remote-User"];
const CONFIG = {
  upstream: "http://127.0.0.1:3000",
  listen: { trustedProxies: ["127.0.0.1"] },
  routes: [{ match: "* /**", authenticated: true }],
  keyFormats: ["bk_{environment:live|test}_{secret:hex(32)}"],
  identity: {
    headers: { "X-Latchkey-Key-Id": "{key.id}", "X-Latchkey-Tenant": "{key.tenant}", "Remote-User": "{key.name}" },
  },
  keys: [{ id: "pos", name: "Bäckerei Main", tenant: "main-street", hash: sha256Of(CREDENTIAL) }],
};

const loaded = parseConfiguration(snapshotOf(JSON.stringify(CONFIG)));
if (loaded.kind === "rejected") throw new Error(loaded.diagnostics.map(({ message }) => message).join("; "));
const generation = createGeneration(loaded.configuration);
const { policy } = loaded.configuration;
const [route] = policy.routes.routes;
const [key] = policy.keys.all();
if (route === undefined || key === undefined) throw new Error("the configuration lacks its route or key");
const principal = { key, segments: new Map() };
const permit = { kind: "allow", route, principal, target: undefined, quotas: [] } as const;

const PEERS: readonly Peer[] = ["127.0.0.1", "192.0.2.7"].map((text) => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return { address, encrypted: false, inFlight: 0 };
});

// What the parser of HTTP lets through: RFC 9110 §5.1 tokens, and values without CR, LF and NUL.
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const SINGLE = ["host", "x-request-id", "x-forwarded-for", "x-forwarded-proto"];
const NEVER = new Set(
  "connection keep-alive te trailer upgrade transfer-encoding content-length expect proxy via forwarded x-real-ip".split(
    " ",
  ),
);

/** The header list the upstream receives: one line of input is one header line. */
export const headers: Subject = {
  name: "headers",
  sources: [
    "/src/proxy/request-headers.ts",
    "/src/proxy/header-rules.ts",
    "/src/proxy/client-address.ts",
    "/src/proxy/identity.ts",
  ],
  dictionary: [
    "Host: a",
    "Connection: ",
    "close",
    "x-latchkey-key-id",
    "X_Latchkey_Key_Id: x",
    "Remote.User: root",
    "remote-user",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Authorization: Bearer ",
    "X-API-Key: ",
    CREDENTIAL,
    "X-Forwarded-For: ",
    "10.0.0.1",
    "[::1]:80",
    "X-Forwarded-Proto: https",
    "X_Forwarded_For: 1.2.3.4",
    "X-Request-Id: a",
    "TE: trailers",
    "Upgrade: h2c",
    "Expect: 100-continue",
    "X-HTTP-Method-Override: DELETE",
    "Via: 1.1 a",
    "Proxy: http://x/",
    "\n",
    ", ",
    "-",
    "_",
    ".",
  ],
  maxLength: 8192,
  limitMs: 250,
  run: (input) => {
    const rawHeaders: string[] = [];
    for (const line of input.split("\n")) {
      const colon = line.indexOf(":");
      const [name, value] = [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "")];
      if (NAME.test(name) && VALUE.test(value)) rawHeaders.push(name, value);
    }
    for (const peer of PEERS) check(rawHeaders, peer);
  },
};

function check(rawHeaders: readonly string[], peer: Peer): void {
  const origin = findOrigin(peer, rawHeaders, generation.configuration.settings.listen.trustedProxies);
  const requestId = findRequestId(rawHeaders, generation.configuration.policy.keyFormats) ?? "made-here";
  const built = buildRequestFields(rawHeaders, permit, origin, peer, requestId, generation);
  if (built.kind === "invalid") return;
  const headers = built.fields.split("\r\n").flatMap((line) => {
    const colon = line.indexOf(": ");
    return colon === -1 ? [line] : [line.slice(0, colon), line.slice(colon + 2)];
  });
  assert(headers.pop() === "", "every line has its end");
  assert(headers.length % 2 === 0, "headers come in pairs");
  const sent: (readonly [folded: string, name: string, value: string])[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const [name = "", value = ""] = headers.slice(index, index + 2);
    assert(NAME.test(name), `a name is a token: ${JSON.stringify(name)}`);
    assert(VALUE.test(value), `a value holds no line break: ${JSON.stringify(value)}`);
    sent.push([foldHeaderName(name), name, value]);
  }
  for (const single of SINGLE)
    assert(sent.filter(([folded]) => folded === single).length === 1, `there is one ${single}`);
  for (const [folded, name, value] of sent) {
    assert(!NEVER.has(folded), `${name} never travels`);
    const isKeyPlace = ["authorization", "x-api-key"].includes(name.toLowerCase());
    assert(!isKeyPlace || !value.includes(CREDENTIAL), "no credential travels where keys are presented");
    const isOurs = OURS.includes(name);
    assert(isOurs || (!folded.startsWith("x-latchkey-") && folded !== "remote-user"), `${name} is not ours`);
  }
  const identity = sent.filter(([, name]) => OURS.includes(name)).map(([, name, value]) => `${name}: ${value}`);
  const expected = ["X-Latchkey-Key-Id: pos", "X-Latchkey-Tenant: main-street", "Remote-User: B%C3%A4ckerei Main"];
  assert(identity.join("\n") === expected.join("\n"), `the identity is whole: ${identity.join(", ")}`);
  if (origin.forwardedFor === undefined) {
    const forwarded = sent.find(([folded]) => folded === "x-forwarded-for")?.[2];
    assert(forwarded === peer.address.text, "a stranger's word on where it comes from counts for nothing");
  }
}
