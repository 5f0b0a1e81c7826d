import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createFolder,
  exchangeBytes,
  type Folder,
  PROGRAM,
  type Program,
  parseResponse,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "./harness.ts";

const KEY = "lk_expla1nexpla1nexpla1nexpla1n";
const BASIC = "Basic dXNlcjpwYXNz";

const CONFIG = (upstreamUrl: string) => `
upstream: ${upstreamUrl}
listen: { maxBody: 1KiB }
credentials: { locations: ["Authorization: Bearer", "X-API-Key"] }
routes: [{ match: "* /api/**", authenticated: true }]
keys: [{ id: pos, hash: "${sha256Of(KEY)}" }]
`;

interface Row {
  readonly title: string;
  readonly method?: string;
  readonly target?: string;
  readonly headers?: readonly string[];
  readonly status: number;
  readonly reason: string | null;
}

const ROWS: readonly Row[] = [
  { title: "an ordinary request", status: 200, reason: null },
  { title: "a method in small letters", method: "get", status: 400, reason: "request_invalid" },
  { title: "a method nobody knows", method: "FOO", status: 400, reason: "request_invalid" },
  { title: "one nobody knows to no route", method: "FOO", target: "/x", status: 400, reason: "request_invalid" },
  { title: "a TRACE", method: "TRACE", status: 400, reason: "request_invalid" },
  { title: "another coding", headers: ["Transfer-Encoding: gzip"], status: 400, reason: "request_invalid" },
  { title: "a length that is none", headers: ["Content-Length: x"], status: 400, reason: "request_invalid" },
  {
    title: "a body framed twice",
    method: "POST",
    headers: ["Content-Length: 1", "Transfer-Encoding: chunked"],
    status: 400,
    reason: "request_invalid",
  },
  { title: "another expectation", headers: ["Expect: foo"], status: 400, reason: "request_invalid" },
  { title: "two Host lines", headers: ["Host: a", "Host: b"], status: 400, reason: "request_invalid" },
  { title: "a long header", headers: [`X-Long: ${"x".repeat(20_000)}`], status: 431, reason: "headers_too_large" },
  {
    title: "many headers",
    headers: Array.from({ length: 120 }, (_, index) => `X-${index}: x`),
    status: 431,
    reason: "headers_too_large",
  },
  { title: "a long body", method: "POST", headers: ["Content-Length: 5000"], status: 413, reason: "body_too_large" },
  {
    title: "an upgrade with a body",
    headers: ["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5"],
    status: 400,
    reason: "request_invalid",
  },
];

describe("latchkey explain, beside the same request to the program", () => {
  let upstream: Upstream;
  let folder: Folder;
  let program: Program;
  let file: string;

  beforeAll(async () => {
    upstream = await startUpstream();
    folder = await createFolder();
    file = await folder.write("latchkey.yaml", CONFIG(upstream.url));
    program = await startProgram(file);
  });
  afterAll(async () => {
    await program.stop();
    await upstream.close();
    await folder.remove();
  });

  function explain(method: string, target: string, headers: readonly string[]) {
    const lines = headers.flatMap((line) => ["--header", line]);
    const args = [PROGRAM, "explain", method, target, "--json", "--config", file, "--key", KEY, ...lines];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (stdout === "") throw new Error(stderr);
    return JSON.parse(stdout);
  }

  async function send(method: string, target: string, headers: readonly string[]) {
    const host = headers.some((line) => line.startsWith("Host:")) ? [] : ["Host: localhost"];
    const lines = [`${method} ${target} HTTP/1.1`, ...host, `Authorization: Bearer ${KEY}`, ...headers];
    return parseResponse(
      await exchangeBytes(program.port, `${lines.join("\r\n")}\r\n\r\n`, (received) => received.includes("\r\n\r\n")),
    );
  }

  test.for(ROWS)("$title", async ({ method = "GET", target = "/api/x", headers = [], status, reason }) => {
    expect((await send(method, target, headers)).status).toBe(status);
    const told = explain(method, target, headers);
    expect({ decision: told.decision, reason: told.reason }).toEqual({
      decision: reason === null ? "allow" : "deny",
      reason,
    });
    if (reason !== null) expect(told.response.status).toBe(status);
  });

  test("shows how the request is framed, and what it asks to become", () => {
    const headersOf = (method: string, ...headers: readonly string[]) =>
      explain(method, "/api/x", headers).upstream.headers;
    expect(headersOf("POST")).toContainEqual(["content-length", "0"]);
    expect(headersOf("POST", "Content-Length: 5")).toContainEqual(["content-length", "5"]);
    expect(headersOf("POST", "Transfer-Encoding: chunked")).toContainEqual(["transfer-encoding", "chunked"]);
    expect(headersOf("GET").flat()).not.toContain("content-length");
    const upgrade = headersOf("GET", "Connection: Upgrade", "Upgrade: websocket");
    expect(upgrade).toContainEqual(["connection", "Upgrade"]);
    expect(upgrade).toContainEqual(["upgrade", "websocket"]);
  });

  test("shows the app's own credentials, and withholds none but the key", () => {
    const args = ["explain", "GET", "/api/x", "--config", file];
    const lines = ["-H", `X-API-Key: ${KEY}`, "-H", `Authorization: ${BASIC}`];
    const { stdout } = spawnSync(process.execPath, [PROGRAM, ...args, ...lines], { encoding: "utf8" });
    expect(stdout).toContain(`Authorization: ${BASIC}`);
    expect(stdout).not.toContain("withheld");
    expect(stdout).not.toContain(KEY);
  });
});
