import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import * as z from "zod";
import { parseConfiguration } from "../../src/config/load.ts";
import type { Settings } from "../../src/config/settings.ts";
import { createSourceIo, readSnapshot } from "../../src/config/source.ts";
import { swapVolume } from "../reload/changes.ts";
import type { Sidecar } from "./pods.ts";
import { ROOT } from "./tools.ts";

type Files = Readonly<Record<string, string>>;

const EXAMPLE_KEYS = await readFile(`${ROOT}k8s/base/keys.example.yaml`, "utf8");
const ANY_DIGEST = `sha256:${"0".repeat(64)}`;

// What the manifests expect from elsewhere, by name. A name that is neither here nor rendered is an error.
const OUTSIDE: Readonly<Record<string, Files>> = {
  "latchkey-keys": { "keys.yaml": EXAMPLE_KEYS },
  "orders-keys": { "keys.yaml": `keys: [{ id: one, hash: "${ANY_DIGEST}" }]\n` },
  "orders-partner-keys": { "partner-keys.yaml": "keys: []\n" },
  "orders-pepper": { pepper: "a pepper of more than sixteen bytes\n" },
  "orders-policy": {
    "latchkey.yaml": `listen:
  address: "[::]:8080"
  tls: { cert: /etc/latchkey-tls/tls.crt, key: /etc/latchkey-tls/tls.key }
upstream: http://127.0.0.1:3000
admin: { address: "[::]:9090", probes: { app: / } }
drain: { delay: 0s, timeout: 10s }
routes: [{ match: "* /**", authenticated: true }]
keys: { files: [keys.yaml, partner-keys.yaml] }
`,
  },
};

const dataSchema = z.record(z.string(), z.string()).default({});

/** The directories a sidecar sees, laid out below `root` as the kubelet lays them out. */
export interface Mounted {
  readonly root: string;
  /** The main file, where the image looks for it. */
  readonly mainFile: string;
  readonly settings: Settings;
  readonly remove: () => Promise<void>;
}

/** Where the image looks for its config. */
export async function readConfigPath(): Promise<string> {
  const path = /LATCHKEY_CONFIG=(\S+)/.exec(await readFile(`${ROOT}Dockerfile`, "utf8"))?.[1];
  if (path === undefined) throw new Error("the image sets no LATCHKEY_CONFIG");
  return path;
}

/** Mounts what the manifests hold. Secrets that come from outside are made up, and must be known here by name. */
export async function mount(sidecar: Sidecar): Promise<Mounted> {
  const root = await mkdtemp(join(tmpdir(), "latchkey-mounts-"));
  for (const { name, mountPath } of sidecar.latchkey.volumeMounts) {
    const files = await readVolume(sidecar, name);
    // Absolute paths in the config are those of the container.
    const moved = Object.entries(files).map(([file, text]) => [file, text.replaceAll("/etc/", `${root}/etc/`)]);
    await swapVolume(join(root, mountPath), Object.fromEntries(moved));
  }
  const mainFile = join(root, await readConfigPath());
  const loaded = parseConfiguration(await readSnapshot(mainFile, createSourceIo({})));
  if (loaded.kind === "rejected") throw new Error(`${sidecar.name}: ${JSON.stringify(loaded.diagnostics, null, 2)}`);
  const { settings } = loaded.configuration;
  return { root, mainFile, settings, remove: () => rm(root, { recursive: true }) };
}

/** The files of one of the pod's volumes, by their names. */
export async function readVolume(sidecar: Sidecar, name: string): Promise<Files> {
  const volume = sidecar.spec.volumes.find((candidate) => candidate.name === name);
  if (volume === undefined) throw new Error(`${sidecar.name} mounts ${name}, which is no volume`);
  if (volume.secret !== undefined) return readSecret(sidecar, volume.secret.secretName);
  const sources = volume.projected?.sources;
  if (sources === undefined) throw new Error(`${sidecar.name}: volume ${volume.name} is of no kind known here`);
  const parts = await Promise.all(
    sources.map(({ configMap, secret }) => {
      if (configMap !== undefined) return readConfigMap(sidecar, configMap.name);
      return secret === undefined ? {} : readSecret(sidecar, secret.name);
    }),
  );
  const files: Files = Object.assign({}, ...parts);
  const count = parts.reduce((sum, part) => sum + Object.keys(part).length, 0);
  if (Object.keys(files).length !== count) throw new Error(`${sidecar.name}: two sources project the same file`);
  return files;
}

function readConfigMap({ name: of, beside }: Sidecar, name: string): Files {
  const found = beside.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name === name);
  const outside = OUTSIDE[name];
  if (found === undefined && outside === undefined) throw new Error(`${of} mounts an unknown ConfigMap, ${name}`);
  return found === undefined ? (outside ?? {}) : dataSchema.parse(found["data"]);
}

async function readSecret({ name: of, beside }: Sidecar, name: string): Promise<Files> {
  const found = beside.find(({ kind, metadata }) => kind === "Secret" && metadata.name === name);
  if (found !== undefined) {
    const encoded = Object.entries(dataSchema.parse(found["data"]));
    const plain = dataSchema.parse(found["stringData"]);
    const decoded = encoded.map(([file, text]) => [file, Buffer.from(text, "base64").toString()]);
    return { ...Object.fromEntries(decoded), ...plain };
  }
  const isIssued = beside.some(
    ({ kind, spec }) => kind === "Certificate" && isRecord(spec) && spec["secretName"] === name,
  );
  if (isIssued || name === "orders-certificate") return issueCertificate();
  const outside = OUTSIDE[name];
  if (outside === undefined) throw new Error(`${of} mounts an unknown Secret, ${name}`);
  return outside;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** What cert-manager puts in the Secret of a Certificate. */
export async function issueCertificate(): Promise<Files> {
  const folder = await mkdtemp(join(tmpdir(), "latchkey-issue-"));
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=your-app";
  await promisify(execFile)("openssl", [...request.split(" "), "-keyout", "tls.key", "-out", "tls.crt"], {
    cwd: folder,
  });
  const names = await readdir(folder);
  const files = await Promise.all(
    names.map(async (name) => [name, await readFile(join(folder, name), "utf8")] as const),
  );
  await rm(folder, { recursive: true });
  return Object.fromEntries(files);
}
