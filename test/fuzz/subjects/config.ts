import { type LoadResult, parseConfiguration } from "../../../src/config/load.ts";
import type { Snapshot } from "../../../src/config/snapshot.ts";
import { decide } from "../../../src/policy/decide.ts";
import { DENIAL_REASONS, deny } from "../../../src/policy/decision.ts";
import { createGeneration } from "../../../src/proxy/generation.ts";
import { renderDenial } from "../../../src/proxy/respond.ts";
import { snapshotOf } from "../../config/snapshot-of.ts";
import { createState, toFacts } from "../../policy/fixture.ts";
import type { Subject } from "../fuzzer.ts";
import { assert } from "./assert.ts";

const NOW = 1_750_000_000_000;
/** Divides the main file from a keys file. */
const DIVIDER = "\n=====\n";
const SOURCES =
  "load parse-document schema-problems salvage compile compile-keys compile-routes compile-limits compile-denials compile-identity compile-settings compile-management compile-networks lint lint-routes values diagnostics report template";

const DICTIONARY = [
  ..."{}[]:,-#&*!|>'\"?%@",
  "\n",
  "\n  ",
  "\n- ",
  ..."listen upstream admin credentials keyFormats accept scopes routes actions limits paths denials identity keys".split(
    " ",
  ),
  ..."match public authenticated anyScope cost allowIps id hash prefix tenant status expiresAt metadata files".split(
    " ",
  ),
  ..."true null 1e9 -1 0x10 .inf ~ <<: __proto__ constructor &a *a !!str --- ... 30d 64KiB 100/minute sha256:".split(
    " ",
  ),
];

/** The whole loader on any text: what it refuses it refuses with a place, what it accepts can be used. */
function createSubject(extension: "yaml" | "json", reader: string): Subject {
  return {
    name: `config-${extension}`,
    sources: [reader, ...SOURCES.split(" ").map((name) => `/src/config/${name}.ts`)],
    dictionary: DICTIONARY,
    maxLength: 16_384,
    limitMs: 2000,
    run: (input) => {
      const [main = "", keys] = input.split(DIVIDER, 2);
      const result = parseConfiguration(toSnapshot(extension, main, keys), {}, NOW);
      checkPlaces(result, [main, keys ?? ""]);
      if (result.kind === "loaded") use(result);
    },
  };
}

export const configYaml = createSubject("yaml", "/src/config/yaml-document.ts");
export const configJson = createSubject("json", "/src/config/json-document.ts");

function toSnapshot(extension: string, main: string, keys: string | undefined): Snapshot {
  const mainFile = `main.${extension}`;
  const keysFiles = keys === undefined ? {} : { [`keys.${extension}`]: keys };
  // The name decides how a file is read, whatever its text looks like.
  return snapshotOf("", keysFiles, { mainFile, main: { path: mainFile, text: main, mode: undefined } });
}

function checkPlaces(result: LoadResult, texts: readonly string[]): void {
  const diagnostics = result.kind === "rejected" ? result.diagnostics : result.warnings;
  assert(
    result.kind === "loaded" || diagnostics.some(({ severity }) => severity === "error"),
    "a refusal has a reason",
  );
  for (const { file, line, column, path, message } of diagnostics) {
    assert(message !== "", "a diagnostic has words");
    const text = texts[file.startsWith("main.") ? 0 : 1] ?? "";
    // Of the file as a whole, and of a field it lacks as a whole, there is no place to tell.
    const isAbsent = !/[.[]/.test(path);
    if (isAbsent && line === 0) continue;
    assert(line >= 1 && column >= 1, `a diagnostic has a place: ${message} (${file}:${line}:${column})`);
    const lines = text.split("\n");
    assert(line <= lines.length, `the place is in the file: ${message} (${file}:${line}:${column})`);
  }
}

/** Every part of the program that reads a configuration does so once. */
function use({ configuration }: Extract<LoadResult, { kind: "loaded" }>): void {
  const generation = createGeneration(configuration);
  for (const target of ["/", "/api/v1/orders/1?api_key=x", "/%41"]) {
    for (const method of ["GET", "DELETE"])
      decide(toFacts({ method, target, credential: "x" }), configuration.policy, createState(), NOW);
  }
  for (const reason of DENIAL_REASONS) {
    const { status, headers } = renderDenial(deny(reason), "id", generation, () => NOW);
    assert(status >= 400 && status <= 599, `${reason} answers ${status}`);
    for (const text of headers.flat()) assert(!/[\r\n\0]/.test(text), `an answer's header has no line break: ${text}`);
  }
  for (const key of configuration.policy.keys.all()) {
    for (const text of generation.identity({ key, segments: new Map() }).lines) {
      assert(/^[\t\x20-\x7e]*$/.test(text), `an identity header is visible ASCII: ${text}`);
    }
  }
}
