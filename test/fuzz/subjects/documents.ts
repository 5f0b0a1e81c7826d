import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import type { Path } from "../../../src/config/diagnostics.ts";
import { parseDocument } from "../../../src/config/parse-document.ts";
import { readPlainRecords } from "../../../src/config/plain-records.ts";
import type { Subject } from "../fuzzer.ts";
import { assert } from "./assert.ts";

const DICTIONARY = [
  ..."{}[]:,-#&*!|>'\"?%@`",
  "keys:\n",
  "\n  - ",
  "\n    ",
  "- id: ",
  "  name: ",
  ": ",
  " #",
  ..."id name scopes null True ~ 0o7 0x1F 1e3 .5 +1 1_000 12:30:45 2030-01-01T00:00:00Z 123456789012345678 <<: __proto__ --- ...".split(
    " ",
  ),
];

/** The reader of plain records, with the YAML library as the oracle: what it reads, the library reads to the same value. */
export const plainRecords: Subject = {
  name: "plain-records",
  sources: ["/src/config/plain-records.ts", "/src/config/plain-value.ts"],
  dictionary: DICTIONARY,
  maxLength: 4096,
  limitMs: 1000,
  run: (input) => {
    // Refused before either reader sees it.
    if (input.includes("\0")) return;
    const plain = readPlainRecords(input);
    if (plain.kind === "beyond") return;
    if (plain.kind === "refused") {
      assert(parseDocument("keys.yaml", input).kind === "refused", "what it refuses the library refuses");
      return;
    }
    assert(isDeepStrictEqual(plain.value, parse(input)), `it reads ${JSON.stringify(plain.value)}`);
    const whole = parseDocument("keys.yaml", input);
    assert(whole.kind === "document", "what it accepts is accepted by the careful reader");
    for (const [index, line] of plain.lines.entries()) {
      assert(whole.document.recordLine(index) === line, `record ${index} begins on line ${line}`);
    }
  },
};

/** The reader of JSON, with the engine's as the oracle; and every value stands where it is said to. */
export const json: Subject = {
  name: "json",
  sources: ["/src/config/json-document.ts"],
  dictionary: [...DICTIONARY, '"', '\\"', "\\u0041", '{"keys":[{', '"a":', "1e400", "[[[[", "]]]]", "\\ud800"],
  maxLength: 4096,
  limitMs: 1000,
  run: (input) => {
    const read = parseDocument("config.json", input);
    if (read.kind === "refused") {
      for (const { line, column } of read.diagnostics)
        assert(input.trim() === "" || (line >= 1 && column >= 1), "a refusal has a place");
      return;
    }
    const { value, locate } = read.document;
    const text = input.replace(/^\ufeff/, "");
    assert(isDeepStrictEqual(value, JSON.parse(text)), "it reads what the engine reads");
    const lines = text.split("\n");
    for (const [path, found] of pathsOf(value, []).slice(0, 40)) {
      const place = locate(path, "value");
      assert(place !== undefined, `${path.join(".")} stands somewhere`);
      const rest = [lines[place.line - 1]?.slice(place.column - 1) ?? "", ...lines.slice(place.line)].join("\n");
      assert(
        startOf(found).test(rest),
        `${path.join(".")} stands at ${place.line}:${place.column}, not ${rest.slice(0, 20)}`,
      );
    }
  },
};

function pathsOf(value: unknown, path: Path): (readonly [Path, unknown])[] {
  if (typeof value !== "object" || value === null) return [[path, value]];
  const steps: (readonly [string | number, unknown])[] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  return [[path, value], ...steps.flatMap(([step, member]) => pathsOf(member, [...path, step]))];
}

function startOf(value: unknown): RegExp {
  if (typeof value === "string") return /^"/;
  if (typeof value === "number") return /^[-0-9]/;
  if (Array.isArray(value)) return /^\[/;
  return value === null ? /^null/ : typeof value === "boolean" ? new RegExp(`^${value}`) : /^\{/;
}
