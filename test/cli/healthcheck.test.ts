import { createServer } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { createDirectory, run } from "./run.ts";

/** An admin port that is alive but not ready. */
async function startAdmin(address?: string): Promise<string> {
  const server = createServer((request, response) => {
    response.statusCode = request.url === "/livez" ? 200 : 503;
    if (request.url !== "/hangs") response.end();
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => {
    if (address === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(address, resolve);
  });
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? `127.0.0.1:${bound.port}` : (address ?? "");
}

describe("latchkey healthcheck", () => {
  test("is silent when the proxy is alive", async () => {
    const admin = await startAdmin();
    expect(await run(["healthcheck", "--admin", admin])).toEqual({ code: 0, out: "", err: "" });
  });

  test("asks about readiness when told to", async () => {
    const admin = await startAdmin();
    const { code, err } = await run(["healthcheck", "--ready", "--admin", admin]);
    expect(code).toBe(1);
    expect(err).toBe(`latchkey healthcheck: http://${admin}/readyz answered 503\n`);
  });

  test("finds the address in the environment, then in the config file", async () => {
    const admin = await startAdmin();
    expect((await run(["healthcheck"], { env: { LATCHKEY_ADMIN: admin } })).code).toBe(0);
    for (const text of [
      `admin: ${admin}\n`,
      `admin: { address: "${admin}" }\n`,
      `# ours\r\nlisten: 8080\r\n"admin" :\r\n  # of the pod\r\n\r\n  address: ${admin}\r\nkeys: []\r\n`,
      `metadata:\n  admin: nobody\nadmin:\n# loopback\n  address: ${admin}\n`,
      `{ admin: { address: "${admin}" }, keys: [] }\n`,
      `{\n "admin": "${admin}"\n}\n`,
      `listen: &here ${admin}\nadmin: { address: *here }\n`,
    ]) {
      const directory = await createDirectory({ "latchkey.yaml": text });
      expect({ text, ...(await run(["healthcheck", "--config", `${directory}/latchkey.yaml`])) }).toMatchObject({
        code: 0,
      });
    }
  });

  test("reads of a long config no more than it needs", async () => {
    const admin = await startAdmin();
    // No YAML from end to end: whoever reads all of it stumbles, and takes the default address.
    const text = `keys:\n  - id: "pos\nadmin: ${admin}\nroutes: []\n`;
    const directory = await createDirectory({ "latchkey.yaml": text });
    const { err } = await run(["healthcheck", "--ready", "--config", `${directory}/latchkey.yaml`]);
    expect(err).toBe(`latchkey healthcheck: http://${admin}/readyz answered 503\n`);
  });

  test("reaches a listener on every address, and one on a unix socket", async () => {
    const port = (await startAdmin()).split(":")[1];
    expect((await run(["healthcheck", "--admin", `0.0.0.0:${port}`])).code).toBe(0);
    const directory = await createDirectory();
    const socket = await startAdmin(`${directory}/admin.sock`);
    expect((await run(["healthcheck", "--admin", `unix:${socket}`])).code).toBe(0);
  });

  test("fails in time when nobody answers, or nobody is there", async () => {
    const admin = await startAdmin();
    const slow = await run(["healthcheck", "--url", `http://${admin}/hangs`, "--timeout", "50"]);
    expect(slow).toMatchObject({ code: 1, err: expect.stringContaining("did not answer within 50 ms") });
    const absent = await run(["healthcheck", "--admin", "127.0.0.1:1"]);
    expect(absent).toMatchObject({ code: 1, err: expect.stringContaining("ECONNREFUSED") });
  });

  test("says that a switched-off admin port cannot be asked", async () => {
    const { code, err } = await run(["healthcheck"], { env: { LATCHKEY_ADMIN: "off" } });
    expect(code).toBe(1);
    expect(err).toContain("the admin port is off");
  });
});
