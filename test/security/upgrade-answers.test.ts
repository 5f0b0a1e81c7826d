import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, exchangeBytes, type Folder, type Program, sha256Of, startProgram } from "../e2e/harness.ts";

const KEY = "an-upgrade-key-0123456789-0123456789";
// The last of these leaves as its low byte, which is a line feed, where nobody looks at what is written as latin1.
const LINE_ENDS = { crlf: "\r\n", lf: "\n", wide: "\u010a" };

describe("the built program, an upgrade refused with words of the config", () => {
  let folder: Folder;
  let program: Program;

  beforeAll(async () => {
    folder = await createFolder();
    const aliases = Object.fromEntries(Object.entries(LINE_ENDS).map(([name, end]) => [name, `${end}X-Forged: yes`]));
    const config = {
      upstream: "http://127.0.0.1:1",
      routes: [{ match: "GET /{resource}", scopes: ["{resource}.read"], aliases }],
      keys: [{ id: "one", hash: sha256Of(KEY), scopes: ["other.read"] }],
    };
    program = await startProgram(await folder.write("latchkey.json", JSON.stringify(config)));
  });
  afterAll(async () => {
    await program.stop();
    await folder.remove();
  });

  test.each(Object.keys(LINE_ENDS))("holds no line that a word of it began: %s", async (name) => {
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket";
    const request = `GET /${name} HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer ${KEY}\r\n${upgrade}\r\n\r\n`;
    const answer = await exchangeBytes(program.port, request);
    expect(answer).toMatch(/^HTTP\/1\.1 500 /);
    expect(answer).not.toMatch(/[\r\n]X-Forged/);
  });
});
