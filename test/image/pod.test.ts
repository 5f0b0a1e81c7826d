import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, type Folder, sha256Of } from "../e2e/harness.ts";
import { swapVolume } from "../reload/changes.ts";
import { namedBases } from "./bases.ts";
import { type Container, createMount, eventually, isReady, LOCKED_DOWN, startContainer } from "./container.ts";
import { attempt, podman } from "./engine.ts";
import { joinNeighbour, type Neighbour } from "./neighbour.ts";

const POD = `latchkey-${process.pid}`;
const STEADY = "pod_0123456789abcdef0123456789abcdef";
const DOOMED = "pod_fedcba9876543210fedcba9876543210";

// What curl ends with where nobody takes the connection.
const CURL_REFUSED = 7;

// An app that knows nothing of keys and listens on loopback only. It tells who it was told is calling.
const APP = `require("node:http").createServer((request, response) => {
  response.end(JSON.stringify({ path: request.url, key: request.headers["x-latchkey-key-id"] ?? null }));
}).listen(3000, "127.0.0.1");`;

const configWith = (route: string): string =>
  `listen: 0.0.0.0:8080\nupstream: http://127.0.0.1:3000\nkeys: { files: [/run/keys/keys.yaml] }\n` +
  `routes:\n  ${route}\n  - { match: "* /**", authenticated: true }\n`;
const keysWith = (doomed: string): string =>
  `keys:\n  - { id: steady, hash: "${sha256Of(STEADY)}" }\n  - { id: doomed, hash: "${sha256Of(DOOMED)}", status: ${doomed} }\n`;

describe("a pod of an app and the sidecar", () => {
  let volumes: Folder;
  let app: { readonly path: string; readonly remove: () => Promise<void> };
  let sidecar: Container;
  let neighbour: Neighbour;

  const volume = (name: string): string => join(volumes.path, name);
  beforeAll(async () => {
    volumes = await createFolder();
    // The container's user must come through to what is mounted of it.
    for (const name of ["config", "keys"]) await mkdir(volume(name), { mode: 0o755 });
    await swapVolume(volume("config"), { "latchkey.yaml": configWith("- { match: GET /old, public: true }") });
    await swapVolume(volume("keys"), { "keys.yaml": keysWith("active") });
    app = await createMount({ "app.cjs": APP });
    await podman("pod", "create", "--name", POD, "--network", "none");
    sidecar = await startContainer([
      ...["--pod", POD, ...LOCKED_DOWN],
      ...["--volume", `${volume("config")}:/etc/latchkey:ro`, "--volume", `${volume("keys")}:/run/keys:ro`],
    ]);
    await sidecar.waitForLine(isReady);
    const [, base] = await namedBases();
    await podman("run", "--detach", "--pod", POD, "--volume", `${app.path}:/srv:ro`, base, "/srv/app.cjs");
    neighbour = await joinNeighbour(sidecar.pid);
  });
  afterAll(async () => {
    await neighbour?.remove();
    await attempt("podman", ["pod", "rm", "--force", "--time", "0", POD]);
    await app?.remove();
    await rm(volumes.path, { recursive: true, force: true });
  });

  /** Status and body of a request from the other host. */
  async function ask(path: string, credential?: string): Promise<string> {
    const key = credential === undefined ? [] : ["--header", `Authorization: Bearer ${credential}`];
    const url = `http://${neighbour.podAddress}:8080${path}`;
    return neighbour.run("curl", "--silent", "--write-out", " %{http_code}", ...key, url);
  }

  test("lets requests with a key through to the app, which hears whose it is", async () => {
    await eventually(async () => (await ask("/orders", STEADY)).endsWith(" 200"), "the app does not answer");
    expect(await ask("/orders?page=2", STEADY)).toBe('{"path":"/orders?page=2","key":"steady"} 200');
    expect(await ask("/orders")).toMatch(/"code":"credential_missing".* 401$/);
    expect(await ask("/orders", "pod_00000000000000000000000000000000")).toMatch(/"code":"key_unknown".* 401$/);
  });

  test("shows other hosts one port, the sidecar's, though the app and the admin port are open within", async () => {
    // A listening socket has state 0A in these tables. There is no other in the pod.
    const tables = await Promise.all(
      ["tcp", "tcp6"].map((name) => readFile(`/proc/${sidecar.pid}/net/${name}`, "utf8")),
    );
    const listening = tables.flatMap((table) => [...table.matchAll(/^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A /gm)]);
    expect(listening.map(([, address, port = ""]) => `${address}:${Number.parseInt(port, 16)}`).sort()).toEqual([
      "00000000:8080",
      "0100007F:3000",
      "0100007F:9090",
    ]);
    expect(await ask("/orders", STEADY)).toMatch(/ 200$/);
    for (const port of [3000, 9090]) {
      const knock = neighbour.run(
        "curl",
        "--silent",
        "--max-time",
        "10",
        `http://${neighbour.podAddress}:${port}/livez`,
      );
      await expect(knock).rejects.toThrow(`ended with ${CURL_REFUSED}`);
    }
  });

  test("takes up a ConfigMap that the kubelet swaps", async () => {
    expect(await ask("/new")).toMatch(/ 401$/);
    await swapVolume(volume("config"), { "latchkey.yaml": configWith("- { match: GET /new, public: true }") });
    await eventually(async () => (await ask("/new")).endsWith(" 200"), "the new route is not in force");
    expect(await ask("/new")).toBe('{"path":"/new","key":null} 200');
    expect(await ask("/old")).toMatch(/ 401$/);
  });

  test("revokes a key with the Secret that the kubelet swaps, and no other", async () => {
    expect(await ask("/orders", DOOMED)).toBe('{"path":"/orders","key":"doomed"} 200');
    await swapVolume(volume("keys"), { "keys.yaml": keysWith("revoked") });
    await eventually(async () => (await ask("/orders", DOOMED)).endsWith(" 401"), "the key is not revoked");
    expect(await ask("/orders", DOOMED)).toContain('"code":"key_revoked"');
    expect(await ask("/orders", STEADY)).toMatch(/ 200$/);
  });
});
