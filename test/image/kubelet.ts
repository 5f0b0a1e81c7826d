import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import { attempt, podman } from "./engine.ts";
import { joinNeighbour, type Neighbour } from "./neighbour.ts";

/** The containers of a pod, run in the order and by the rules by which a kubelet runs them. */
export interface Pod {
  /** The pod's node: from here its probes come, and its clients. */
  readonly node: Neighbour;
  /** The command that brings another one into the pod's network, where the ports are that are forwarded from it. */
  readonly enter: readonly string[];
  /** What `kubectl get pod` would show, from the exit codes of the ordinary containers alone. */
  readonly phase: () => Promise<"Running" | "Succeeded" | "Failed">;
  /** Resolves when every container's readiness probe has passed; a container without one is ready. */
  readonly becomeReady: () => Promise<void>;
  /** Runs a command in one of the containers. */
  readonly exec: (container: string, ...command: readonly string[]) => Promise<string>;
  /** Resolves with the exit code of a container. */
  readonly exitOf: (container: string) => Promise<number>;
  /** Waits for the ordinary containers to end by themselves, and then ends the native sidecars. */
  readonly complete: () => Promise<Ends>;
  /** What follows `kubectl delete pod`. */
  readonly delete: () => Promise<Ends>;
  readonly remove: () => Promise<void>;
}

/** How the containers ended, in the order in which they did. */
export type Ends = readonly { readonly name: string; readonly code: number }[];

export type PodSpec = z.infer<typeof podSchema>;
type Container = z.infer<typeof containerSchema>;
type Probe = z.infer<typeof probeSchema>;
type HttpGet = z.infer<typeof httpGetSchema>;

const httpGetSchema = z.strictObject({
  path: z.string(),
  port: z.int(),
  httpHeaders: z.array(z.strictObject({ name: z.string(), value: z.string() })).default([]),
});
const probeSchema = z.strictObject({
  httpGet: httpGetSchema,
  periodSeconds: z.int().default(10),
  timeoutSeconds: z.int().default(1),
  failureThreshold: z.int().default(3),
});
const containerSchema = z.strictObject({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).default([]),
  workingDir: z.string().optional(),
  restartPolicy: z.literal("Always").optional(),
  ports: z.unknown(),
  startupProbe: probeSchema.optional(),
  livenessProbe: probeSchema.optional(),
  readinessProbe: probeSchema.optional(),
  lifecycle: z
    .strictObject({
      preStop: z.union([z.strictObject({ httpGet: httpGetSchema }), z.strictObject({ sleep: sleepSchema() })]),
    })
    .optional(),
  resources: z.strictObject({
    requests: z.strictObject({ cpu: z.string().regex(/^\d+m$/), memory: z.string() }),
    limits: z.strictObject({ memory: z.string().regex(/^\d+Mi$/) }),
  }),
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.strictObject({ drop: z.tuple([z.literal("ALL")]) }),
  }),
  volumeMounts: z
    .array(z.strictObject({ name: z.string(), mountPath: z.string(), readOnly: z.literal(true) }))
    .default([]),
});

/** What is understood here of a pod. A field that is not is an error: nothing may be left out unnoticed. */
export const podSchema = z.strictObject({
  initContainers: z.array(containerSchema),
  containers: z.array(containerSchema),
  volumes: z.unknown(),
  terminationGracePeriodSeconds: z.int(),
  restartPolicy: z.literal("Never").optional(),
  securityContext: z.strictObject({
    runAsNonRoot: z.literal(true),
    runAsUser: z.int(),
    runAsGroup: z.int(),
    fsGroup: z.int(),
    fsGroupChangePolicy: z.string(),
    // The engine's own filter is what RuntimeDefault means.
    seccompProfile: z.strictObject({ type: z.literal("RuntimeDefault") }),
  }),
  // An account's token and links to services are for clusters.
  serviceAccountName: z.string().optional(),
  automountServiceAccountToken: z.literal(false),
  enableServiceLinks: z.literal(false),
});

function sleepSchema() {
  return z.strictObject({ seconds: z.int() });
}

// What a sidecar has at least, however much of the grace period the app took (KEP-753).
const LEAST_GRACE_SECONDS = 2;
let pods = 0;

/**
 * Starts a pod as a kubelet does: init containers in their order, a native sidecar until its startup probe has passed,
 * any other until it has ended; then the ordinary containers. `folders` has the directory of each volume, `images` the
 * image for each that a manifest names.
 */
