import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Diagnostic,
  findNearest,
  formatDiagnostics,
  formatPath,
  sortDiagnostics,
} from "../../src/config/diagnostics.ts";

const FOUND: Diagnostic = {
  severity: "error",
  file: "latchkey.yaml",
  line: 2,
  column: 3,
  path: "limits.defualt",
  message: 'Unknown field "defualt"',
  fix: "Did you mean default?",
};

describe("formatDiagnostics()", () => {
  test("shows place, path, message, the line with a caret, and what to write instead", () => {
    const textOf = () => "limits:\n  defualt: 1/second\n";
    expect(formatDiagnostics([FOUND], { color: false, textOf })).toBe(
      [
        'latchkey.yaml:2:3: error: limits.defualt: Unknown field "defualt"',
        "  2 |   defualt: 1/second",
        "    |   ^",
        "  fix: Did you mean default?",
      ].join("\n"),
    );
  });

  test("colours only when asked", () => {
    expect(formatDiagnostics([FOUND], { color: true })).toContain("\u001b[1;31merror\u001b[0m");
    expect(formatDiagnostics([FOUND], { color: false })).not.toContain("\u001b");
  });

  test("names a flag or a whole file without a line", () => {
    const found: Diagnostic = { ...FOUND, file: "--listen", line: 0, column: 0, path: "" };
    expect(formatDiagnostics([found], { color: false })).toMatch(/^--listen: error: Unknown field/);
  });

  test("never shows a line that may hold a secret", () => {
    const textOf = () => "\n    hash: bk_live_0123456789abcdef\n";
    expect(formatDiagnostics([{ ...FOUND, path: "keys[0].hash" }], { color: false, textOf })).not.toContain("bk_live");
  });

  test("cuts a long line around the place", () => {
    const textOf = () => `\n${"x".repeat(100_000)}\n`;
    const text = formatDiagnostics([{ ...FOUND, column: 50_000 }], { color: false, textOf });
    expect(text.length).toBeLessThan(400);
  });

  test("obeys no control character of the file it shows, nor of its name", () => {
    const textOf = () => "\nlimits: \u001b[2J\u202eabc\u0000\r\n";
    const text = formatDiagnostics([{ ...FOUND, file: "a\u001b[2J.yaml", line: 2 }], { color: false, textOf });
    expect(text).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
    expect(text).toContain("a\\u001b[2J.yaml:2:3");
    expect(text).toContain("  2 | limits: \ufffd[2J\ufffdabc\ufffd\n    |   ^");
  });

  test("says how many more there are than anybody reads", () => {
    expect(
      formatDiagnostics(
        Array.from({ length: 300 }, () => FOUND),
        { color: false },
      ),
    ).toContain("… and 100 more");
  });
});

test("sortDiagnostics() puts flags first, then files in the order given, then by place", () => {
  const at = (file: string, line: number, column = 1): Diagnostic => ({ ...FOUND, file, line, column });
  const sorted = sortDiagnostics(
    [at("b", 1), at("a", 2, 9), at("a", 2, 1), at("a", 10), at("--listen", 0)],
    ["a", "b"],
  );
  expect(sorted.map(({ file, line, column }) => `${file}:${line}:${column}`)).toEqual([
    "--listen:0:1",
    "a:2:1",
    "a:2:9",
    "a:10:1",
    "b:1:1",
  ]);
});

test("formatPath() writes paths as people do", () => {
  expect(formatPath(["routes", 2, "scopes", 0])).toBe("routes[2].scopes[0]");
  expect(formatPath(["scopes", "orders:read", "implies"])).toBe('scopes["orders:read"].implies');
});

describe("findNearest()", () => {
  const names = ["listen", "upstream", "credentials", "trustedProxies", "limits", "keys"];

  test.each([
    ["lissten", "listen"],
    ["ustpream", "upstream"],
    ["trusted_proxies", "trustedProxies"],
    ["Limits", "limits"],
    ["key", "keys"],
  ])("takes %s for %s", (written, meant) => expect(findNearest(written, names)).toBe(meant));

  test.each(["", "x", "authentication", "zzzzzz"])("takes %j for nothing", (written) => {
    expect(findNearest(written, names)).toBeUndefined();
  });

  test("finds a name itself, and any name with two letters swapped", () => {
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.nat(), (name, at) => {
        const index = at % (name.length - 1);
        const swapped = [...name];
        swapped.splice(index, 2, name.charAt(index + 1), name.charAt(index));
        expect(findNearest(name, names)).toBe(name);
        expect(findNearest(swapped.join(""), names)).toBe(name);
      }),
    );
  });
});
