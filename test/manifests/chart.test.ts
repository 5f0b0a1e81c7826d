import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import * as z from "zod";
import { FIXED_AT_START_NAMES } from "../../src/config/restart.ts";
import { parseManifests } from "./parse-manifests.ts";
import { findSidecars, type Sidecar } from "./pods.ts";
import { RENDERS, renderConsumer } from "./renders.ts";
import { ROOT, renderChart, runTool } from "./tools.ts";

const CHART = "charts/latchkey";
const SMALLEST = ["--values", `${CHART}/ci/smallest-values.yaml`] as const;
const SETS = [...RENDERS.keys()].flatMap((name) => /^chart-(?!consumer)(.*)$/.exec(name)?.[1] ?? []);

describe("the chart", () => {
  test.each(SETS)("has nothing helm lint objects to, with the values of ci/%s-values.yaml", async (set) => {
    const { stdout } = await runTool("helm", ["lint", "--strict", CHART, "--values", `${CHART}/ci/${set}-values.yaml`]);
    expect(stdout).toContain("1 chart(s) linted, 0 chart(s) failed");
  });

  test("has the sidecar of the Kustomize base", async () => {
    const sidecars = await findSidecars();
    const { latchkey: fromChart, spec: chartPod } = find(sidecars, "chart-smallest");
    const { latchkey: fromBase, spec: basePod } = find(sidecars, "base");
    const same = { image: "", imagePullPolicy: "", lifecycle: "" };
    expect({ ...fromChart, ...same }).toEqual({ ...fromBase, ...same });
    const { latchkey: withToken } = find(sidecars, "chart-everything");
    expect(JSON.stringify(withToken.lifecycle).replace("9191", "9090")).toBe(JSON.stringify(fromBase.lifecycle));
    const fields = ["securityContext", "terminationGracePeriodSeconds", "enableServiceLinks"] as const;
    for (const field of fields) expect(chartPod[field]).toEqual(basePod[field]);
    const [app, baseApp] = [chartPod.containers[0], basePod.containers[0]];
    const hooks = [
      "startupProbe",
      "livenessProbe",
      "readinessProbe",
      "lifecycle",
      "resources",
      "securityContext",
    ] as const;
    for (const field of hooks) expect(app?.[field]).toEqual(baseApp?.[field]);
  });

  test.each([
    ["a value", "replcas: 2", "replcas"],
    ["a value further in", "image: { tg: a }", "tg"],
    ["a field of Latchkey's config", "config: { limits: { defualt: 1/minute } }", "defualt"],
    ["a field of a route", 'config: { routes: [{ mach: "GET /**" }] }', "mach"],
    ["a field of a key record", "keys: { records: [{ id: a, hsh: b }] }", "hsh"],
    ["a resource", "resources: { limits: { memry: 1Gi } }", "memry"],
    ["what the chart sets itself", "config: { listen: { address: 8080 } }", "address"],
    ["the upstream, which the chart sets", "config: { upstream: { url: http://a } }", "url"],
    ["keys within the config", "config: { keys: keys.yaml }", "keys"],
    ["text for a number", "replicas: two", "replicas"],
    ["a privileged port", "ports: { http: 80 }", "http"],
  ])("refuses %s that is not known or does not fit, and names it", async (_, values, name) => {
    await expect(renderWith(values)).rejects.toThrow(name);
  });

  test.each([
    ["routes", "config: { routes: [] }", "config.routes is empty"],
    ["keys", "keys: { existingSecrets: [] }", "There are no keys"],
    ["an app", 'app: { image: "" }', "app.image is needed"],
    ["an authority", "tls: { enabled: true, certificate: { create: true } }", "issuerRef.name is needed"],
    ["ports of their own", "ports: { http: 3000 }", "must be three"],
    ["one config only", "existingConfigMap: other", "which of them is meant"],
  ])("asks for %s in words", async (_, values, message) => {
    await expect(renderWith(values)).rejects.toThrow(message);
  });

  test("has a schema that leaves no object open but those Kubernetes judges, and maps of texts", async () => {
    const schema: unknown = JSON.parse(await readFile(`${ROOT}${CHART}/values.schema.json`, "utf8"));
    expect(findOpen(schema, "").filter((path) => !path.startsWith(".definitions.policy"))).toEqual([
      ".properties.global",
      ".definitions.kubernetesObject",
    ]);
  });

  test("has a default for every value the schema knows, and no other", async () => {
    const { stdout } = await runTool("helm", ["show", "values", CHART]);
    const schema = schemaSchema.parse(JSON.parse(await readFile(`${ROOT}${CHART}/values.schema.json`, "utf8")));
    expect(namesOf(parse(stdout), "")).toEqual(propertiesOf(schema, "").filter((name) => name !== ".global"));
  });

  test.each([
    ["smallest", "smallest-values.yaml", []],
    ["everything", "everything-values.yaml", []],
    ["dependency", "smallest-values.yaml", ["--set", "workload=false"]],
  ])("says what to do next (%s)", async (name, values, options) => {
    const install = ["install", "orders", CHART, "--dry-run=client", "--namespace", "shop"];
    const { stdout } = await runTool("helm", [...install, "--values", `${CHART}/ci/${values}`, ...options]);
    const [, notes] = stdout.split("\nNOTES:\n");
    await expect(notes).toMatchFileSnapshot(`golden/notes-${name}.txt`);
  });

  test("has the version of the program, and the consumer and the overlay name that one", async () => {
    const read = async (file: string): Promise<unknown> => parse(await readFile(ROOT + file, "utf8"));
    const { version } = z.object({ version: z.string() }).parse(await read("package.json"));
    expect(await read(`${CHART}/Chart.yaml`)).toMatchObject({ version, appVersion: version });
    expect(await read("charts/example-consumer/Chart.yaml")).toMatchObject({ dependencies: [{ version }] });
    expect(await read("k8s/overlays/production/kustomization.yaml")).toMatchObject({ images: [{ newTag: version }] });
  });

  test("replaces pods for what a reload cannot bring into force, and for nothing else", async () => {
    const changes: Readonly<Record<string, string>> = {
      "listen.address": "ports: { http: 8081 }",
      "admin.address": "ports: { admin: 9091 }",
      "listen.tls": "tls: { enabled: true }",
      "listen.maxHeaderBytes": "config: { listen: { maxHeaderBytes: 64KiB } }",
    };
    const before = checksumOf(await renderWith("{}"));
    const known = FIXED_AT_START_NAMES.filter((name) => Object.hasOwn(changes, name));
    expect(known.length).toBeGreaterThanOrEqual(4);
    for (const name of known) expect(checksumOf(await renderWith(changes[name] ?? "")), name).not.toBe(before);
    const reloadable = [
      'config: { routes: [{ match: "GET /a", public: true }] }',
      "config: { listen: { maxHeaders: 50 } }",
    ];
    for (const values of reloadable) expect(checksumOf(await renderWith(values)), values).toBe(before);
  });
});

