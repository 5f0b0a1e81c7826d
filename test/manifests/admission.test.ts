import { describe, expect, test } from "vitest";
import { type Manifest, parseManifests } from "./parse-manifests.ts";
import { findSidecars } from "./pods.ts";
import { RENDERS } from "./renders.ts";

// Rules of the API server that no type tells, as far as they matter here:
// kubernetes.io/docs/concepts/overview/working-with-objects/names and …/labels, and apimachinery's validation.
const SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL_VALUE = /^(?=.{0,63}$)([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const QUALIFIED_NAME = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?(?=[^/]{1,63}$)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const PORT_NAME = /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/;
const MEBIBYTE = 1024 * 1024;

describe.each([...RENDERS])("an API server, given %s,", (_, render) => {
  test("finds names, labels and annotations in order", async () => {
    for (const { kind, metadata } of parseManifests(await render())) {
      expect(metadata.name, kind).toMatch(SUBDOMAIN);
      for (const [key, value] of textsOf(metadata["labels"])) {
        expect([key, value]).toEqual([expect.stringMatching(QUALIFIED_NAME), expect.stringMatching(LABEL_VALUE)]);
      }
      for (const [key, value] of textsOf(metadata["annotations"])) {
        expect([key, value]).toEqual([expect.stringMatching(QUALIFIED_NAME), expect.any(String)]);
      }
    }
  });

  test("finds no two objects of one kind and name", async () => {
    const names = parseManifests(await render()).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(names.toSorted()).toEqual([...new Set(names)].toSorted());
  });

  test("finds all of it in one namespace", async () => {
    const documents = parseManifests(await render()).filter(({ kind }) => kind !== "Namespace");
    expect(new Set(documents.map(({ metadata }) => metadata.namespace)).size).toBe(1);
  });

  test("finds ConfigMaps and Secrets of less than 1 MiB, with names of files for keys", async () => {
    for (const document of parseManifests(await render()).filter(isData)) {
      const files = [...textsOf(document["data"]), ...textsOf(document["stringData"])];
      expect(files).not.toEqual([]);
      for (const [name] of files) expect(name).toMatch(/^[-._a-zA-Z0-9]+$/);
      expect(JSON.stringify(files).length).toBeLessThan(MEBIBYTE);
    }
  });
});

describe("an API server, given a pod,", () => {
  test("finds containers, volumes and ports of different names, and hooks that end before the pod does", async () => {
    for (const { name, spec, apps, latchkey } of await findSidecars()) {
      const containers = [...spec.initContainers, ...spec.containers];
      expect(isUnique(containers.map((container) => container.name)), name).toBe(true);
      expect(isUnique(spec.volumes.map((volume) => volume.name)), name).toBe(true);
      const ports = containers.flatMap((container) => container.ports);
      expect(isUnique(ports.map(({ containerPort }) => containerPort)), name).toBe(true);
      for (const port of ports) expect(port.name).toMatch(PORT_NAME);
      for (const { lifecycle } of [latchkey, ...apps]) {
        // A sleep of the whole grace period or more is refused (KEP-3960).
        expect(lifecycle?.preStop.sleep?.seconds ?? 1).toBeLessThan(spec.terminationGracePeriodSeconds);
      }
    }
  });

  test("finds a success threshold other than 1 on no startup or liveness probe", async () => {
    for (const { latchkey, apps } of await findSidecars()) {
      for (const { startupProbe, livenessProbe } of [latchkey, ...apps]) {
        expect([startupProbe?.["successThreshold"] ?? 1, livenessProbe?.["successThreshold"] ?? 1]).toEqual([1, 1]);
      }
    }
  });
});

function isData({ kind }: Manifest): boolean {
  return kind === "ConfigMap" || kind === "Secret";
}

function isUnique(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length;
}

function textsOf(value: unknown): readonly (readonly [string, unknown])[] {
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}
