import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { appendKey, changeKey, type EditResult } from "../../src/config/keys-file.ts";

const RECORD = { id: "new", name: "New: key", hash: `sha256:${"0".repeat(64)}`, scopes: ["orders:read"] };
const YAML_FIELDS = `name: "New: key"
hash: sha256:${"0".repeat(64)}
scopes: ["orders:read"]`;

function edited(result: EditResult): string {
  if (result.kind === "refused") throw new Error(result.problem);
  return result.text;
}

/** The new record as it should stand with its dash in column `column`. */
function block(column: number, lineBreak = "\n"): string {
  const pad = " ".repeat(column);
  return [`${pad}- id: new`, ...YAML_FIELDS.split("\n").map((line) => `${pad}  ${line}`)].join(lineBreak) + lineBreak;
}

describe("appendKey()", () => {
  const cases: readonly (readonly [name: string, before: string, after: string])[] = [
    ["starts a list in an empty file", "", `keys:\n${block(2)}`],
    ["keeps a file of comments", "# our keys\n\n", `# our keys\n\nkeys:\n${block(2)}`],
    ["adds the line break a file of comments lacks", "# our keys", `# our keys\nkeys:\n${block(2)}`.trimEnd()],
    ["writes below an opening document marker", "---\n", `---\nkeys:\n${block(2)}`],
    ["fills a list that is only announced", "keys:\n", `keys:\n${block(2)}`],
    ["fills a list that is only announced, with a comment", "keys: # none\n", `keys: # none\n${block(2)}`],
    ["fills a null list", "keys: ~ # none\na: 1\n", `keys: # none\n${block(2)}a: 1\n`],
    ["fills an empty list in brackets", "keys: []  # none\n", `keys:  # none\n${block(2)}`],
    ["writes after the last record", "keys:\n  - id: a\n", `keys:\n  - id: a\n${block(2)}`],
    ["takes the list's own indentation", "keys:\n- id: a\n", `keys:\n- id: a\n${block(0)}`],
    ["leaves a last line without a line break as it is", "keys:\n- id: a", `keys:\n- id: a\n${block(0)}`.trimEnd()],
    [
      "keeps the list in its place between other settings",
      "keys:\n  - id: a\nb: 1\n",
      `keys:\n  - id: a\n${block(2)}b: 1\n`,
    ],
    [
      "leaves a comment with the record it is indented under",
      "keys:\n  - id: a # one\n    # two\n\n  # end\n",
      `keys:\n  - id: a # one\n    # two\n${block(2)}\n  # end\n`,
    ],
    [
      "separates records by a blank line where the others are",
      "keys:\n  - id: a\n\n  # b\n  - id: b\n",
      `keys:\n  - id: a\n\n  # b\n  - id: b\n\n${block(2)}`,
    ],
    [
      "adds a list to a file of other settings",
      "listen: 8080 # port\n# end\n",
      `listen: 8080 # port\n# end\nkeys:\n${block(2)}`,
    ],
    ["writes the line breaks it finds", "keys:\r\n  - id: a\r\n", `keys:\r\n  - id: a\r\n${block(2, "\r\n")}`],
    ["keeps a byte order mark", "\uFEFFkeys:\n  - id: a\n", `\uFEFFkeys:\n  - id: a\n${block(2)}`],
    [
      "writes into a list in brackets",
      "keys: [{ id: a }] # c\n",
      `keys: [{ id: a }, { id: "new", name: "New: key", hash: "sha256:${"0".repeat(64)}", scopes: ["orders:read"] }] # c\n`,
    ],
  ];
  test.each(cases)("appendKey() %s", (_, before, after) => {
    expect(edited(appendKey(before, "yaml", RECORD))).toBe(after);
  });

  const short = { id: "new", readOnly: true };
  const jsonCases: readonly (readonly [name: string, before: string, after: string])[] = [
    ["starts an empty file", "", '{\n  "keys": [\n    {\n      "id": "new",\n      "readOnly": true\n    }\n  ]\n}\n'],
    [
      "fills an empty list",
      '{\n  "keys": []\n}\n',
      '{\n  "keys": [\n    {\n      "id": "new",\n      "readOnly": true\n    }\n  ]\n}\n',
    ],
    [
      "adds a list to other settings",
      '{\n  "a": 1\n}\n',
      '{\n  "a": 1,\n  "keys": [\n    {\n      "id": "new",\n      "readOnly": true\n    }\n  ]\n}\n',
    ],
    [
      "takes the indentation it finds",
      '{\n\t"keys": [\n\t\t{\n\t\t\t"id": "a"\n\t\t}\n\t]\n}',
      '{\n\t"keys": [\n\t\t{\n\t\t\t"id": "a"\n\t\t},\n\t\t{\n\t\t\t"id": "new",\n\t\t\t"readOnly": true\n\t\t}\n\t]\n}',
    ],
    [
      "keeps one record a line",
      '{ "keys": [\n  { "id": "a" }\n] }\n',
      '{ "keys": [\n  { "id": "a" },\n  { "id": "new", "readOnly": true }\n] }\n',
    ],
    ["stays compact", '{"keys":[{"id":"a"}]}', '{"keys":[{"id":"a"},{"id":"new","readOnly":true}]}'],
    ["makes a list of an empty object", "{}", '{"keys":[{"id":"new","readOnly":true}]}'],
  ];
  test.each(jsonCases)("appendKey() in JSON %s", (_, before, after) => {
    expect(edited(appendKey(before, "json", short))).toBe(after);
  });

  const refused: readonly (readonly [name: string, text: string, problem: RegExp, line: number])[] = [
    ["an id that exists", "keys:\n  - id: new\n", /"new" exists already/, 0],
    ["a file that does not parse", "keys:\n  - id: a\n  b: [\n", /cannot be parsed/, 3],
    ["a file that names its keys files", "a: 1\nkeys: keys.yaml\n", /names other files/, 2],
    ["a list at the top", "- id: a\n", /expected a mapping/, 1],
    ["a second document", "keys:\n  - id: a\n---\nkeys: []\n", /cannot be parsed/, 3],
    ["a document that was ended", "a: 1\n...\n", /cannot be edited/, 0],
    ["keys that are an alias", "a: &a []\nkeys: *a\n", /names other files/, 2],
    ["a list other places share", "keys: &a\n  - id: a\nother: *a\n", /cannot be edited/, 0],
  ];
  test.each(refused)("appendKey() refuses %s", (_, text, problem, line) => {
    const result = appendKey(text, "yaml", RECORD);
    expect(result).toEqual({ kind: "refused", problem: expect.stringMatching(problem), line });
  });

  test("appendKey() refuses YAML in a JSON file", () => {
    expect(appendKey("keys: []", "json", RECORD)).toMatchObject({
      kind: "refused",
      problem: "the file is not valid JSON",
    });
  });

  test("appendKey() refuses a bomb of aliases without expanding it", () => {
    const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
    for (let level = 1; level < 12; level += 1) {
      lines.push(
        `a${level}: &a${level} [${Array(9)
          .fill(`*a${level - 1}`)
          .join(", ")}]`,
      );
    }
    expect(appendKey(`${lines.join("\n")}\n`, "yaml", RECORD)).toMatchObject({ kind: "refused" });
  });
});