export async function startPod(
  spec: PodSpec,
  folders: Readonly<Record<string, string>>,
  images: Readonly<Record<string, string>>,
): Promise<Pod> {
  pods += 1;
  const pod = `latchkey-pod-${process.pid}-${pods}`;
  const idOf = (name: string): string => `${pod}-${name}`;
  await podman("pod", "create", "--name", pod, "--network", "none");
  await podman("pod", "start", pod);
  const infra = await podman("pod", "inspect", "--format", "{{.InfraContainerID}}", pod);
  const pid = await podman("inspect", "--format", "{{.State.Pid}}", infra);
  const node = await joinNeighbour(Number(pid), pod);

  const run = (container: Container): Promise<string> => {
    const image = images[container.image];
    if (image === undefined) throw new Error(`no image stands for ${container.image}`);
    const flags = ["--detach", "--pod", pod, "--name", idOf(container.name), ...flagsOf(spec, container, folders)];
    return podman("run", ...flags, image, ...(container.command?.slice(1) ?? []), ...container.args);
  };
  const exitOf = async (name: string): Promise<number> => Number(await podman("wait", idOf(name)));
  const isRunning = async (name: string): Promise<boolean> =>
    (await podman("inspect", "--format", "{{.State.Running}}", idOf(name))) === "true";

  const sidecars = spec.initContainers.filter(({ restartPolicy }) => restartPolicy === "Always");
  const end = async ({ name }: Container, seconds: number): Promise<Ends[number]> => {
    await podman("stop", "--time", String(Math.ceil(seconds)), idOf(name));
    return { name, code: await exitOf(name) };
  };
  const endSidecars = async (graceSeconds: () => number): Promise<Ends> => {
    const ends: Ends[number][] = [];
    for (const sidecar of sidecars.toReversed()) {
      ends.push(await end(sidecar, Math.max(LEAST_GRACE_SECONDS, graceSeconds())));
    }
    return ends;
  };

  const self: Pod = {
    node,
    enter: ["nsenter", "--target", pid, "--net"],
    exitOf,
    exec: (name, ...command) => podman("exec", idOf(name), ...command),
    phase: async () => {
      const codes: number[] = [];
      for (const { name } of spec.containers) {
        if (await isRunning(name)) return "Running";
        codes.push(await exitOf(name));
      }
      return codes.every((code) => code === 0) ? "Succeeded" : "Failed";
    },
    becomeReady: async () => {
      for (const { name, readinessProbe } of [...sidecars, ...spec.containers]) {
        // A pod that is not ready yet is asked again for as long as it lives; here for as long as it may start.
        if (readinessProbe !== undefined) await pass(node, `readiness of ${name}`, { ...readinessProbe, ...PATIENT });
      }
    },
    complete: async () => {
      const ends: Ends[number][] = [];
      for (const { name } of spec.containers) ends.push({ name, code: await exitOf(name) });
      return [...ends, ...(await endSidecars(() => spec.terminationGracePeriodSeconds))];
    },
    delete: async () => {
      const began = performance.now();
      const graceSeconds = (): number => spec.terminationGracePeriodSeconds - (performance.now() - began) / 1_000;
      // All hooks run at once, and each holds up its own container's signal only.
      const hooks = new Map(
        [...spec.containers, ...sidecars].map((container) => [container, callHook(node, container)]),
      );
      const ends = await Promise.all(
        spec.containers.map(async (container) => {
          await hooks.get(container);
          return end(container, Math.max(LEAST_GRACE_SECONDS, graceSeconds()));
        }),
      );
      await Promise.all(hooks.values());
      return [...ends, ...(await endSidecars(graceSeconds))];
    },
    remove: async () => {
      await node.remove();
      await attempt("podman", ["pod", "rm", "--force", "--time", "0", pod]);
    },
  };
  try {
    for (const container of spec.initContainers) {
      await run(container);
      if (container.restartPolicy === "Always") await passStartup(node, container);
      else if ((await exitOf(container.name)) !== 0) throw new Error(`${container.name} failed`);
    }
    for (const container of spec.containers) await run(container);
    for (const container of spec.containers) await passStartup(node, container);
  } catch (error) {
    await self.remove();
    throw error;
  }
  return self;
}

const PATIENT = { failureThreshold: 30, periodSeconds: 1 };

async function passStartup(node: Neighbour, { name, startupProbe }: Container): Promise<void> {
  if (startupProbe !== undefined) await pass(node, `startup of ${name}`, startupProbe);
}

/** Asks from the node, by the pod's address, until the probe passes; fails when a kubelet would give up. */
async function pass(node: Neighbour, what: string, probe: Probe): Promise<void> {
  for (let failures = 0; failures < probe.failureThreshold; failures += 1) {
    if (await get(node, probe.httpGet, probe.timeoutSeconds)) return;
    await pause(probe.periodSeconds * 1_000);
  }
  throw new Error(`${what} did not pass its probe`);
}

async function callHook(node: Neighbour, { name, lifecycle }: Container): Promise<void> {
  if (lifecycle === undefined) return;
  const { preStop } = lifecycle;
  if ("sleep" in preStop) await pause(preStop.sleep.seconds * 1_000);
  else if (!(await get(node, preStop.httpGet, LEAST_GRACE_SECONDS))) throw new Error(`the hook of ${name} failed`);
}

/** Any status from 200 to 399 counts as success, for probes and hooks alike. */
async function get(node: Neighbour, { path, port, httpHeaders }: HttpGet, timeoutSeconds: number): Promise<boolean> {
  const headers = httpHeaders.flatMap(({ name, value }) => ["--header", `${name}: ${value}`]);
  const asked = ["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", ...headers];
  const url = `http://${node.podAddress}:${port}${path}`;
  const status = await node.run("curl", ...asked, "--max-time", String(timeoutSeconds), url).catch(() => "000");
  return status >= "200" && status < "400";
}

function flagsOf(spec: PodSpec, container: Container, folders: Readonly<Record<string, string>>): readonly string[] {
  const { runAsUser, runAsGroup, fsGroup } = spec.securityContext;
  const { requests, limits } = container.resources;
  const memory = limits.memory.replace("Mi", "m");
  const volumes = container.volumeMounts.flatMap(({ name, mountPath }) => {
    const folder = folders[name];
    if (folder === undefined) throw new Error(`${container.name} mounts ${name}, which is no volume`);
    return ["--volume", `${folder}:${mountPath}:ro`];
  });
  return [
    ...["--user", `${runAsUser}:${runAsGroup}`, "--group-add", String(fsGroup)],
    ...["--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt", "no-new-privileges"],
    ...["--memory", memory, "--memory-swap", memory],
    ...["--cpu-shares", String(Math.round((Number.parseInt(requests.cpu, 10) * 1024) / 1000))],
    ...(container.command === undefined ? [] : ["--entrypoint", JSON.stringify(container.command.slice(0, 1))]),
    ...(container.workingDir === undefined ? [] : ["--workdir", container.workingDir]),
    ...volumes,
  ];
}
