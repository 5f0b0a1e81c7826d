import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PROGRAM, type Program, startProgram, startUpstream, type Upstream } from "../e2e/harness.ts";
import { swapVolume } from "../reload/changes.ts";
import { issueCertificate, type Mounted, mount } from "./mounts.ts";
import { findSidecars, type Sidecar } from "./pods.ts";
import { runNode } from "./run-node.ts";
import { ROOT } from "./tools.ts";

const sidecars = await findSidecars();

// The built program, in front of an app, with exactly the files that the manifests mount.
describe.each(distinct(sidecars))("the program in %s", (_, sidecar) => {
  let mounted: Mounted;
  let upstream: Upstream;
  let program: Program;

  beforeAll(async () => {
    mounted = await mount(sidecar);
    upstream = await startUpstream();
    program = await startProgram(mounted.mainFile, ["--upstream", upstream.url]);
  });
  afterAll(async () => {
    await program.stop();
    await upstream.close();
    await mounted.remove();
  });

  test("finds nothing to object to in its config", async () => {
    const ran = await runNode([PROGRAM, "check", "--config", mounted.mainFile]);
    expect(ran).toEqual({ code: 0, out: expect.stringContaining("is valid"), err: "" });
    expect(ran.out).not.toMatch(/warning/i);
  });

  test("answers every probe of the pod", async () => {
    const { latchkey, apps } = sidecar;
    const probes = [latchkey, ...apps].flatMap((of) => [of.startupProbe, of.livenessProbe, of.readinessProbe]);
    for (const probe of probes.filter((one) => one !== undefined)) {
      const { status } = await fetch(`${program.adminUrl}${probe.httpGet?.path}`);
      expect([probe.httpGet?.path, status]).toEqual([probe.httpGet?.path, 200]);
    }
  });

  test("tells its metrics where the PodMonitor asks", async () => {
    const monitors = sidecar.beside.filter(({ kind }) => kind === "PodMonitor");
    const path = /"path":"([^"]*)"/.exec(JSON.stringify(monitors))?.[1] ?? "/metrics";
    const answer = await fetch(`${program.adminUrl}${path}`);
    expect(await answer.text()).toContain("latchkey_build_info");
  });

  test("answers the probes of the sidecar, and not those of the app, while there is no app", async () => {
    const { latchkey, apps } = sidecar;
    await upstream.close();
    for (const { httpGet } of [latchkey.startupProbe, latchkey.livenessProbe, latchkey.readinessProbe].flatMap(
      (one) => one ?? [],
    )) {
      expect((await fetch(`${program.adminUrl}${httpGet?.path}`)).status).toBe(200);
    }
    for (const { httpGet } of apps.flatMap(({ readinessProbe }) => readinessProbe ?? [])) {
      expect((await fetch(`${program.adminUrl}${httpGet?.path}`)).status).toBe(502);
    }
  });

  test("announces its end when the pod's hook asks for it, and only with a token that was replaced", async () => {
    const hook = sidecar.latchkey.lifecycle?.preStop.httpGet;
    if (hook === undefined) return;
    const headers = Object.fromEntries((hook.httpHeaders ?? []).map(({ name, value }) => [name, value]));
    const isReplaced = headers["Authorization"] !== "Bearer replace-me";
    expect((await fetch(`${program.adminUrl}${hook.path}`)).status).toBe(401);
    expect((await fetch(`${program.adminUrl}${hook.path}`, { headers })).status).toBe(isReplaced ? 200 : 401);
    expect((await fetch(`${program.adminUrl}/readyz`)).status).toBe(isReplaced ? 503 : 200);
    expect((await fetch(`${program.adminUrl}/livez`)).status).toBe(200);
  });
});

test("the program with the certificate of the production overlay takes up a renewed one", async () => {
  const sidecar = named("Deployment your-app of overlay-production-operators");
  const [mounted, upstream] = [await mount(sidecar), await startUpstream()];
  const program = await startProgram(mounted.mainFile, ["--upstream", upstream.url]);
  const before = await handshake(program.port);
  expect(before).toBe(await fingerprintIn(mounted.root));
  await swapVolume(join(mounted.root, "/etc/latchkey-tls"), await issueCertificate());
  const renewed = await fingerprintIn(mounted.root);
  expect(renewed).not.toBe(before);
  await expect.poll(() => handshake(program.port), { timeout: 5_000 }).toBe(renewed);
  await program.stop();
  await upstream.close();
  await mounted.remove();
});

test("the development overlay's key opens the app, and nothing else does", async () => {
  const sidecar = named("Deployment your-app of overlay-development");
  const [mounted, upstream] = [await mount(sidecar), await startUpstream()];
  const program = await startProgram(mounted.mainFile, ["--upstream", upstream.url]);
  const record = await readFile(`${ROOT}k8s/overlays/development/keys.development.yaml`, "utf8");
  const [credential = "none is written down"] = /dev_[0-9a-f]{32}/.exec(record) ?? [];
  const ask = async (headers: Readonly<Record<string, string>>): Promise<number> =>
    (await fetch(`${program.url}/api/items`, { headers })).status;
  expect(await ask({ Authorization: `Bearer ${credential}` })).toBe(200);
  expect(await ask({ Authorization: "Bearer dev_00000000000000000000000000000000" })).toBe(401);
  expect(await ask({})).toBe(401);
  await program.stop();
  await upstream.close();
  await mounted.remove();
});

/** One of those for which the program sees the same files and probes: most components change neither. */
function distinct(all: readonly Sidecar[]): readonly (readonly [name: string, sidecar: Sidecar])[] {
  const seen = ({ latchkey, apps, beside }: Sidecar): string =>
    JSON.stringify([
      [latchkey, ...apps].map((of) => [of.startupProbe, of.livenessProbe, of.readinessProbe, of.lifecycle]),
      latchkey.volumeMounts,
      beside
        .filter(({ kind }) => kind === "ConfigMap" || kind === "Secret")
        .map(({ data, stringData }) => [data, stringData]),
    ]);
  const first = new Map(all.toReversed().map((sidecar) => [seen(sidecar), sidecar]));
  return [...first.values()].toReversed().map((sidecar) => [sidecar.name, sidecar]);
}

function named(name: string): Sidecar {
  const found = sidecars.find((sidecar) => sidecar.name === name);
  if (found === undefined) throw new Error(`nothing is rendered as ${name}`);
  return found;
}

/** The fingerprint of the certificate that a new connection is shown. */
async function handshake(port: number): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

async function fingerprintIn(root: string): Promise<string> {
  return new X509Certificate(await readFile(join(root, "/etc/latchkey-tls/tls.crt"))).fingerprint256;
}