describe("changeKey()", () => {
  const cases: readonly (readonly [name: string, before: string, after: string])[] = [
    [
      "sets a field",
      "keys:\n- id: k\n  status: active # since May\n",
      "keys:\n- id: k\n  status: revoked # since May\n",
    ],
    ["keeps double quotes", 'keys:\n- id: k\n  status: "active"\n', 'keys:\n- id: k\n  status: "revoked"\n'],
    ["keeps single quotes", "keys:\n- id: k\n  status: 'active'\n", "keys:\n- id: k\n  status: 'revoked'\n"],
    ["fills an empty field", "keys:\n- id: k\n  status:\n", "keys:\n- id: k\n  status: revoked\n"],
    [
      "fills an empty field before a comment",
      "keys:\n- id: k\n  status: # ?\n",
      "keys:\n- id: k\n  status: revoked # ?\n",
    ],
    ["adds a field", "keys:\n- id: k\n", "keys:\n- id: k\n  status: revoked\n"],
    ["adds a field to the last line", "keys:\n- id: k", "keys:\n- id: k\n  status: revoked"],
    [
      "adds a field before the next record and its comment",
      "keys:\n  - id: k\n    # mine\n\n  # next\n  - id: b\n",
      "keys:\n  - id: k\n    # mine\n    status: revoked\n\n  # next\n  - id: b\n",
    ],
    [
      "adds a field after a nested map",
      "keys:\n  -   id: k\n      metadata:\n        team: x\n  -   id: b\n",
      "keys:\n  -   id: k\n      metadata:\n        team: x\n      status: revoked\n  -   id: b\n",
    ],
    [
      "adds a field where the record begins below its dash",
      "keys:\n  -\n    id: k\n  - id: b\n",
      "keys:\n  -\n    id: k\n    status: revoked\n  - id: b\n",
    ],
    ["changes a record in brackets", "keys: [{ id: k, status: active }]\n", 'keys: [{ id: k, status: "revoked" }]\n'],
    ["adds to a record in brackets", "keys:\n  - { id: k }\n", 'keys:\n  - { id: k, status: "revoked" }\n'],
    [
      "adds to a record in brackets over several lines",
      "keys:\n  - {\n      id: k, # the key\n    }\n",
      'keys:\n  - {\n      id: k, # the key\n      status: "revoked",\n    }\n',
    ],
    [
      "changes only the record asked for",
      "keys:\n- id: kk\n- id: k\n",
      "keys:\n- id: kk\n- id: k\n  status: revoked\n",
    ],
  ];
  test.each(cases)("changeKey() %s", (_, before, after) => {
    expect(edited(changeKey(before, "yaml", "k", { status: "revoked" }))).toBe(after);
  });

  test("changeKey() sets and adds several fields at once", () => {
    const before = 'keys:\n  - id: k\n    status: "active"\n    scopes:\n      - a # one\n      - b\n  - id: l\n';
    const changes = { status: "suspended", scopes: ["c:d", "e"], rotatedTo: "k-2", metadata: { on: "x y", team: "t" } };
    expect(edited(changeKey(before, "yaml", "k", changes))).toBe(
      'keys:\n  - id: k\n    status: "suspended"\n    scopes: ["c:d", "e"]\n    rotatedTo: k-2\n' +
        '    metadata: { "on": "x y", team: "t" }\n  - id: l\n',
    );
  });

  test("changeKey() keeps the layout of JSON", () => {
    const before = '{\n  "keys": [\n    {\n      "id": "k",\n      "status": "active"\n    }\n  ]\n}\n';
    expect(edited(changeKey(before, "json", "k", { status: "revoked", rotatedTo: "k2" }))).toBe(
      '{\n  "keys": [\n    {\n      "id": "k",\n      "status": "revoked",\n      "rotatedTo": "k2"\n    }\n  ]\n}\n',
    );
    expect(edited(changeKey('{"keys":[{"id":"k"}]}', "json", "k", { status: "revoked" }))).toBe(
      '{"keys":[{"id":"k","status":"revoked"}]}',
    );
  });

  test("changeKey() quotes what would be read as something else", () => {
    const text = edited(changeKey("keys:\n- id: k\n", "yaml", "k", { name: "12", tenant: "a\n# b: c", note: "- x" }));
    expect(parse(text)).toEqual({ keys: [{ id: "k", name: "12", tenant: "a\n# b: c", note: "- x" }] });
  });

  const refused: readonly (readonly [name: string, text: string, problem: RegExp, line: number])[] = [
    ["an id that is not there", "keys:\n  - id: a\n", /no key "k"/, 0],
    ["an id that stands twice", "keys:\n  - id: k\n  - id: k\n", /twice/, 3],
    [
      "a value other records share",
      "keys:\n- id: k\n  status: &s active\n- id: b\n  status: *s\n",
      /cannot be edited/,
      0,
    ],
  ];
  test.each(refused)("changeKey() refuses %s", (_, text, problem, line) => {
    const result = changeKey(text, "yaml", "k", { status: "revoked" });
    expect(result).toEqual({ kind: "refused", problem: expect.stringMatching(problem), line });
  });
});

