import { sha256Of, startUpstream, type Upstream } from "../e2e/harness.ts";

/** An API key of a test: the text that clients send is made from the id. */
export const credentialOf = (id: string): string => `lk_${id.padStart(32, "0")}`;

/** Keys that every generation holds. They are many, so that losing one is a small change. */
export const STEADY = ["steady1", "steady2", "steady3", "steady4", "steady5", "steady6"] as const;

/** Keys to revoke, one a change. */
export const DOOMED = Array.from({ length: 12 }, (_, index) => `doomed${index + 1}`);

/** The admin token of every deployment here. */
export const ADMIN_TOKEN = "admin-secret";

/** A main file that tells the upstream which generation it is of, and which generation the key's record is of. */
export function mainYaml(upstreamUrl: string, generation: number, keys: string, more = ""): string {
  return `upstream: ${upstreamUrl}
routes:
  - { match: "* /**", authenticated: true }
limits: { failures: 1000000/minute }
admin: { token: "${sha256Of(ADMIN_TOKEN)}" }
identity:
  headers:
    X-Main-Generation: "${generation}"
    X-Keys-Generation: "{key.metadata.generation}"
    X-Key: "{key.id}"
keys: ${keys}
${more}`;
}

export function recordOf(id: string, generation: number, status = "active"): string {
  const fields = `id: ${id}, hash: "${sha256Of(credentialOf(id))}", status: ${status}`;
  return `  - { ${fields}, metadata: { generation: ${generation} } }\n`;
}

/** A keys file in which the first so many of the doomed are revoked. */
export function keysYaml(generation: number, revoked: number): string {
  const doomed = DOOMED.map((id, index) => recordOf(id, generation, index < revoked ? "revoked" : "active"));
  return keysOf([...STEADY.map((id) => recordOf(id, generation)), ...doomed]);
}

export function keysOf(records: readonly string[]): string {
  return `keys:\n${records.join("")}`;
}

/** An upstream that answers with the identity headers it received. */
export function startEcho(): Promise<Upstream> {
  return startUpstream((request, response) => {
    const { "x-main-generation": main, "x-keys-generation": keys, "x-key": key } = request.headers;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ main: Number(main), keys: Number(keys), key }));
  });
}
