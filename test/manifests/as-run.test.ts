import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PROGRAM, type Program, startProgram, startUpstream, type Upstream } from "../e2e/harness.ts";
import { type Mounted, mount } from "./mounts.ts";
import { findSidecars } from "./pods.ts";
import { runNode } from "./run-node.ts";
import { ROOT } from "./tools.ts";

// The built program, in front of an app, with exactly the files that the manifests mount.
describe.each(await findSidecars())("the program in $name", (sidecar) => {
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
});

test("the development overlay's key opens the app, and nothing else does", async () => {
  const sidecar = (await findSidecars()).find(({ name }) => name.endsWith("overlay-development"));
  if (sidecar === undefined) throw new Error("there is no development overlay");
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
