import * as z from "zod";
import { type Manifest, parseManifests } from "./parse-manifests.ts";
import { RENDERS } from "./renders.ts";

/** A pod template with a Latchkey sidecar in it, and everything that was rendered with it. */
export interface Sidecar {
  /** For a message: the render, and what holds the template. */
  readonly name: string;
  readonly kind: string;
  /** The name of what holds the template. */
  readonly holder: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
  readonly latchkey: Container;
  /** The other containers: the app. */
  readonly apps: readonly Container[];
  readonly beside: readonly Manifest[];
}

export type PodSpec = z.infer<typeof podSpecSchema>;
export type Container = z.infer<typeof containerSchema>;

const httpGetSchema = z.object({
  path: z.string(),
  port: z.union([z.string(), z.number()]),
  httpHeaders: z.array(z.object({ name: z.string(), value: z.string() })).optional(),
});
const probeSchema = z.looseObject({
  httpGet: httpGetSchema.optional(),
  periodSeconds: z.number().default(10),
  timeoutSeconds: z.number().default(1),
  failureThreshold: z.number().default(3),
});
const hookSchema = z.strictObject({
  httpGet: httpGetSchema.optional(),
  sleep: z.object({ seconds: z.number() }).optional(),
});
const quantitiesSchema = z.record(z.string(), z.string());
const containerSchema = z.looseObject({
  name: z.string(),
  image: z.string(),
  args: z.array(z.string()).optional(),
  restartPolicy: z.string().optional(),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number(), protocol: z.string() })).default([]),
  startupProbe: probeSchema.optional(),
  livenessProbe: probeSchema.optional(),
  readinessProbe: probeSchema.optional(),
  lifecycle: z.strictObject({ preStop: hookSchema }).optional(),
  resources: z.object({ requests: quantitiesSchema, limits: quantitiesSchema }),
  securityContext: z.unknown(),
  volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })).default([]),
});
const volumeSchema = z.looseObject({
  name: z.string(),
  secret: z.looseObject({ secretName: z.string(), defaultMode: z.number() }).optional(),
  projected: z
    .looseObject({
      defaultMode: z.number(),
      sources: z.array(
        z.strictObject({
          configMap: z.strictObject({ name: z.string() }).optional(),
          secret: z.strictObject({ name: z.string() }).optional(),
        }),
      ),
    })
    .optional(),
});
const podSpecSchema = z.looseObject({
  initContainers: z.array(containerSchema),
  containers: z.array(containerSchema),
  volumes: z.array(volumeSchema),
  securityContext: z.unknown(),
  terminationGracePeriodSeconds: z.number(),
  automountServiceAccountToken: z.boolean().optional(),
});
const holderSchema = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({
      metadata: z.looseObject({ labels: z.record(z.string(), z.string()) }),
      spec: podSpecSchema,
    }),
  }),
});

/** Every sidecar that is rendered anywhere. A render without one is an error: nothing may go untested unnoticed. */
export async function findSidecars(): Promise<readonly Sidecar[]> {
  const found = await Promise.all([...RENDERS].map(async ([name, render]) => toSidecars(name, await render())));
  return found.flat();
}

/** The sidecars of one render. */
export function toSidecars(name: string, rendered: string): readonly Sidecar[] {
  const beside = parseManifests(rendered);
  const holders = beside.filter(({ kind }) => kind === "Deployment" || kind === "Job");
  if (holders.length === 0) throw new Error(`${name} has no pod`);
  return holders.map((holder) => toSidecar(name, holder, beside));
}

function toSidecar(render: string, holder: Manifest, beside: readonly Manifest[]): Sidecar {
  const { metadata, spec } = holderSchema.parse(holder).spec.template;
  const latchkey = spec.initContainers.find(({ name }) => name === "latchkey");
  const name = `${holder.kind} ${holder.metadata.name} of ${render}`;
  if (latchkey === undefined) throw new Error(`${name} has no container latchkey`);
  const { kind } = holder;
  return {
    name,
    kind,
    holder: holder.metadata.name,
    labels: metadata.labels,
    spec,
    latchkey,
    apps: spec.containers,
    beside,
  };
}