/** Keys files as people leave them: comments anywhere, uneven blank lines, three ways of quoting. */
const keysFile = fc
  .record({
    head: fc.constantFrom("", "# head\n", "# a: b\n\n---\n", "listen: 8080 # port\n\n"),
    indent: fc.constantFrom(0, 2, 4),
    lineBreak: fc.constantFrom("\n", "\r\n"),
    tail: fc.constantFrom("", "\n", "# tail\n", "\n\n# tail\nupstream: http://127.0.0.1:3000 # app\n"),
    records: fc.uniqueArray(
      fc.record({
        id: fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/),
        above: fc.constantFrom("", "\n", "# above", "\n\n# above: x"),
        quote: fc.constantFrom("", "'", '"'),
        status: fc.constantFrom(undefined, "active", "suspended"),
        comment: fc.constantFrom("", " # c", "   # status: x"),
        scopes: fc.constantFrom(undefined, "flow", "block"),
        below: fc.constantFrom("", "# below", "\n# status: revoked"),
      }),
      { selector: ({ id }) => id, minLength: 1, maxLength: 6 },
    ),
  })
  .map(({ head, indent, lineBreak, tail, records }) => {
    const pad = " ".repeat(indent);
    const pieces = records.map(({ id, above, quote, status, comment, scopes, below }) => {
      const lines = [`${pad}- id: ${quote}${id}${quote}${comment}`];
      if (scopes === "flow") lines.push(`${pad}  scopes: [ "a:b" ,c ]${comment}`);
      if (scopes === "block") lines.push(`${pad}  scopes:`, `${pad}  - a`, `${pad}  - b${comment}`);
      if (status !== undefined) lines.push(`${pad}  status:  ${quote}${status}${quote}${comment}`);
      const before = above === "" ? "" : `${above.replace("#", `${pad}#`)}\n`;
      const after = below === "" ? "" : `${below.replace("#", `${pad}    #`)}\n`;
      return { id, before, record: `${lines.join("\n")}\n`, after };
    });
    const body = pieces.map(({ before, record, after }) => before + record + after).join("");
    return { text: `${head}keys:\n${body}${tail}`.replaceAll("\n", lineBreak), ids: records.map(({ id }) => id) };
  });

