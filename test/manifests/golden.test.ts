import { glob } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { findProblems } from "./find-problems.ts";
import { parseManifests } from "./parse-manifests.ts";
import { RENDERS } from "./renders.ts";
import { ROOT } from "./tools.ts";

describe("what is rendered", () => {
  test.each([...RENDERS])(
    "of %s is the golden file; `npm run test:manifests -- -u` writes it",
    async (name, render) => {
      await expect(await render()).toMatchFileSnapshot(`golden/${name}.yaml`);
    },
  );

  test("fits the types of Kubernetes, with no field they do not know", async () => {
    const named = await Promise.all([...RENDERS].map(async ([name, render]) => [name, await render()] as const));
    const documents = named.flatMap(([name, text]) => parseManifests(text).map((document) => ({ name, document })));
    const problems = await findProblems(documents.map(({ document }) => document));
    expect(new Set(documents.map(({ name }) => name))).toEqual(new Set(RENDERS.keys()));
    expect(problems.map(({ index, text }) => `${documents[index]?.name}: ${text}`)).toEqual([]);
  });

  test("is all there is a golden file of", async () => {
    expect(await list("test/manifests/golden/*.yaml", /golden\/(.*)\.yaml$/)).toEqual([...RENDERS.keys()].toSorted());
  });

  test("covers every set of values of the chart", async () => {
    const sets = await list("charts/latchkey/ci/*-values.yaml", /ci\/(.*)-values\.yaml$/);
    expect([...RENDERS.keys()]).toEqual(expect.arrayContaining(sets.map((set) => `chart-${set}`)));
  });

  test("covers every base, overlay, component and example under k8s/", async () => {
    const folders = await list("k8s/**/kustomization.yaml", /^k8s\/(.*)\/kustomization\.yaml$/);
    const rendered = [...RENDERS.keys()].map((name) => name.replace(/^(overlay|component|example)-/, "$1s/"));
    expect(rendered).toEqual(expect.arrayContaining([...folders]));
  });
});

async function list(pattern: string, name: RegExp): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const file of glob(pattern, { cwd: ROOT })) found.push(name.exec(file)?.[1] ?? file);
  return found.toSorted();
}
