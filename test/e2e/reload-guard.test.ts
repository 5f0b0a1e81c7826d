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

const keyOf = (index: number) => `lk_${String(index).repeat(32)}`;

function keysYaml(count: number): string {
  const records = Array.from(
    { length: count },
    (_, index) => `  - { id: key-${index}, hash: "${sha256Of(keyOf(index))}" }`,
  );
  return `keys:\n${records.join("\n")}\n`;
}

describe("the built program, when a reload removes most keys", () => {
  let upstream: Upstream;
  let folder: Folder;
  let program: Program;
  const main = (reload: string) =>
    `upstream: ${upstream.url}\nroutes:\n  - { match: "* /**", authenticated: true }\nkeys: keys.yaml\n${reload}`;
  const statusOf = async (index: number) =>
    (await fetch(`${program.url}/`, { headers: { "x-api-key": keyOf(index) } })).status;

  beforeAll(async () => {
    upstream = await startUpstream();
    folder = await createFolder();
    await folder.write("keys.yaml", keysYaml(6));
    program = await startProgram(await folder.write("latchkey.yaml", main("")));
  });
  afterAll(async () => {
    await program.stop();
    await upstream.close();
    await folder.remove();
  });

  test("keeps them, says what to write if it is meant, and lets them go once that is written", async () => {
    expect(await statusOf(5)).toBe(200);
    await folder.write("keys.yaml", keysYaml(1));
    const refused = await program.waitForLine(({ level }) => level === "error");
    expect(refused["msg"]).toBe("reload rejected, the last good policy stays");
    const text = JSON.stringify(refused["diagnostics"]);
    expect(text).toContain("removes 5 of 6 keys");
    expect(await statusOf(5)).toBe(200);
    const admin = `127.0.0.1:${program.adminPort}`;
    const status = await run(["status", "--admin", admin]);
    expect(status).toMatchObject({ code: 1, out: expect.stringContaining("removes 5 of 6 keys") });

    const line = /reload: \{ confirm: removal-[0-9a-f]{12} \}/.exec(text)?.[0] ?? "";
    await folder.write("latchkey.yaml", main(`${line}\n`));
    const taken = await program.waitForLine(({ msg }) => msg === "policy reloaded");
    expect(JSON.stringify(taken["changes"])).toContain("5 keys removed");
    expect(await statusOf(5)).toBe(401);
    expect(await statusOf(0)).toBe(200);
    expect(await run(["status", "--admin", admin])).toMatchObject({ code: 0, out: expect.stringMatching(/^ready, /) });
  });
});
