import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseDocument } from "../../src/config/parse-document.ts";
import { readPlainRecords } from "../../src/config/plain-records.ts";

const PLAIN = `# Keys of the shop
keys:
  - id: a   # the first
    name: Bäckerei, Main Street
    hash: "sha256:00"
    scopes: [orders:read, "orders:write", 'x']

    limits:
      - 60/minute
      - 1000/hour
    allowIps: []
    expiresAt: 2030-01-01T00:00:00Z
    readOnly: true
    tenant:
    metadata: { team: retail, floor: 3, at: 10.0.0.1, none: null }
  - hash: 'x'
    id: b
    metadata:
      team: retail
      # of no importance
      floor: 70
`;

describe("readPlainRecords()", () => {
  test("reads records as the YAML library does, with their lines", () => {
    const read = readPlainRecords(PLAIN);
    if (read.kind !== "records") return expect.unreachable();
    expect(read.value).toEqual(parse(PLAIN));
    expect(read.lines).toEqual([3, 16]);
    expect(read.offsets.map((offset) => PLAIN.slice(offset, offset + 9))).toEqual(["  - id: a", "  - hash:"]);
  });

  test.each([
    ["an anchor", "keys:\n- id: &x a\n"],
    ["a tag", "keys:\n- id: !!str a\n"],
    ["an escape", 'keys:\n- id: "\\x41"\n'],
    ["text over several lines", "keys:\n- id: a\n  name: b\n    c\n"],
    ["text that goes on like a list", "keys:\n- id: a\n  name: b\n   - c\n"],
    ["a block of text", "keys:\n- id: |\n    a\n"],
    ["a float", "keys:\n- id: 1.5\n"],
    ["a number with a zero in front", "keys:\n- metadata: { zip: 00123 }\n"],
    ["a hexadecimal number", "keys:\n- id: 0x1F\n"],
    ["a second top-level field", "keys:\n- id: a\nmore: 1\n"],
    ["a list across lines", "keys:\n- scopes: [a,\n   b]\n"],
    ["another document", "keys:\n- id: a\n---\n"],
    ["a tab", "keys:\n-\tid: a\n"],
    ["a map within a map within a record", "keys:\n- metadata:\n    a:\n      b: c\n"],
    ["__proto__", "keys:\n- __proto__: a\n"],
    ["a colon that makes a map", "keys:\n- id: a: b\n"],
    ["records at different depths", "keys:\n  - id: a\n - id: b\n"],
    ["no records", "keys:\n"],
    ["a name of more than 1024 characters", `keys:\n- ${"a".repeat(1025)}: b\n`],
    ["another root", "- id: a\n"],
  ])("leaves %s to the YAML library", (_name, text) => expect(readPlainRecords(text).kind).toBe("beyond"));

  test("refuses a name that stands twice", () => {
    expect(readPlainRecords("keys:\n- id: a\n  name: x\n  id: b\n")).toMatchObject({
      kind: "refused",
      problem: { position: { line: 4, column: 3 }, path: ["keys", 0, "id"] },
    });
  });

  test("reads what it reads as the YAML library does, whatever the records say", () => {
    const scalar = fc.oneof(
      fc.stringMatching(/^[A-Za-z0-9_.:/ ,+@#'"-]{1,12}$/),
      fc.constantFrom(
        "null",
        "TRUE",
        "~",
        "0o7",
        "1e3",
        ".5",
        "+1",
        "1_000",
        "12:30:45",
        "-",
        "0.1.2",
        "123456789012345678",
      ),
      fc.stringMatching(/^"[a-z:#,\]} ]{0,8}"$/),
      fc.stringMatching(/^\[[a-z0-9:, "']{0,12}\]$/),
      fc.stringMatching(/^\{[a-z]: [a-z0-9:., ]{0,12}\}$/),
    );
    const line = fc
      .tuple(
        fc.constantFrom("  - ", "    ", "    ", "      ", "      - "),
        fc.constantFrom("id: ", "b: ", "c:", "c: ", ""),
        scalar,
      )
      .map((parts) => parts.join(""));
    let read = 0;
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 6 }), (lines) => {
        const text = `keys:\n  - first: 1\n${lines.join("\n")}\n`;
        const plain = readPlainRecords(text);
        if (plain.kind !== "records") return;
        read += 1;
        expect(plain.value).toEqual(parse(text));
      }),
      { numRuns: 20_000 },
    );
    expect(read).toBeGreaterThan(500);
  });
});

describe("parseDocument() of a large YAML file", () => {
  const record = (index: number) => `  - id: key-${index}\n    hash: "sha256:00"\n    scopes: [orders:read]\n`;
  const text = `keys:\n${Array.from({ length: 5000 }, (_, index) => record(index)).join("")}`;

  test("knows the place of every field without the library", () => {
    const parsed = parseDocument("keys.yaml", text);
    if (parsed.kind === "refused") return expect.unreachable();
    expect(parsed.document.recordLine(4000)).toBe(12_002);
    expect(parsed.document.locate(["keys", 4000, "scopes", 0], "value")).toEqual({ line: 12_004, column: 14 });
    expect(parsed.document.locate(["keys", 4000, "hash"], "name")).toEqual({ line: 12_003, column: 5 });
    expect(parsed.document.locate(["keys", 9000], "value")).toBeUndefined();
  });

  test("gives what is beyond plain records to the library, where it is small enough", () => {
    const parsed = parseDocument("keys.yaml", `${text}  - id: "\\x41"\n`);
    expect(parsed.kind).toBe("document");
  });

  test("says which line is beyond plain records where it is not", () => {
    const parsed = parseDocument("keys.yaml", `keys:\n${record(0).repeat(140_000)}  - id: !!str x\n`);
    if (parsed.kind === "document") return expect.unreachable();
    expect(parsed.diagnostics).toMatchObject([
      { line: 420_002, column: 1, message: expect.stringContaining("plain records") },
    ]);
  });
});
