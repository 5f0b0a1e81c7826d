import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Path } from "../../src/config/diagnostics.ts";
import { parseDocument } from "../../src/config/parse-document.ts";

const YAML = "latchkey.yaml";
const JSON_FILE = "latchkey.json";

function problemsOf(text: string, file = YAML): readonly string[] {
  const parsed = parseDocument(file, text);
  if (parsed.kind === "document") return [];
  return parsed.diagnostics.map(({ line, column, path, message }) => `${line}:${column} ${path} ${message}`);
}

function readValue(text: string, file = YAML): unknown {
  const parsed = parseDocument(file, text);
  return parsed.kind === "document" ? parsed.document.value : parsed.diagnostics;
}

function locate(text: string, path: Path, part: "value" | "name" = "value", file = YAML) {
  const parsed = parseDocument(file, text);
  return parsed.kind === "document" ? parsed.document.locate(path, part) : undefined;
}

describe("parseDocument() refuses hostile YAML with its place", () => {
  test.each([
    ["a name that stands twice", "a: 1\nb: 2\na: 3\n", '3:1 a The name "a" stands twice here'],
    ["the same name twice, once in quotes", 'a: 1\n"a": 3\n', '2:1 a The name "a" stands twice here'],
    ["__proto__ as a name", "a:\n  __proto__: { x: 1 }\n", "2:3 a The name __proto__ is not allowed"],
    [
      "a merge key",
      "a: &x { b: 1 }\nc:\n  <<: *x\n",
      "3:3 c Merge keys (<<) are not part of this language; write the fields out",
    ],
    [
      "a tag",
      "a: !!python/object:os.system x\n",
      "1:30 a Tags such as !!python/object:os.system are not part of this language",
    ],
    ["a local tag", "a: !secret x\n", "1:12 a Tags such as !secret are not part of this language"],
    ["an explicit key", "? a\n: 1\n", expect.stringContaining("1:1  Explicit keys")],
    ["an alias to nothing", "a: *b\n", expect.stringContaining("1:4")],
    ["an alias within its own anchor", "a: &x [*x]\n", expect.stringContaining("1:8")],
    ["several documents", "a: 1\n---\nb: 2\n", expect.stringContaining("several YAML documents")],
    ["a NUL byte", "a: 1\nb: \0\n", "2:4  The file holds a NUL byte; expected text"],
    ["an empty file", " \n", "0:0  The file is empty"],
    ["bad indentation", "a:\n  b: 1\n c: 2\n", expect.stringContaining("3:1")],
    ["a tab as indentation", "a:\n\tb: 1\n", expect.stringContaining("2:")],
  ])("%s", (_name, text, expected) => expect(problemsOf(text)[0]).toEqual(expected));

  test("a list as a name", () => expect(problemsOf("[a]: 1\n")).not.toEqual([]));

  test("a billion laughs, in a moment", () => {
    let text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
    for (let level = 1; level < 12; level += 1) {
      text += `a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(", ")}]\n`;
    }
    expect(problemsOf(text)[0]).toContain("Aliases stand for more than 100000 values");
  });

  test("lists within lists, in brackets and by dashes", () => {
    expect(problemsOf(`a: ${"[".repeat(5000)}${"]".repeat(5000)}`)[0]).toContain("nested more than 32 deep");
    expect(problemsOf(`${"- ".repeat(5000)}x`)).not.toEqual([]);
    expect(problemsOf("{a: ".repeat(5000))[0]).toContain("nested more than 32 deep");
  });

  test("many explicit keys, which would cost the parser minutes", () => {
    expect(problemsOf("? ".repeat(20_000))[0]).toContain("Explicit keys");
  });
});

describe("parseDocument() takes large ordinary YAML in its stride", () => {
  test.each([
    ["a line of a megabyte", `a: ${"x ".repeat(500_000)}`],
    ["a quoted line of a megabyte", `a: "${"\\x41".repeat(250_000)}"`],
    [
      "ten thousand names in one map",
      Array.from({ length: 10_000 }, (_, index) => `k${index}: &a${index} x`).join("\n"),
    ],
  ])("%s", (_name, text) => expect(problemsOf(text)).toEqual([]));

  test("names that are methods of every object", () => {
    const text = "constructor: 1\ntoString: 2\nhasOwnProperty: 3\n";
    expect(Object.entries(Object(readValue(text)))).toEqual([
      ["constructor", 1],
      ["toString", 2],
      ["hasOwnProperty", 3],
    ]);
  });

  test("a byte-order mark and Windows line ends", () => {
    expect(readValue("\uFEFFa: 1\r\nb: x\r\n")).toEqual({ a: 1, b: "x" });
  });

  test("anchors and aliases for what is said twice", () => {
    expect(readValue("a: &x [1, 2]\nb: *x\n")).toEqual({ a: [1, 2], b: [1, 2] });
  });

  test("an instant, a version and a word for yes stay text", () => {
    expect(readValue("a: 2026-01-01T00:00:00Z\nb: 1.2.3\nc: yes\nd: off\n")).toEqual({
      a: "2026-01-01T00:00:00Z",
      b: "1.2.3",
      c: "yes",
      d: "off",
    });
  });
});

