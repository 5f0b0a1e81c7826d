import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../cli/run.ts";
import {
  createFolder,
  type Folder,
  type Program,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "./harness.ts";

const READER = "lk_11111111111111111111111111111111";
const WRITER = "lk_22222222222222222222222222222222";
const TOKEN = "admin-token-of-this-test";

const keys = (readerScope: string) => `keys:
  - { id: reader, hash: "${sha256Of(READER)}", scopes: ["${readerScope}"] }
  - { id: writer, hash: "${sha256Of(WRITER)}", scopes: ["orders:write"] }
`;

describe("the built program, with a shadow policy", () => {
  let upstream: Upstream;
  let folder: Folder;
  let program: Program;
  let admin = "";

  const main = (more: string, scope = "orders:read") =>
    `upstream: ${upstream.url}
admin: { token: "${sha256Of(TOKEN)}" }
routes:
  - { match: "GET /orders", scopes: "orders:read" }
  - { match: "POST /orders", scopes: "orders:write" }
${more}${keys(scope)}`;
  const ask = async (method: string, key: string) =>
    (await fetch(`${program.url}/orders`, { method, headers: { "x-api-key": key } })).status;
  const report = () => run(["shadow", "report", "--admin", admin], { env: { LATCHKEY_ADMIN_TOKEN: TOKEN } });
  const metric = async (labels: string) => {
    const text = await (await fetch(`${program.adminUrl}/metrics`)).text();
    return text
      .split("\n")
      .find((line) => line.startsWith(`latchkey_shadow_decisions_total{${labels}`))
      ?.split(" ")
      .at(-1);
  };

  beforeAll(async () => {
    upstream = await startUpstream();
    folder = await createFolder();
    // The candidate takes the reader's scope and opens POST to whoever has a key.
    await folder.write(
      "candidate.yaml",
      main("", "orders:none").replace('POST /orders", scopes: "orders:write"', 'POST /orders", authenticated: true'),
    );
    // The log has its samples of each thread.
    program = await startProgram(await folder.write("latchkey.yaml", main("shadow: candidate.yaml\n")), [
      "--workers",
      "1",
    ]);
    admin = `127.0.0.1:${program.adminPort}`;
  });
  afterAll(async () => {
    await program.stop();
    await upstream.close();
    await folder.remove();
  });

  test("enforces nothing of the candidate and reports by key and route what it would do", async () => {
    const loaded = await program.waitForLine(({ msg }) => msg === "shadow policy loaded");
    expect(loaded["changes"]).toContain("`reader` lost `orders:read`");
    for (let time = 0; time < 5; time += 1) expect(await ask("GET", READER)).toBe(200);
    expect(await ask("POST", READER)).toBe(403);
    expect(await ask("POST", WRITER)).toBe(200);

    const { code, out } = await report();
    expect(code).toBe(1);
    expect(out).toContain("7 requests: 1 the same, 5 would be denied, 1 would be allowed");
    expect(out).toMatch(/would deny +reader +GET \/orders +scope_insufficient +5 /);
    expect(out).toMatch(/would allow +reader +POST \/orders +scope_insufficient +1 /);
    expect(await metric('outcome="would_deny",reason="scope_insufficient",route="GET /orders"')).toBe("5");
    expect(await metric('outcome="same",reason="",route="POST /orders"')).toBe("1");
    // Three samples of the one kind and one of the other: the log does not grow with the traffic.
    await program.waitForLine(({ outcome }) => outcome === "would_allow");
    const samples = program.lines.filter(({ msg }) => msg === "shadow decision differs");
    expect(samples.map(({ outcome }) => outcome)).toEqual(["would_deny", "would_deny", "would_deny", "would_allow"]);
    expect(samples[0]).toMatchObject({ keyId: "reader", method: "GET", path: "/orders", reason: "scope_insufficient" });
  });

  test("tells nothing without the admin token", async () => {
    expect((await fetch(`${program.adminUrl}/-/shadow`)).status).toBe(401);
    const { code, err } = await run(["shadow", "report", "--admin", admin]);
    expect(code).toBe(1);
    expect(err).toContain("LATCHKEY_ADMIN_TOKEN");
  });

  test("takes up a changed candidate, warns of a broken one, and never touches the live policy", async () => {
    const revision = async () => (await (await fetch(`${program.adminUrl}/readyz`)).json()) as { revision: string };
    const before = (await revision()).revision;
    await folder.write("candidate.yaml", "routes: nonsense\n");
    const rejected = await program.waitForLine(({ msg }) => String(msg).startsWith("shadow policy rejected"));
    expect(rejected["level"]).toBe("warn");
    expect(JSON.stringify(rejected["diagnostics"])).toContain('"path":"routes"');
    expect((await report()).out).toContain("candidate.yaml:1:9: error: routes");
    expect(await ask("GET", READER)).toBe(200);

    await folder.write("candidate.yaml", main(""));
    await program.waitForLine(({ msg, changes }) => msg === "shadow policy loaded" && String(changes) === "");
    expect(await ask("GET", READER)).toBe(200);
    expect(await report()).toMatchObject({ code: 0, out: expect.stringContaining("1 requests: 1 the same") });
    expect((await revision()).revision).toBe(before);
    expect(program.lines.some(({ msg }) => msg === "policy reloaded")).toBe(false);
  });

  test("stops comparing when the live config no longer names a candidate", async () => {
    await folder.write("latchkey.yaml", main(""));
    await program.waitForLine(({ msg }) => msg === "policy reloaded");
    expect(await report()).toMatchObject({ code: 0, out: expect.stringContaining("no shadow policy") });
  });
});
