import { describe, expect, test } from "vitest";
import { findProblems } from "./find-problems.ts";
import { type Manifest, parseManifests, toManifest } from "./parse-manifests.ts";
import { RENDERS } from "./renders.ts";

// parseManifests() itself refuses a document without these.
const READ_BY_PARSER = new Set(["apiVersion", "kind", "metadata", "metadata.name"]);
// The names in these are whatever their author likes.
const MAPS = new Set([
  "labels",
  "annotations",
  "matchLabels",
  "selector",
  "data",
  "stringData",
  "limits",
  "requests",
  "nodeSelector",
]);

// The compiler reads some thousand documents; a shared machine may be slow.
describe("findProblems()", { timeout: 60_000 }, () => {
  test("refuses every field that is written, once its name is misspelt", async () => {
    const documents = await renderAll();
    const misspelt = new Map(documents.flatMap((document) => misspellings(document)));
    const forged = [...misspelt.values()];
    const found = new Set((await findProblems(forged)).map(({ index }) => index));
    const passed = [...misspelt.keys()].filter((_, index) => !found.has(index));
    expect(misspelt.size).toBeGreaterThan(200);
    expect(passed).toEqual([]);
  });

  test("says which field is not known", async () => {
    const [service] = parseManifests("{ apiVersion: v1, kind: Service, metadata: { name: a }, spec: { prts: [] } }");
    expect(service && (await findProblems([service]))).toEqual([
      { index: 0, text: expect.stringContaining("'\"prts\"' does not exist in type 'IServiceSpec'") },
    ]);
  });

  test.each([
    ["a missing field", "{ apiVersion: apps/v1, kind: Deployment, metadata: { name: a }, spec: { template: {} } }"],
    [
      "text for a number",
      '{ apiVersion: batch/v1, kind: Job, metadata: { name: a }, spec: { template: {}, backoffLimit: "2" } }',
    ],
    [
      "a word that is not in the list",
      "{ apiVersion: v1, kind: Service, metadata: { name: a }, spec: { type: Public } }",
    ],
    [
      "what is no quantity",
      "{ apiVersion: v1, kind: LimitRange, metadata: { name: a }, spec: { limits: [{ type: Pod, max: { memory: 64 MB } }] } }",
    ],
    ["a version the kind does not have", "{ apiVersion: v2, kind: Service, metadata: { name: a } }"],
  ])("refuses %s", async (_, text) => {
    const found = await findProblems(parseManifests(text)).catch((error: unknown) => [error]);
    expect(found).not.toEqual([]);
  });

  test("refuses a kind it has no model of", async () => {
    const unknown = parseManifests("{ apiVersion: example.com/v1, kind: Thing, metadata: { name: a } }");
    await expect(findProblems(unknown)).rejects.toThrow("no model for example.com/v1 Thing");
  });
});

describe("parseManifests()", () => {
  test.each(["mode: 0440", "answer: on", "size: 1_000"])(
    "refuses what YAML 1.1 and 1.2 read differently: %s",
    (text) => {
      expect(() => parseManifests(`{ apiVersion: v1, kind: ConfigMap, metadata: { name: a }, ${text} }`)).toThrow(
        "YAML 1.1 and 1.2 read this differently",
      );
    },
  );

  test.each(["apiVersion", "kind", "metadata"])("refuses a document without %s", (missing) => {
    const whole = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } };
    expect(() => parseManifests(JSON.stringify({ ...whole, [missing]: undefined }))).toThrow(missing);
  });

  test("refuses a name that stands twice", () => {
    expect(() => parseManifests("kind: A\nkind: B\n")).toThrow("unique");
  });
});

async function renderAll(): Promise<readonly Manifest[]> {
  const texts = await Promise.all([...RENDERS.values()].map((render) => render()));
  return texts.flatMap((text) => parseManifests(text));
}

/** The document once for each of its fields, with that field's name misspelt; by kind and path, for a message. */
function misspellings(document: Manifest): readonly (readonly [place: string, forged: Manifest])[] {
  const forged = forge(document, document.kind, false).filter(
    ([place]) => !READ_BY_PARSER.has(place.replace(/^\w+\./, "")),
  );
  return forged.map(([place, value]) => [place, toManifest(value)]);
}

function forge(value: unknown, path: string, isMap: boolean): readonly (readonly [string, unknown])[] {
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown, at) =>
      forge(item, `${path}[]`, false).map(([place, forged]) => [place, value.with(at, forged)] as const),
    );
  }
  if (typeof value !== "object" || value === null) return [];
  const entries = Object.entries(value);
  return entries.flatMap(([name, inner]: [string, unknown]) => {
    const renamed = entries.map(([other, kept]) => [other === name ? `${other}Misspelt` : other, kept]);
    const own = isMap ? [] : [[`${path}.${name}`, Object.fromEntries(renamed)] as const];
    const deeper = forge(inner, `${path}.${name}`, MAPS.has(name) && !(name === "selector" && holdsSelector(inner)));
    return [...own, ...deeper.map(([place, forged]) => [place, { ...value, [name]: forged }] as const)];
  });
}

/** A Service's selector is a map of labels; elsewhere it is an object of matchLabels and matchExpressions. */
function holdsSelector(value: unknown): boolean {
  return typeof value === "object" && value !== null && ("matchLabels" in value || "matchExpressions" in value);
}