describe("the chart as a dependency", () => {
  test("brings config and keys, and no Deployment, Service or account of its own", async () => {
    const manifests = parseManifests(await renderConsumer());
    expect(manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`).toSorted()).toEqual([
      "ConfigMap your-app-latchkey",
      "Deployment your-app",
      "Secret your-app-latchkey-keys",
      "Service your-app",
    ]);
  });

  test("puts the same sidecar into the other chart's pod, before its other init containers", async () => {
    const sidecars = await findSidecars();
    const { spec, latchkey } = find(sidecars, "chart-consumer");
    expect({ ...latchkey, image: "" }).toEqual({ ...find(sidecars, "chart-smallest").latchkey, image: "" });
    expect(spec.initContainers.map(({ name }) => name)).toEqual(["latchkey", "migrate"]);
    // 10 for the pause, 45 for the app, 10 for the drain, 5 to spare.
    expect(spec.terminationGracePeriodSeconds).toBe(70);
  });

  test("refuses misspelt values of the dependency too", async () => {
    await expect(renderConsumer("--set", "latchkey.replcas=2")).rejects.toThrow("replcas");
  });
});

test("every named template that the README lends is there, and is told of", async () => {
  const templates = await readFile(`${ROOT}${CHART}/templates/_sidecar.tpl`, "utf8");
  const defined = [...templates.matchAll(/define "(latchkey\.[A-Za-z]+)"/g)].map(([, name]) => name);
  const page = await readFile(`${ROOT}${CHART}/README.md`, "utf8");
  const lent = [...page.matchAll(/^\| `(latchkey\.[A-Za-z]+)` \|/gm)].map(([, name]) => name);
  expect(lent.toSorted()).toEqual(defined.filter((name) => name !== "latchkey.image").toSorted());
});

async function renderWith(values: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "latchkey-values-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "values.yaml"), values);
  return renderChart(CHART, ...SMALLEST, "--values", join(folder, "values.yaml"));
}

function find(sidecars: readonly Sidecar[], render: string): Sidecar {
  const found = sidecars.find(({ name }) => name.endsWith(` of ${render}`));
  if (found === undefined) throw new Error(`nothing is rendered as ${render}`);
  return found;
}

function checksumOf(rendered: string): string {
  const [, checksum] = /checksum\/latchkey-restart: "?([0-9a-f]{16})/.exec(rendered) ?? [];
  if (checksum === undefined) throw new Error("the pod has no checksum");
  return checksum;
}

/** A schema, as far as its fields go. What is shared is not followed: it has no fields, or those of Latchkey's config. */
interface Described {
  readonly properties?: Readonly<Record<string, Described>> | undefined;
}

const schemaSchema: z.ZodType<Described> = z.looseObject({
  properties: z
    .record(
      z.string(),
      z.lazy(() => schemaSchema),
    )
    .optional(),
});

function propertiesOf({ properties = {} }: Described, path: string): readonly string[] {
  return Object.entries(properties)
    .flatMap(([name, inner]) => [`${path}.${name}`, ...propertiesOf(inner, `${path}.${name}`)])
    .toSorted();
}

// Handed to Kubernetes, or maps that are not empty by default.
const NOT_FOLLOWED = /\.(resources|securityContext)$/;

function namesOf(value: unknown, path: string): readonly string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value) || NOT_FOLLOWED.test(path)) return [];
  return Object.entries(value)
    .flatMap(([name, inner]: [string, unknown]) => [`${path}.${name}`, ...namesOf(inner, `${path}.${name}`)])
    .toSorted();
}

/** Paths of objects in a schema that take fields nobody has described. */
function findOpen(schema: unknown, path: string): readonly string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const isOpen = "type" in schema && schema.type === "object" && !("additionalProperties" in schema);
  return [
    ...(isOpen ? [path] : []),
    ...Object.entries(schema).flatMap(([name, inner]: [string, unknown]) => findOpen(inner, `${path}.${name}`)),
  ];
}
