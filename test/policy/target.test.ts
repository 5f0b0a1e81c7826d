import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { slashOut } from "../../src/policy/slashes.ts";
import { judgeTarget, type PathRules } from "../../src/policy/target.ts";
import { STRICT_PATHS } from "./fixture.ts";

function judge(target: string, rules: Partial<PathRules> = {}) {
  return judgeTarget(target, { ...STRICT_PATHS, ...rules });
}

/** The segments an upstream sees that parses as browsers do (WHATWG URL), then decodes each segment. */
function readLikeBrowser(target: string): readonly string[] {
  return new URL(`http://upstream.example${target}`).pathname.slice(1).split("/").map(decodeURIComponent);
}

// Pieces that parsers disagree on, besides ordinary ones.
const piece = fc.oneof(
  fc.constantFrom(
    "/",
    "/",
    "a",
    "orders",
    ".",
    "..",
    "-",
    "~",
    "%20",
    "%C3%A9",
    "%41",
    "%2e",
    "%2E",
    "%2f",
    "%5c",
    "\\",
  ),
  fc.constantFrom("%", "%2", "%25", "%252e", "%00", "%7f", "%c0%ae", "%ff", ";", ";x=1", "?", "#", "//", "@", ":", "é"),
  fc.constantFrom("\t", "\n", "\r", " ", "\0", "|", "^", '"', "<", "[", "{", "`", "%3f", "%23", "%3b", "%25%32%66"),
  fc.string({ unit: "binary-ascii", maxLength: 4 }),
);
const target = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
const absolute = target.map((text) => `/${text}`);

