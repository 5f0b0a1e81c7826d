import { sha256Of } from "../../e2e/harness.ts";

/** The credentials of the bench by the word that stands for them in a case. All are secrets. */
export const CREDENTIALS: Readonly<Record<string, string>> = {
  key: "tk_live_a11ce0000000000000000000a11ce001",
  other: "tk_live_b0b0000000000000000000000b0b0002",
  admin: "tk_live_ad1e0000000000000000000000ad1e03",
  reader: "tk_live_4ead000000000000000000000004ead4",
  revoked: "tk_live_dead000000000000000000000000dead",
  scopeless: "tk_live_50be00000000000000000000000050be",
  elsewhere: "tk_live_e15e000000000000000000000000e15e",
  unknown: "tk_live_00ff000000000000000000000000f00f",
  foreign: "tk_test_f0e1000000000000000000000000f0e1",
};

/** What identifies the holder of `{key}` upstream: the values only Latchkey may write. */
export const IDENTITY_OF_KEY: Readonly<Record<string, string>> = {
  "x-latchkey-key-id": "alice",
  "x-latchkey-tenant": "bakery",
  "x-latchkey-scopes": "orders:*",
};

/** Fills a template: `{key}` and the other credentials, and `{tag}`, which tells the cases of a run apart. */
export function fillWords(template: string, tag: string): string {
  return template.replace(/\{([a-z]+)\}/g, (whole, word: string) =>
    word === "tag" ? tag : (CREDENTIALS[word] ?? whole),
  );
}

const record = (id: string, word: string, more: string): string =>
  `  - { id: ${id}, hash: "${sha256Of(CREDENTIALS[word] ?? "")}", ${more} }`;

/** The configuration all setups share: a public, an administrative and some ordinary routes. */
export function toConfig(upstreamUrl: string, listen: string, admin = ""): string {
  return `
listen:
  maxBody: 64KiB
  maxHeaders: 60
  maxHeaderBytes: 8KiB
  timeouts: { headers: 3s, request: 4s, idle: 2s }
  ${listen}
upstream: { url: "${upstreamUrl}", timeouts: { connect: 1s, response: 2s, idle: 1s } }
keyFormats: ["tk_{environment:live|test}_{secret:hex(32)}"]
accept: { environment: [live] }
routes:
  - { match: "GET /public/**", public: true }
  - { match: "* /admin/**", scopes: ["admin:all"] }
  - { match: "GET /orders/**", scopes: ["orders:read"] }
  - { match: "POST,PUT,PATCH,DELETE,OPTIONS /orders/**", scopes: ["orders:write"] }
  - { match: "* /any/**", authenticated: true }
limits: { failures: 1000000/minute }
${admin}
drain: { timeout: 2s }
keys:
${record("alice", "key", 'tenant: bakery, scopes: ["orders:*"]')}
${record("bob", "other", 'tenant: butcher, scopes: ["orders:*"]')}
${record("root", "admin", 'tenant: house, scopes: ["*"]')}
${record("reader", "reader", 'scopes: ["orders:*"], readOnly: true')}
${record("gone", "revoked", "status: revoked")}
${record("nothing", "scopeless", "scopes: []")}
${record("elsewhere", "elsewhere", 'scopes: ["orders:*"], allowIps: ["203.0.113.0/24"]')}
`;
}
