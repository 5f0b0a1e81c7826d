import { readFile } from "node:fs/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Page, readPages } from "../docs/blocks.ts";
import { findFault } from "../docs/faults.ts";
import { runPage } from "../docs/session.ts";
import { createFolder } from "../e2e/harness.ts";
import { type ApiServer, startApiServer } from "./api-server.ts";
import { findProblems } from "./find-problems.ts";
import { type Manifest, parseManifests } from "./parse-manifests.ts";
import { ROOT, TOOLS } from "./tools.ts";

const NAME = "npm run test:manifests";
const PATIENCE_MS = 120_000;

const pages = (await readPages()).filter(({ blocks }) =>
  blocks.some(({ treatment }) => treatment.kind === "run by" && treatment.runner === NAME),
);

describe("the commands of the pages that need an API server", () => {
  test.for(pages)("those of $path send it objects of Kubernetes", { timeout: PATIENCE_MS }, async (page) => {
    const received = await follow(page);
    expect(received.map(({ kind }) => kind)).toContain("Deployment");
    expect(await findProblems(received)).toEqual([]);
  });

  test("those of the README send what the golden file has", { timeout: PATIENCE_MS }, async () => {
    const page = pages.find(({ path }) => path === "README.md");
    const golden = parseManifests(await readFile(`${ROOT}test/manifests/golden/overlay-development.yaml`, "utf8"));
    const name = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.namespace}/${metadata.name}`;
    expect((page === undefined ? [] : await follow(page)).map(name).toSorted()).toEqual(golden.map(name).toSorted());
  });
});

/** Runs the commands of a page, and tells what an API server received from them. */
async function follow(page: Page): Promise<readonly Manifest[]> {
  const server = await startApiServer();
  onTestFinished(server.close);
  const folder = await createFolder();
  onTestFinished(folder.remove);
  const tool = (name: string): string => `#!/bin/sh\nexec ${TOOLS}node_modules/.bin/${name} "$@"\n`;
  const ran = await runPage(page, {
    name: NAME,
    enter: [],
    programs: { kubectl: tool("kubectl"), helm: tool("helm") },
    env: { KUBECONFIG: await folder.write("config", configFor(server)) },
    deadlineMs: PATIENCE_MS,
  });
  expect(ran.flatMap(findFault)).toEqual([]);
  return server.received;
}

function configFor({ url }: ApiServer): string {
  return JSON.stringify({
    ...{ apiVersion: "v1", kind: "Config", "current-context": "one" },
    clusters: [{ name: "one", cluster: { server: url } }],
    contexts: [{ name: "one", context: { cluster: "one", user: "one" } }],
    users: [{ name: "one", user: {} }],
  });
}