/** What two texts share at their beginnings and their ends. */
function commonBytes(a: string, b: string): number {
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  return start + end;
}

test("appendKey() only ever inserts, whatever surrounds the records", () => {
  fc.assert(
    fc.property(keysFile, ({ text }) => {
      const after = edited(appendKey(text, "yaml", { id: "Z-new", status: "active" }));
      expect(commonBytes(text, after)).toBe(text.length);
      const before = parse(text);
      expect(parse(after)).toEqual({ ...before, keys: [...before.keys, { id: "Z-new", status: "active" }] });
    }),
  );
});

test("changeKey() leaves every byte outside the changed value alone", () => {
  fc.assert(
    fc.property(keysFile, fc.nat(), ({ text, ids }, pick) => {
      const id = ids[pick % ids.length] ?? "";
      const after = edited(changeKey(text, "yaml", id, { status: "revoked" }));
      const before = parse(text);
      const old = before.keys.find((record: { readonly id: string }) => record.id === id)?.status ?? "";
      expect(commonBytes(text, after)).toBeGreaterThanOrEqual(text.length - old.length);
      const keys = before.keys.map((record: { readonly id: string }) =>
        record.id === id ? { ...record, status: "revoked" } : record,
      );
      expect(parse(after)).toEqual({ ...before, keys });
    }),
  );
});
