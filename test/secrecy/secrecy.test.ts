import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { EXCEPTIONS } from "./exceptions.ts";
import { findLeaks } from "./leaks.ts";
import type { Place, Recording, Track } from "./recording.ts";
import { findSecrets } from "./secrets.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const KEY = "lk_0123456789-abcdefghijklmnopqrstuvwxyz";

/** A recording of one track. */
function recordingOf(track: Partial<Track> & { readonly place: Place }, said: string, sent = ""): Recording {
  const whole = { of: "a program", text: () => said, sent: () => sent, ...track };
  return { tracks: () => [whole], given: () => [], note: () => {}, give: () => {}, clear: () => {} };
}

/** How a whole file of tests ends that lets secrets out. */
function runLeaking(): Promise<{ readonly code: number; readonly output: string }> {
  const vitest = fileURLToPath(new URL("node_modules/vitest/vitest.mjs", `file://${ROOT}`));
  const env = { ...process.env, LATCHKEY_TEST: "leaking", NO_COLOR: "1" };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [vitest, "run"], { cwd: ROOT, env }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
    );
  });
}

describe("every file of tests", () => {
  test("fails when a secret got out, though it says nothing of secrets itself and its tests pass", async () => {
    const { code, output } = await runLeaking();
    expect(code).toBe(1);
    expect(output).toMatch(/Tests +5 passed/);
    const found = [...output.matchAll(/^(?:Error: )?(\w{6})… stands (.*?) in (\w+) of /gm)].map(
      ([, ...parts]) => parts,
    );
    // What was presented stands in the request that the upstream got and in the answer to it.
    expect(new Set(found.map((parts) => parts.join(" ")))).toEqual(
      new Set([
        "lk_5ec plainly stdout",
        "lk_5ec plainly stderr",
        "lk_5ec in base64 stdout",
        "pep_0f plainly stderr",
        "lk_pre plainly upstream",
        "lk_pre plainly answer",
        "lk_5ec in hex upstream",
      ]),
    );
  });
});

describe("findLeaks()", () => {
  const leaksIn = (place: Place, said: string) => findLeaks(recordingOf({ place }, said), new Set([KEY]), []).length;

  test.for([
    ["as it is", KEY],
    ["in capitals", KEY.toUpperCase()],
    ["percent-encoded", [...Buffer.from(KEY)].map((byte) => `%${byte.toString(16)}`).join("")],
    ["in hex", Buffer.from(KEY).toString("hex")],
    ["in base64", Buffer.from(KEY).toString("base64")],
    ["in base64, one byte in", Buffer.from(`:${KEY}`).toString("base64")],
    ["in base64, two bytes in, between others", Buffer.from(`a:${KEY}xyz`).toString("base64")],
    ["in base64url", Buffer.from(`user:${KEY}`).toString("base64url")],
    ["without its beginning", KEY.slice(-24)],
  ] as const)("finds a secret %s", ([, said]) => {
    for (const place of ["stdout", "stderr", "answer", "upstream"] as const) {
      expect(leaksIn(place, `before${said}after`), place).toBe(1);
    }
  });

  test("finds nothing where nothing is, nor in a prefix that people are shown", () => {
    expect(leaksIn("stdout", `{"keyId":"pos","prefix":"${KEY.slice(0, 8)}"}`)).toBe(0);
  });

  test("never shows the secret itself", () => {
    const [leak = ""] = findLeaks(recordingOf({ place: "stdout" }, `x ${KEY}`), new Set([KEY]), []);
    expect(leak).not.toContain(KEY.slice(8));
  });

  test("an exception holds for its place and what it says stands before, and for no other occurrence", () => {
    const exception = { file: "", place: "upstream", after: /get \/search\/$/, reason: "" } as const;
    const leaks = (place: Place, said: string) =>
      findLeaks(recordingOf({ place }, said), new Set([KEY]), [exception]).length;
    expect(leaks("upstream", `GET /search/${KEY} HTTP/1.1`)).toBe(0);
    expect(leaks("stdout", `GET /search/${KEY} HTTP/1.1`)).toBe(1);
    expect(leaks("upstream", `GET /search/${KEY} HTTP/1.1\r\nX-Debug: ${KEY}`)).toBe(1);
  });
});

describe("findSecrets()", () => {
  const secretsOf = (track: Partial<Track> & { readonly place: Place }, said: string, sent = "") =>
    findSecrets(recordingOf(track, said, sent));

  test.for([
    ["Authorization: Bearer", `GET / HTTP/1.1\r\nauthorization: Bearer ${KEY}\r\n\r\n`],
    ["Authorization alone", `GET / HTTP/1.1\r\nAuthorization: ${KEY}\r\n\r\n`],
    ["X-API-Key", `GET / HTTP/1.1\r\nX-API-Key:${KEY}\r\n\r\n`],
    ["another header that is called a key", `GET / HTTP/1.1\r\nX-Shop-Api-Key: ${KEY}\r\n\r\n`],
  ] as const)("takes for a secret what was presented as %s", ([, sent]) => {
    expect(secretsOf({ place: "answer" }, "", sent)).toContain(KEY);
  });

  test.for([
    ["latchkey keys create pos", `${KEY}\n`],
    ["node dist/main.js keys rotate pos --json", `{"id":"pos","key":"${KEY}"}\n`],
    ["latchkey demo", "curl -H 'X-API-Key: lk_0123456789abcdefghijklmnopq' http://127.0.0.1:1/\n"],
  ] as const)("takes for a secret what `%s` prints, which it alone may, on stdout alone", ([of, said]) => {
    const secrets = secretsOf({ place: "stdout", of }, said);
    expect(secrets.size).toBe(1);
    expect(findLeaks(recordingOf({ place: "stdout", of }, said), secrets, [])).toEqual([]);
    expect(findLeaks(recordingOf({ place: "stderr", of }, said), secrets, [])).toHaveLength(1);
    expect(findLeaks(recordingOf({ place: "stdout", of: "latchkey serve" }, said), secrets, [])).toHaveLength(1);
  });

  test("takes for a secret the key in the answer to a rotation, which no other answer may hold", () => {
    const said = `HTTP/1.1 200 OK\r\n\r\n{"id":"pos-2","key":"${KEY}"}`;
    const rotated = recordingOf({ place: "answer" }, said, "POST /api/keys/pos/rotate HTTP/1.1\r\n\r\n");
    expect(findLeaks(rotated, findSecrets(rotated), [])).toEqual([]);
    const other = recordingOf({ place: "answer" }, said, "GET /api/keys/pos HTTP/1.1\r\n\r\n");
    expect(findLeaks(other, findSecrets(rotated), [])).toHaveLength(1);
  });
});

describe("the exceptions", () => {
  test("are of files that are there, and each has a reason", () => {
    for (const { file, reason } of EXCEPTIONS) {
      expect(existsSync(new URL(file, `file://${ROOT}`)), file).toBe(true);
      expect(reason.length, file).toBeGreaterThan(20);
    }
  });
});
