import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createFolder,
  type Folder,
  type Program,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "./harness.ts";

const KEY = "5b2d9c7e1f0a4836a9d4e8c3b7f61205";
const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

const CONFIG = (upstreamUrl: string, more: string) => `
upstream: ${upstreamUrl}
routes:
  - { match: "GET /public/**", public: true }
  - { match: "* /**", authenticated: true }
keys: [{ id: pos, hash: "${sha256Of(KEY)}" }]
${more}`;

// Without keyFormats nothing is known of how a key looks: the scheme alone tells whose a value is.
describe("the built program, where keys have no format", () => {
  let upstream: Upstream;
  let folder: Folder;
  let program: Program;

  beforeAll(async () => {
    upstream = await startUpstream();
    folder = await createFolder();
    program = await startProgram(await folder.write("latchkey.yaml", CONFIG(upstream.url, "")));
  });
  afterAll(async () => {
    await program.stop();
    await upstream.close();
    await folder.remove();
  });

  /** What the app is told in `Authorization` when a client that holds a key elsewhere says this in it. */
  async function passedOn(authorization: string, path = "/x", url = program.url): Promise<string | undefined> {
    const headers = { "x-api-key": KEY, authorization };
    expect((await fetch(`${url}${path}`, { headers })).status).toBe(200);
    return upstream.requests.at(-1)?.headers.authorization;
  }

  test.for([
    ["a key without a scheme", KEY],
    ["a key after a tab", `Bearer\t${KEY}`],
    ["a key before something else", `${KEY} x`],
    ["a key with a comma", `${KEY}, Basic dTpw`],
    ["a scheme and nothing", "Basic"],
  ] as const)("drops an Authorization that names no other scheme: %s", async ([, authorization]) => {
    expect(await passedOn(authorization)).toBeUndefined();
    expect(await passedOn(authorization, "/public/x")).toBeUndefined();
  });

  test.for([
    basic("user:password"),
    'Digest username="u", uri="/x"',
    "Negotiate YII=",
    "Token of-the-app",
    "AWS4-HMAC-SHA256 Credential=a",
  ])("leaves the app its own: %s", async (authorization) => {
    expect(await passedOn(authorization)).toBe(authorization);
    expect(await passedOn(authorization, "/public/x")).toBe(authorization);
  });

  test("leaves the app every Authorization where keys travel in X-API-Key alone, and the key that came there goes no further", async () => {
    const more = "credentials: { locations: [X-API-Key] }\n";
    const other = await startProgram(await folder.write("other.yaml", CONFIG(upstream.url, more)));
    for (const authorization of ["Bearer of-the-app", basic("user:password"), "of-the-app"]) {
      expect(await passedOn(authorization, "/x", other.url)).toBe(authorization);
      expect(upstream.requests.at(-1)?.headers["x-api-key"]).toBeUndefined();
    }
    await other.stop();
  });

  test("drops a Basic that wraps a text in the format of the keys", async () => {
    const more = 'keyFormats: ["{secret:hex(32)}"]\n';
    const other = await startProgram(await folder.write("formats.yaml", CONFIG(upstream.url, more)));
    for (const wrapped of [`${KEY}:`, `user:${KEY}`]) {
      expect(await passedOn(basic(wrapped), "/x", other.url)).toBeUndefined();
    }
    expect(await passedOn(basic("user:password"), "/x", other.url)).toBe(basic("user:password"));
    await other.stop();
  });
});