describe("judgeTarget() under the default rules", () => {
  test("judgeTarget() accepts only targets with one reading, which is a browser's too", () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.oneof(target, absolute), (text) => {
        const judged = judge(text);
        if (judged.kind === "refused") return;
        accepted += 1;
        expect(judged.readings.length).toBe(1);
        expect(judged.readings[0]).toEqual(readLikeBrowser(text));
        expect(judged.query === undefined ? judged.path : `${judged.path}?${judged.query}`).toBe(text);
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(500);
  });

  test("judgeTarget() accepts no path that means something else when it is decoded twice", () => {
    fc.assert(
      fc.property(absolute, (text) => {
        const judged = judge(text);
        if (judged.kind === "refused") return;
        for (const segment of judged.readings[0] ?? []) expect(segment).not.toMatch(/%[0-9A-Fa-f]{2}/);
      }),
      { numRuns: 10_000 },
    );
  });

  test("judgeTarget() accepts every path of plain segments, encoded or not", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }).filter((word) => {
      // To a code page U+2024 is a dot and U+2044 a slash; Windows ignores blanks and a stream's name after dots.
      const folded = slashOut(word).normalize("NFKC");
      const isDots = /^\.{1,2} *(?:[:;?#]|$)/.test(folded);
      return !/[/\\;?#%]/.test(word) && !/[/\\]/.test(folded) && !isDots && !isControl(word) && word.isWellFormed();
    });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 5 }), fc.boolean(), (words, slash) => {
        const path = `/${words.map(encodeURIComponent).join("/")}${slash && words.length > 0 ? "/" : ""}`;
        const expected = words.length === 0 ? [""] : [...words, ...(slash ? [""] : [])];
        expect(judge(path)).toMatchObject({ kind: "target", path, query: undefined, readings: [expected] });
      }),
      { numRuns: 2_000 },
    );
  });

  const refused: readonly (readonly [target: string, problem: RegExp])[] = [
    ["", /not an absolute path/],
    ["?a=1", /not an absolute path/],
    ["*", /not an absolute path/],
    ["a/b", /not an absolute path/],
    ["http://evil.example/a", /not an absolute path/],
    ["evil.example:443", /not an absolute path/],
    ["//", /empty segment/],
    ["//evil.example/a", /empty segment/],
    ["/a//b", /empty segment/],
    ["/a//", /empty segment/],
    ["/.", /dot segment/],
    ["/..", /dot segment/],
    ["/a/../b", /dot segment/],
    ["/a/./b", /dot segment/],
    ["/a/%2e%2e/b", /dot segment/],
    ["/a/.%2E/b", /dot segment/],
    ["/a/..;/b", /dot segment/],
    ["/a/..;x=1/b", /dot segment/],
    ["/a/%2e%3bx", /dot segment/],
    ["/a/..%2fb", /dot segment/],
    ["/a/..%20/b", /dot segment/],
    ["/a/..::$DATA/b", /dot segment/],
    ["/a/%E2%80%A5/b", /dot segment/],
    ["/a/%EF%BC%8E%EF%BC%8E%EF%BC%8Fb", /dot segment/],
    ...["%E2%88%95", "%E2%81%84", "%E2%88%96", "%C2%A5", "%E2%82%A9"].map(
      (slash) => [`/a/..${slash}b`, /dot segment/] as const,
    ),
    ["/a%2Fb", /encoded slash/],
    ["/a\\..\\b", /does not allow/],
    ["/a%5Cb", /backslash/],
    ["/a%5c..%5cb", /backslash/],
    ["/a%00", /control byte/],
    ["/a%0d%0ab", /control byte/],
    ["/a%7F", /control byte/],
    ["/a;x=1", /matrix parameter/],
    ["/a%3Bx=1", /matrix parameter/],
    ["/a%3Fb", /encoded \? or #/],
    ["/a%23b", /encoded \? or #/],
    ["/a%", /percent-encoding/],
    ["/a%2", /percent-encoding/],
    ["/a%zz", /percent-encoding/],
    ["/a%u002e", /percent-encoding/],
    ["/%c0%ae%c0%ae/a", /percent-encoding/],
    ["/%e0%80%af", /percent-encoding/],
    ["/%ed%a0%80", /percent-encoding/],
    ["/%ff", /percent-encoding/],
    ["/a%252fb", /doubly encoded/],
    ["/%252e%252e/a", /doubly encoded/],
    ["/a%25%32%66b", /doubly encoded/],
    ["/a%25%32fb", /doubly encoded/],
    ["/a b", /does not allow/],
    ["/a\tb", /does not allow/],
    ["/a\r\nHost: b", /does not allow/],
    ["/é", /does not allow/],
    ["/a#b", /does not allow/],
    ["/a|b", /does not allow/],
    ["/{a}", /does not allow/],
    ["/a?b#c", /query/],
    ["/a?b c", /query/],
    ["/a?b\0", /query/],
    ["/a?é", /query/],
  ];
  test.each(refused)("judgeTarget() refuses %j", (text, problem) => {
    expect(judge(text)).toEqual({ kind: "refused", problem: expect.stringMatching(problem) });
  });

  const accepted: readonly (readonly [target: string, segments: readonly string[]])[] = [
    ["/", [""]],
    ["/a", ["a"]],
    ["/a/", ["a", ""]],
    ["/a.b/...", ["a.b", "..."]],
    ["/.well-known/x", [".well-known", "x"]],
    ["/caf%C3%A9", ["café"]],
    ["/50%25", ["50%"]],
    ["/a@b:c,d+e", ["a@b:c,d+e"]],
    ["/a%20b", ["a b"]],
  ];
  test.each(accepted)("judgeTarget() reads %j", (path, segments) => {
    expect(judge(path)).toEqual({ kind: "target", path, query: undefined, readings: [segments] });
    expect(judge(`${path}?x=/../%2e`)).toMatchObject({ path, query: "x=/../%2e", readings: [segments] });
  });
});

