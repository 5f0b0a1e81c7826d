import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Mounted, mount } from "./mounts.ts";
import { type Container, findSidecars, type PodSpec } from "./pods.ts";
import { ROOT } from "./tools.ts";

// The kubelet leaves a sidecar at least so long after SIGTERM, and what ends later than the sum must have room.
const SPARE_SECONDS = 5;
const MIB = 1024 * 1024;

const sidecars = await findSidecars();

describe.each(sidecars.map((sidecar) => [sidecar.name, sidecar] as const))("the sidecar in %s", (_, sidecar) => {
  const { spec, latchkey, apps, kind, beside, labels } = sidecar;
  let mounted: Mounted;

  beforeAll(async () => {
    mounted = await mount(sidecar);
  });
  afterAll(() => mounted.remove());

  test("is native: an init container that stays", () => {
    expect(latchkey).toMatchObject({ restartPolicy: "Always", args: ["serve"] });
  });

  test("starts and lives whether the app does or not, so that neither waits for the other", () => {
    expect(latchkey.startupProbe?.httpGet?.path).toBe("/livez");
    expect(latchkey.livenessProbe?.httpGet?.path).toBe("/livez");
    expect(latchkey.readinessProbe?.httpGet?.path).toBe("/readyz");
  });

  test("is asked by every probe on the admin port of its config", () => {
    const address = mounted.settings.admin?.address;
    expect(address).toMatchObject({ kind: "tcp", host: expect.stringMatching(/^(0\.0\.0\.0|::)$/) });
    for (const { httpGet } of probesOf([latchkey, ...apps])) expect(httpGet?.port).toBe(portOf(address));
  });

  test("passes on the probes of the app, by names of its config", () => {
    const paths = probesOf(apps).map(({ httpGet }) => httpGet?.path);
    const known = [...(mounted.settings.admin?.probes.keys() ?? [])].map((name) => `/probe/${name}`);
    expect(paths).not.toEqual([]);
    expect(known).toEqual(expect.arrayContaining([...new Set(paths)]));
  });

  test("outlives the probes of the app in patience: they wait longer than Latchkey does for an answer", () => {
    // Latchkey says 502 after 5 s; a kubelet that gave up before would log a timeout instead of the reason.
    for (const { timeoutSeconds } of probesOf(apps)) expect(timeoutSeconds === 1 || timeoutSeconds > 5).toBe(true);
  });

  test("restarts without taking the app with it: the app's liveness is more patient than the sidecar's start", () => {
    for (const app of apps) {
      if (app.livenessProbe === undefined) continue;
      const patience = app.livenessProbe.periodSeconds * app.livenessProbe.failureThreshold;
      const start = (latchkey.startupProbe?.periodSeconds ?? 0) * (latchkey.startupProbe?.failureThreshold ?? 0);
      expect(patience).toBeGreaterThan(start);
    }
  });

  test("names the ports its config listens on", () => {
    const ports = latchkey.ports.map(({ name, containerPort }) => [name, containerPort]);
    expect(ports).toEqual([
      ["http", portOf(mounted.settings.listen.address)],
      ["admin", portOf(mounted.settings.admin?.address)],
    ]);
  });

  test("forwards to loopback, where the app is out of everybody else's reach", () => {
    expect(new URL(mounted.settings.upstream.origin).hostname).toBe("127.0.0.1");
    for (const app of apps) expect(app.ports).toEqual([]);
  });

  test("has a grace period for the pause, the app, its own drain, and some to spare", () => {
    const pause = Math.max(...apps.map(({ lifecycle }) => lifecycle?.preStop.sleep?.seconds ?? 0));
    const { delayMs, timeoutMs } = mounted.settings.drain;
    const rest = spec.terminationGracePeriodSeconds - pause - (delayMs + timeoutMs) / 1_000 - SPARE_SECONDS;
    expect(delayMs, "the app has ended by then").toBe(0);
    // What is left for the app itself.
    expect(rest).toBeGreaterThanOrEqual(20);
  });

  test("is stopped after the pause in which load balancers learn of it", () => {
    if (kind === "Job") return;
    for (const app of apps) expect(app.lifecycle?.preStop.sleep?.seconds).toBeGreaterThanOrEqual(5);
  });

  test("is told of the end by a hook, with a token its config knows or one that has to be replaced", () => {
    const hook = latchkey.lifecycle?.preStop;
    if (hook === undefined) {
      // In a Job clients have no other pod to go to; the chart has no hook without a token.
      expect(kind === "Job" || mounted.settings.drain.tokenSha256 === undefined).toBe(true);
      return;
    }
    expect(hook.httpGet).toMatchObject({ path: "/-/drain", port: portOf(mounted.settings.admin?.address) });
    const [, token = ""] = /^Bearer (\S+)$/.exec(hook.httpGet?.httpHeaders?.[0]?.value ?? "") ?? [];
    const digest = createHash("sha256").update(token).digest("hex");
    expect(mounted.settings.drain.tokenSha256).toEqual(
      token === "replace-me" ? expect.not.stringMatching(digest) : digest,
    );
  });

  test("needs no privilege, and neither does the app beside it", () => {
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65532,
        fsGroup: 65532,
        seccompProfile: { type: "RuntimeDefault" },
      },
    });
    for (const { name, securityContext } of [latchkey, ...apps]) {
      expect(securityContext, name).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
    }
  });

  test("mounts whole directories, read-only and readable for its group alone", () => {
    for (const volumeMount of latchkey.volumeMounts) {
      expect(Object.keys(volumeMount).toSorted()).toEqual(["mountPath", "name", "readOnly"]);
      expect(volumeMount["readOnly"]).toBe(true);
    }
    for (const { projected, secret } of mountedVolumes(spec, latchkey)) {
      expect(projected?.defaultMode ?? secret?.defaultMode).toBe(0o440);
    }
  });

  test("has its certificate in a volume of its own, if it has one", () => {
    const { tls } = mounted.settings.listen;
    const mounts = latchkey.volumeMounts.map(({ mountPath }) => `${mounted.root}${mountPath}/`);
    for (const file of tls === undefined ? [] : [tls.cert, tls.key]) {
      expect(mounts.some((path) => file.startsWith(path))).toBe(true);
    }
  });

  test("is sized as the documentation says", async () => {
    const operations = (await readFile(`${ROOT}docs/operations.md`, "utf8")).replaceAll(/\s+/g, " ");
    const [, limitMiB] = /Set the limit to (\d+) MiB for up to 10,000 keys/.exec(operations) ?? [];
    // Without the pages of Node's binary, which all pods of a node share.
    const [, usedMb] = /`RssAnon`[^.]*? (\d+) MB with 10,000/.exec(operations) ?? [];
    expect([limitMiB, usedMb], "docs/operations.md says what 10,000 keys use, and which limit to set").not.toContain(
      undefined,
    );
    const { requests, limits } = latchkey.resources;
    expect(toBytes(limits["memory"])).toBeGreaterThanOrEqual(Number(limitMiB) * MIB);
    expect(toBytes(requests["memory"])).toBeGreaterThanOrEqual(Number(usedMb) * 1_000_000);
    expect(requests).toHaveProperty("cpu");
    expect(limits, "a CPU limit shows as latency").not.toHaveProperty("cpu");
  });

  test("is the only way in: no Service and no NetworkPolicy knows another port of the pod", () => {
    const targets = all(beside, "Service").flatMap(({ spec: service }) => valuesOf(service, "targetPort"));
    const allowed = all(beside, "NetworkPolicy").flatMap(({ spec: policy }) => valuesOf(policy, "port"));
    const listen = portOf(mounted.settings.listen.address);
    expect([...new Set(targets)]).toEqual(targets.length === 0 ? [] : [listen]);
    expect(allowed.filter((port) => port !== listen && port !== portOf(mounted.settings.admin?.address))).toEqual([]);
  });

  test("is scraped, scaled and certified by names that are there", () => {
    const scraped = all(beside, "PodMonitor").flatMap(({ spec: monitor }) => valuesOf(monitor, "port"));
    const scaled = all(beside, "HorizontalPodAutoscaler").flatMap(({ spec: scaler }) => [
      ...valuesOf(scaler, "container"),
      ...valuesOf(scaler, "scaleTargetRef"),
    ]);
    const issued = all(beside, "Certificate").flatMap(({ spec: certificate }) => valuesOf(certificate, "secretName"));
    const target = { apiVersion: "apps/v1", kind, name: sidecar.holder };
    expect(scraped.filter((port) => port !== "admin")).toEqual([]);
    expect([[], ["app", "latchkey", target]]).toContainEqual(scaled);
    expect(mountedVolumes(spec, latchkey).map(({ secret }) => secret?.secretName)).toEqual(
      expect.arrayContaining(issued),
    );
  });

  test("is what every selector means", () => {
    for (const { kind: of, spec: selecting } of beside) {
      for (const selector of selectorsOf(selecting)) expect({ of, labels }).toMatchObject({ labels: selector });
    }
  });
});