describe("parseDocument() refuses hostile JSON with its place", () => {
  test.each([
    ["a name that stands twice", '{"a": 1,\n "b": {"c": 1, "c": 2}}', '2:16 b.c The name "c" stands twice here'],
    ["the same name twice, once escaped", '{"a": 1, "\\u0061": 2}', '1:10 a The name "a" stands twice here'],
    ["__proto__ as a name", '{"a": {"__proto__": {}}}', "1:8 a The name __proto__ is not allowed"],
    ["__proto__ as a name, escaped", '{"a": {"__pr\\u006fto__": {}}}', "1:8 a The name __proto__ is not allowed"],
    ["a trailing comma", '{"a": 1,\n}', '2:1  Invalid JSON: unexpected "}"'],
    ["a comment", '{"a": 1 /* no */}', '1:9  Invalid JSON: unexpected "/"'],
    ["an early end", '{"a": [1, 2', "1:12  Invalid JSON: unexpected the end of the file"],
    ["more after the end", '{"a": 1} x', '1:10  Invalid JSON: unexpected "x"'],
  ])("%s", (_name, text, expected) => expect(problemsOf(text, JSON_FILE)).toEqual([expected]));

  test("lists within lists", () => {
    expect(problemsOf(`${"[".repeat(100_000)}`, JSON_FILE)[0]).toContain("nested more than 32 deep");
  });

  test("without repeating the text around a fault, which may be a secret", () => {
    expect(problemsOf('{"hash": hunter2}', JSON_FILE).join()).not.toContain("hunter2");
  });
});

describe("a document knows where things stand", () => {
  const yaml = "a: 1\nb:\n  - x: one\n    y:\n  - { x: two, 'z z': [3, 4] }\n";
  const json = '{ "a": 1,\n  "b": [\n    { "x": "one" },\n    { "x": "two", "z z": [3, 4] } ] }';

  test.each([
    [["a"], "value", 1, 4],
    [["b", 0, "x"], "name", 3, 5],
    [["b", 0, "x"], "value", 3, 8],
    [["b", 0, "y"], "value", 4, 5],
    [["b", 1, "z z", 1], "value", 5, 26],
  ] as const)("in YAML: %j", (path, part, line, column) => expect(locate(yaml, path, part)).toEqual({ line, column }));

  test.each([
    [["a"], "value", 1, 8],
    [["b", 0, "x"], "name", 3, 7],
    [["b", 1, "z z", 1], "value", 4, 30],
  ] as const)("in JSON: %j", (path, part, line, column) => {
    expect(locate(json, path, part, JSON_FILE)).toEqual({ line, column });
  });

  test("and says so of what is not there", () => {
    expect(locate(yaml, ["b", 7, "x"])).toBeUndefined();
    expect(locate(yaml, ["a", "x"])).toBeUndefined();
    expect(locate(json, ["b", 7, "x"], "value", JSON_FILE)).toBeUndefined();
  });

  test("of records too, among other lists of maps", () => {
    const text = '{ "routes": [{"match": "x"}, {"match": "y"}],\n  "keys": [\n    {"id": "a"},\n\n    {"id": "b"}] }';
    const parsed = parseDocument(JSON_FILE, text);
    if (parsed.kind === "refused") return expect.unreachable();
    expect([0, 1].map(parsed.document.recordLine)).toEqual([3, 5]);
    expect(parsed.document.locate(["keys", 1, "id"], "value")).toEqual({ line: 5, column: 12 });
  });
});

describe("JSON and YAML", () => {
  const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_ -]{0,8}$/).filter((text) => text.trim() === text);
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(name, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));

  test("mean the same where JSON is written in a YAML file", () => {
    fc.assert(
      fc.property(fc.dictionary(name, value, { minKeys: 1, noNullPrototype: true }), (root) => {
        const text = JSON.stringify(root, undefined, 1);
        if (text.includes("\\u0000") || text.includes("\\ud")) return;
        expect(readValue(text, JSON_FILE)).toEqual(root);
        expect(readValue(text, YAML)).toEqual(root);
      }),
    );
  });

  test("are answered with a value or diagnostics, whatever the text", () => {
    const yamlish = fc.stringMatching(/^[a-c:\-?[\]{},&*!#"' \n|>%@`]{0,60}$/);
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary", maxLength: 60 }), yamlish), (text) => {
        for (const file of [YAML, JSON_FILE]) {
          const parsed = parseDocument(file, text);
          if (parsed.kind === "refused") expect(parsed.diagnostics.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 1000 },
    );
    // Nothing but computing, which takes ten times as long where others compute too. Nobody waits for it.
  }, 120_000);
});