describe("judgeTarget() of long paths", () => {
  const ALLOW_ALL: Partial<PathRules> = {
    encodedSlash: "allow",
    encodedDelimiters: "allow",
    matrixParameters: "allow",
    emptySegments: "allow",
  };
  const MOST_WAYS = "/x%3Fy%23z";
  const units = ["/a;b//c%2F", "/A%61;//%2F", "/a%2Fb", "//", "/;", "/%C3%A9;", "/%EF%B7%BA;"];

  test.each(units)("judgeTarget() reads no more of %s again and again than it would of a page", (unit) => {
    let refused = 0;
    for (let count = 1; count <= 100_000 && count * unit.length < 1024 * 1024; count *= 3) {
      const judged = judge(unit.repeat(count) + MOST_WAYS, ALLOW_ALL);
      if (judged.kind === "refused") {
        expect(judged.problem).toMatch(/several ways/);
        refused += 1;
        continue;
      }
      const all = [judged.readings, judged.undecoded ?? []];
      for (const readings of all) expect(readings.flat().join("/").length).toBeLessThanOrEqual(32 * 1024);
    }
    expect(refused).toBeGreaterThan(0);
  });

  test("judgeTarget() takes no time that grows with what it refuses", () => {
    const before = process.cpuUsage();
    for (const unit of units) judge(unit.repeat((1024 * 1024) / unit.length) + MOST_WAYS, ALLOW_ALL);
    // Some 5 ms each, most of it one look at a megabyte; read in all ways it takes seconds.
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(500);
  });

  test("judgeTarget() reads what has one reading however long it is", () => {
    const path = "/orders".repeat(20_000);
    expect(judge(path, ALLOW_ALL)).toMatchObject({ kind: "target", path });
    expect(judge(`${path}/%C3%A9`, ALLOW_ALL)).toMatchObject({ kind: "target" });
  });

  test("judgeTarget() reads a path of ordinary length in every way", () => {
    const path = `/files/${"a%2Fb/".repeat(100)}${"c;v=1/".repeat(20)}${MOST_WAYS}`;
    expect(judge(path, ALLOW_ALL)).toMatchObject({ kind: "target" });
  });
});

describe("judgeTarget() under looser rules", () => {
  const cases: readonly (readonly [
    target: string,
    rules: Partial<PathRules>,
    readings: readonly (readonly string[])[],
  ])[] = [
    ["/a%2Fb", { encodedSlash: "allow" }, [["a/b"], ["a", "b"]]],
    [
      "/a;x=1/b",
      { matrixParameters: "allow" },
      [
        ["a;x=1", "b"],
        ["a", "b"],
      ],
    ],
    [
      "/a//b",
      { emptySegments: "allow" },
      [
        ["a", "", "b"],
        ["a", "b"],
      ],
    ],
    ["/a%3Fb/c", { encodedDelimiters: "allow" }, [["a?b", "c"], ["a"]]],
    ["/Orders/X", { caseSensitive: false }, [["orders", "x"]]],
  ];
  test.each(cases)("judgeTarget() gives every reading of %j with %j", (text, rules, readings) => {
    const judged = judge(text, rules);
    expect(judged.kind === "target" && judged.readings).toEqual(readings);
  });

  test.each([
    ["/a/..%2fb", /dot segment/],
    ["/a%2f..%2fb", /dot segment/],
    ["/a%2f%2e%2e", /dot segment/],
    ["/..;/a", /dot segment/],
  ])("judgeTarget() refuses %j even where encoded slashes and parameters are allowed", (text, problem) => {
    expect(judge(text, { encodedSlash: "allow", matrixParameters: "allow" })).toEqual({
      kind: "refused",
      problem: expect.stringMatching(problem),
    });
  });

  test("judgeTarget() never has a dot segment, a backslash or a control byte in any reading, whatever the rules", () => {
    const toggle = fc.constantFrom<"allow" | "reject">("allow", "reject");
    const rules = fc.record({
      encodedSlash: toggle,
      encodedDelimiters: toggle,
      matrixParameters: toggle,
      emptySegments: toggle,
      caseSensitive: fc.boolean(),
    });
    fc.assert(
      fc.property(absolute, rules, (text, chosen) => {
        const judged = judge(text, chosen);
        if (judged.kind === "refused") return;
        for (const segment of judged.readings.flat()) {
          expect(segment === "." || segment === ".." || segment.includes("\\") || isControl(segment)).toBe(false);
        }
      }),
      { numRuns: 10_000 },
    );
  });
});

function isControl(text: string): boolean {
  return [...text].some((character) => (character.codePointAt(0) ?? 0) < 0x20 || character === "\x7f");
}
