import { createServer } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { createDirectory, run } from "./run.ts";

const READY = { status: "ready", revision: "1dee86407f74", since: "2026-01-01T00:00:00.000Z" };
const DIAGNOSTIC = {
  severity: "error",
  file: "latchkey.yaml",
  line: 7,
  column: 3,
  path: "limits.defualt",
  message: 'Unknown field "defualt"',
  fix: "Did you mean default?",
};
const reload = (outcome: object) => ({ lastReload: { atMs: Date.parse("2026-01-02T00:00:00Z"), outcome } });

/** An admin port that says this of itself. */
async function startAdmin(body: unknown, status = 200): Promise<string> {
  const server = createServer((request, response) => {
    response.statusCode = request.url === "/readyz" ? status : 404;
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  return `127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
}

describe("latchkey status", () => {
  test("tells the revision in force, since when, and that nothing was reloaded yet", async () => {
    const { code, out } = await run(["status", "--admin", await startAdmin(READY)]);
    expect(code).toBe(0);
    expect(out).toMatch(/^ready, revision 1dee86407f74 since 2026-01-01T00:00:00\.000Z \(\d+ d ago\)\nno reload /);
  });

  test("tells what the last reload took up, or that there was nothing to take up", async () => {
    const swapped = reload({ kind: "swapped", revision: "1dee86407f74", previous: "e86cedf82555" });
    const after = await run(["status", "--admin", await startAdmin({ ...READY, ...swapped })]);
    expect(after).toMatchObject({ code: 0, out: expect.stringContaining("in place of revision e86cedf82555") });
    const unchanged = await run([
      "status",
      "--admin",
      await startAdmin({ ...READY, ...reload({ kind: "unchanged" }) }),
    ]);
    expect(unchanged).toMatchObject({ code: 0, out: expect.stringContaining("nothing to take up") });
  });

  test("ends with 1 after a rejected reload, and tells everything that was wrong and where", async () => {
    const rejected = { ...READY, ...reload({ kind: "rejected", diagnostics: [DIAGNOSTIC, DIAGNOSTIC] }) };
    const admin = await startAdmin(rejected);
    const { code, out } = await run(["status", "--admin", admin]);
    expect(code).toBe(1);
    const told = 'latchkey.yaml:7:3: error: limits.defualt: Unknown field "defualt"\n  fix: Did you mean default?\n';
    expect(out).toContain(`rejected, the last good policy stays\n\n${told}${told}`);
    const { out: json } = await run(["status", "--json", "--admin", admin]);
    expect(JSON.parse(json)).toEqual(rejected);
  });

  test("ends with 1 while draining, and still tells", async () => {
    const admin = await startAdmin({ ...READY, status: "draining" }, 503);
    expect(await run(["status", "--admin", admin])).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^draining, /),
    });
  });

  test("ends with 1 on the last good copy, and tells when that was made", async () => {
    const admin = await startAdmin({ ...READY, lastGoodCopy: "2025-12-31T00:00:00.000Z" });
    const told = "started on the last good copy, of 2025-12-31T00:00:00.000Z";
    expect(await run(["status", "--admin", admin])).toMatchObject({ code: 1, out: expect.stringContaining(told) });
  });

  test("finds the address in the config file, as healthcheck does", async () => {
    const directory = await createDirectory({ "latchkey.yaml": `admin: ${await startAdmin(READY)}\n` });
    expect((await run(["status", "--config", `${directory}/latchkey.yaml`])).code).toBe(0);
  });

  test("says why there is nothing to tell", async () => {
    const other = await run(["status", "--admin", await startAdmin("<html>")]);
    expect(other).toMatchObject({ code: 1, err: expect.stringContaining("answered 200 without JSON") });
    const strange = await run(["status", "--admin", await startAdmin({ ok: true })]);
    expect(strange).toMatchObject({ code: 1, err: expect.stringContaining("not that of a Latchkey") });
    const absent = await run(["status", "--admin", "127.0.0.1:1"]);
    expect(absent).toMatchObject({ code: 1, err: expect.stringContaining("ECONNREFUSED") });
    expect((await run(["status", "--timeout", "soon"])).code).toBe(2);
  });
});
