import { chmod, chown, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { readPageOf } from "../docs/blocks.ts";
import { findFault } from "../docs/faults.ts";
import { runPage } from "../docs/session.ts";
import { createFolder, type Folder, sha256Of } from "../e2e/harness.ts";
import { readVolume } from "../manifests/mounts.ts";
import { toSidecars } from "../manifests/pods.ts";
import { swapVolume } from "../reload/changes.ts";
import { APP_BASE } from "./bases.ts";
import { IMAGE } from "./engine.ts";
import { type Pod, type PodSpec, podSchema, startPod } from "./kubelet.ts";

const NAME = "test/image/manifests.test.ts";
const GOLDEN = new URL("../manifests/golden/", import.meta.url).pathname;
const WATCHER = "job_0123456789abcdef0123456789abcdef";
const CLIENT = "dev_fedcba9876543210fedcba9876543210";
// In place of the key that everybody knows, which is held to 100 requests a minute.
const CLIENTS_KEY = {
  "keys.yaml": `keys: [{ id: clients, hash: "${sha256Of(CLIENT)}", scopes: ["*"], limits: [1000000/minute] }]\n`,
};
const SECRETS = { "keys.yaml": `keys: [{ id: watcher, hash: "${sha256Of(WATCHER)}", scopes: ["progress:read"] }]\n` };
// Four clients that keep their connection and four that open one a request, and what became of the requests.
const CLIENTS = `const [url, key, ms] = process.argv.slice(2);
const outcomes = {};
const ask = async (connection) => {
  for (const end = Date.now() + Number(ms); Date.now() < end; ) {
    const headers = { authorization: "Bearer " + key, connection };
    const outcome = await fetch(url, { headers }).then(async (answer) => (await answer.text(), answer.status), String);
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
};
await Promise.all(["keep-alive", "close"].flatMap((kind) => [1, 2, 3, 4].map(() => ask(kind))));
console.log(JSON.stringify(outcomes));`;
const IMAGES = { latchkey: IMAGE, "localhost/latchkey:dev": IMAGE, [APP_BASE]: APP_BASE };

/** Starts the one pod that a render holds, with its files in volumes as a kubelet writes them. */
async function startRendered(
  render: string,
  {
    files = {},
    change = (spec) => spec,
  }: { readonly files?: Files; readonly change?: (spec: PodSpec) => PodSpec } = {},
): Promise<Pod> {
  const [sidecar] = toSidecars(render, await readFile(`${GOLDEN}${render}.yaml`, "utf8"));
  if (sidecar === undefined) throw new Error(`${render} has no pod`);
  const spec = change(podSchema.parse(sidecar.spec));
  const folder = await createFolderOfTest();
  const names = sidecar.latchkey.volumeMounts.map(({ name }) => name);
  for (const name of names) {
    const volume = join(folder.path, name);
    await swapVolume(volume, { ...(await readVolume(sidecar, name)), ...files });
    await own(volume, spec.securityContext.fsGroup);
  }
  await chmod(folder.path, 0o755);
  const folders = Object.fromEntries(names.map((name) => [name, join(folder.path, name)]));
  const pod = await startPod(spec, folders, IMAGES);
  onTestFinished(pod.remove);
  return pod;
}

async function createFolderOfTest(): Promise<Folder> {
  const folder = await createFolder();
  onTestFinished(folder.remove);
  return folder;
}

type Files = Readonly<Record<string, string>>;

/** Root's, and readable for the pod's group alone. */
async function own(volume: string, group: number): Promise<void> {
  await chmod(volume, 0o755);
  for (const entry of await readdir(volume, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink()) continue;
    await chown(path, 0, group);
    await chmod(path, entry.isDirectory() ? 0o750 : 0o440);
  }
}

/** Status and body of a request from the pod's node. */
function ask({ node }: Pod, path: string, credential?: string): Promise<string> {
  const key = credential === undefined ? [] : ["--header", `Authorization: Bearer ${credential}`];
  const url = `http://${node.podAddress}:8080${path}`;
  return node.run("curl", "--silent", "--write-out", " %{http_code}", ...key, url);
}

describe("the Job example, run as a kubelet runs it,", () => {
  test("completes: the sidecar serves until the worker has ended, and then ends in time", async () => {
    const pod = await startRendered("example-job", { files: SECRETS });
    await pod.becomeReady();
    expect(await ask(pod, "/", WATCHER)).toMatch(/<li>[\s\S]* 200$/);
    expect(await ask(pod, "/")).toMatch(/"code":"credential_missing".* 401$/);
    // The worker's own request, through the sidecar beside it.
    const request =
      `import urllib.request as u; print(u.urlopen(u.Request("http://127.0.0.1:8080/", ` +
      `headers={"X-API-Key": "${WATCHER}"})).status)`;
    expect(await pod.exec("worker", "python3", "-c", request)).toBe("200");
    expect(await pod.phase()).toBe("Running");
    expect(await pod.complete()).toEqual([
      { name: "worker", code: 0 },
      { name: "latchkey", code: 0 },
    ]);
    expect(await pod.phase()).toBe("Succeeded");
  });

  test("fails when its worker does, whatever the sidecar says", async () => {
    const failing = (spec: PodSpec): PodSpec => ({
      ...spec,
      containers: spec.containers.map((container) => ({ ...container, command: ["python3", "-c", "exit(3)"] })),
    });
    const pod = await startRendered("example-job", { files: SECRETS, change: failing });
    expect(await pod.complete()).toEqual([
      { name: "worker", code: 3 },
      { name: "latchkey", code: 0 },
    ]);
    expect(await pod.phase()).toBe("Failed");
  });

  test("would never complete with the sidecar among the ordinary containers", async () => {
    const ordinary = (spec: PodSpec): PodSpec => ({
      ...spec,
      initContainers: [],
      containers: [
        ...spec.containers.map((container) => ({ ...container, command: ["python3", "-c", "exit(0)"] })),
        ...spec.initContainers.map(({ restartPolicy, ...container }) => container),
      ],
    });
    const pod = await startRendered("example-job", { files: SECRETS, change: ordinary });
    expect(await pod.exitOf("worker")).toBe(0);
    await expect.poll(() => ask(pod, "/", WATCHER), { timeout: 10_000 }).toMatch(/ 502$/);
    expect(await pod.phase()).toBe("Running");
  });
});

describe("the development overlay, run as a kubelet runs it,", () => {
  test("answers what docs/kubernetes.md asks by a forwarded port as that page says", async () => {
    const page = await readPageOf(NAME, "docs/kubernetes.md");
    const pod = await startRendered("overlay-development");
    await pod.becomeReady();
    // A forwarded port ends at the loopback of the pod's network.
    const ran = await runPage(page, { name: NAME, enter: pod.enter, programs: {}, env: {}, deadlineMs: 20_000 });
    expect(ran.flatMap(findFault)).toEqual([]);
    expect(ran.map(({ output }) => output)).toEqual([expect.stringMatching(/^HTTP\/1\.1 404 [\s\S]*File not found/m)]);
    expect(await ask(pod, "/api/items")).toMatch(/"code":"credential_missing".* 401$/);
  });

  test("starts, though each container's probes need the other, and ends without a failed request", async () => {
    const pod = await startRendered("overlay-development", { files: CLIENTS_KEY });
    await pod.becomeReady();
    expect(await ask(pod, "/api/items", CLIENT)).toMatch(/File not found[\s\S]* 404$/);
    const script = await (await createFolderOfTest()).write("clients.mjs", CLIENTS);
    const url = `http://${pod.node.podAddress}:8080/api/items`;
    // As long as load balancers may take to learn that the pod ends: half of the app's pause.
    const clients = pod.node.run(process.execPath, script, url, CLIENT, "6000");
    await pause(1_000);
    expect(await pod.delete()).toEqual([
      { name: "app", code: 0 },
      { name: "latchkey", code: 0 },
    ]);
    const outcomes: Readonly<Record<string, number>> = JSON.parse(await clients);
    expect(Object.keys(outcomes)).toEqual(["404"]);
    expect(outcomes["404"]).toBeGreaterThan(100);
  });
});
