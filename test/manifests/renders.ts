import { renderKustomization } from "./tools.ts";

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
  }),
);
