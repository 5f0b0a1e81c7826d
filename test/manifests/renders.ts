import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, renderChart, renderKustomization, runTool } from "./tools.ts";

const CHART = "charts/latchkey";

/** Everything the project can send to a cluster, by the name of its golden file. */
export const RENDERS: ReadonlyMap<string, () => Promise<string>> = new Map(
  Object.entries({
    base: () => renderKustomization("k8s/base"),
    "overlay-development": () => renderKustomization("k8s/overlays/development"),
    "overlay-production": () => renderKustomization("k8s/overlays/production"),
    "overlay-production-operators": () => renderKustomization("k8s/overlays/production-operators"),
    "component-autoscaler": () => renderKustomization("test/manifests/kustomizations/autoscaler"),
    "component-certificate": () => renderKustomization("test/manifests/kustomizations/certificate"),
    "component-disruption-budget": () => renderKustomization("test/manifests/kustomizations/disruption-budget"),
    "component-pod-monitor": () => renderKustomization("test/manifests/kustomizations/pod-monitor"),
    "example-job": () => renderKustomization("k8s/examples/job"),
    "chart-smallest": () => renderChart(CHART, "--values", `${CHART}/ci/smallest-values.yaml`),
    "chart-records": () => renderChart(CHART, "--values", `${CHART}/ci/records-values.yaml`),
    "chart-existing": () => renderChart(CHART, "--values", `${CHART}/ci/existing-values.yaml`),
    "chart-everything": () => renderChart(CHART, "--values", `${CHART}/ci/everything-values.yaml`),
    "chart-consumer": () => renderConsumer(),
  }).map(([name, render]) => [name, once(render)]),
);

/** What is on disk stays the same for the length of a test file. */
function once(render: () => Promise<string>): () => Promise<string> {
  let rendered: Promise<string> | undefined;
  return () => {
    rendered ??= render();
    return rendered;
  };
}

/** The chart that has the other as its dependency, in a copy: Helm writes the dependency beside the chart. */
export async function renderConsumer(...options: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "latchkey-charts-"));
  try {
    await cp(`${ROOT}charts`, folder, { recursive: true });
    await runTool("helm", ["dependency", "build", `${folder}/example-consumer`]);
    return await renderChart(`${folder}/example-consumer`, ...options);
  } finally {
    await rm(folder, { recursive: true });
  }
}