function probesOf(containers: readonly Container[]): readonly NonNullable<Container["startupProbe"]>[] {
  return containers
    .flatMap(({ startupProbe, livenessProbe, readinessProbe }) => [startupProbe, livenessProbe, readinessProbe])
    .filter((probe) => probe !== undefined);
}

function mountedVolumes(spec: PodSpec, container: Container): PodSpec["volumes"] {
  return spec.volumes.filter(({ name }) => container.volumeMounts.some((volumeMount) => volumeMount.name === name));
}

function portOf(address: Mounted["settings"]["listen"]["address"] | undefined): number | undefined {
  return address?.kind === "tcp" ? address.port : undefined;
}

function toBytes(quantity: string | undefined): number {
  const [, count, unit] = /^(\d+)(Ki|Mi|Gi)$/.exec(quantity ?? "") ?? [];
  const factor = unit === undefined ? Number.NaN : 1024 ** (["Ki", "Mi", "Gi"].indexOf(unit) + 1);
  return Number(count) * factor;
}

function all<T extends { readonly kind: string }>(manifests: readonly T[], kind: string): readonly T[] {
  return manifests.filter((manifest) => manifest.kind === kind);
}

/** Every value under this name, however deep. */
function valuesOf(value: unknown, name: string): readonly unknown[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) =>
    key === name ? [inner] : valuesOf(inner, name),
  );
}

/** The labels by which a Service, a policy, a budget or a monitor finds pods. */
function selectorsOf(spec: unknown): readonly unknown[] {
  const [selector] = [...valuesOf(spec, "podSelector"), ...valuesOf(spec, "selector")];
  if (typeof selector !== "object" || selector === null) return [];
  return ["matchLabels" in selector ? selector.matchLabels : selector];
}
