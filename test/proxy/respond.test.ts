import { describe, expect, test } from "vitest";
import { toRawAnswer } from "../../src/proxy/respond.ts";

describe("toRawAnswer()", () => {
  const answer = (challenge: string) => ({ status: 403, headers: ["WWW-Authenticate", challenge], body: "" });

  // The last of these leaves as its low byte, which is a line feed, where nobody looks at what is written as latin1.
  test.each(["\r\n", "\n", "\r", "\u010a"])("is none where a field would begin another: %j", (end) => {
    expect(() => toRawAnswer(answer(`Bearer scope="a${end}X-Forged: yes"`))).toThrow("a control byte");
  });

  test("says its fields, and that it is the last of its connection", () => {
    expect(toRawAnswer(answer("Bearer"))).toBe(
      "HTTP/1.1 403 Forbidden\r\nWWW-Authenticate: Bearer\r\nConnection: close\r\n\r\n",
    );
  });
});
