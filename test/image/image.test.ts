import { lstat, readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { namedBases } from "./bases.ts";
import { IMAGE, must, podman } from "./engine.ts";
import { buildImage } from "./setup.ts";

const PROJECT = new URL("../../", import.meta.url).pathname;
// Of the application itself, without the base: what a node pulls again at every release.
const APPLICATION_LIMIT_BYTES = 15_000_000;

interface Reference {
  readonly ref: string;
  readonly dependsOn: readonly string[];
}

interface Inspected {
  readonly Size: number;
  readonly Architecture: string;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

async function inspect(image: string): Promise<Inspected> {
  const [first] = JSON.parse(await podman("image", "inspect", image));
  return first;
}

test("runs as a user of its own by number, in exec form, and ends at SIGTERM", async () => {
  const { Config, Healthcheck } = await inspect(IMAGE);
  expect(Config).toMatchObject({
    User: "65532:65532",
    WorkingDir: "/app",
    Entrypoint: ["node", "/app/dist/main.js"],
    Cmd: ["serve"],
    StopSignal: "SIGTERM",
    ExposedPorts: { "8080/tcp": {}, "9090/tcp": {} },
  });
  expect(Healthcheck.Test).toEqual(["CMD", "node", "/app/dist/main.js", "healthcheck"]);
});

test("sets no variable that beats a mounted file", async () => {
  const { Config } = await inspect(IMAGE);
  const names = [Config["Env"]].flat().map((entry) => String(entry).split("=")[0]);
  expect(names.sort()).toEqual(["LATCHKEY_CONFIG", "MALLOC_ARENA_MAX", "NODE_ENV", "PATH"]);
});

test("says by OCI labels what it is", async () => {
  const { Labels } = await inspect(IMAGE);
  const { version, license } = JSON.parse(await readFile(join(PROJECT, "package.json"), "utf8"));
  const [, base] = await namedBases();
  expect(Labels).toMatchObject({
    "org.opencontainers.image.title": "latchkey",
    "org.opencontainers.image.description": expect.stringContaining("API-key"),
    "org.opencontainers.image.licenses": license,
    "org.opencontainers.image.version": version,
    "org.opencontainers.image.revision": "0123456789abcdef",
    "org.opencontainers.image.base.name": base,
  });
});

test("adds at most 15 MB to its base", async () => {
  const [, base] = await namedBases();
  const [image, below] = await Promise.all([inspect(IMAGE), inspect(base)]);
  expect(image.Size - below.Size).toBeGreaterThan(1_000_000);
  expect(image.Size - below.Size).toBeLessThan(APPLICATION_LIMIT_BYTES);
});

test("is described by a Dockerfile that a linter finds nothing in", async () => {
  // Its exit code is 0 with warnings too.
  const linter = join(PROJECT, "node_modules/.bin/dockerfile-utils");
  expect(await must(linter, "lint", join(PROJECT, "Dockerfile"))).toBe("");
});

test("holds the same program on every architecture, and needs to run nothing there", async () => {
  const foreign = "localhost/latchkey:arm64";
  const builder = `linux/${await podman("info", "--format", "{{.Host.Arch}}")}`;
  await buildImage(
    ...["--platform", "linux/arm64", "--build-arg", `BUILDPLATFORM=${builder}`, "--target", "cold"],
    // Nothing of the base is run or read, so that there need not be one.
    ...["--build-arg", "RUNTIME_IMAGE=scratch", "--tag", foreign],
  );
  expect(await inspect(foreign)).toMatchObject({ Architecture: "arm64" });
  const [there, here] = [await podman("image", "mount", foreign), await podman("image", "mount", IMAGE)];
  try {
    // The bill says when it was made.
    const exclude = ["--exclude=compiled", "--exclude=sbom.cdx.json"];
    expect(await must("diff", "--recursive", ...exclude, join(there, "app"), join(here, "app"))).toBe("");
  } finally {
    await podman("image", "unmount", foreign, IMAGE);
  }
});

describe("its files", () => {
  let root = "";
  let files: readonly string[] = [];
  beforeAll(async () => {
    root = await podman("image", "mount", IMAGE);
    files = (await readdir(join(root, "app"), { recursive: true })).sort();
  });
  afterAll(() => podman("image", "unmount", IMAGE));

  test("are the built program, what V8 compiled of it, and its licences: no sources, no packages", async () => {
    expect(new Set(files.map((file) => file.split("/")[0]))).toEqual(new Set(["LICENSE", "dist", "package.json"]));
    const isCompiled = (file: string) => file.startsWith("dist/compiled/");
    const built = files.filter((file) => file.startsWith("dist/") && !isCompiled(file));
    const endings = new Set(built.map((file) => extname(file)));
    // A directory has none. No `.node`: nothing in it is for one architecture.
    expect(endings).toEqual(new Set(["", ".js", ".json", ".txt", ".yaml"]));
    const compiled = files.filter(isCompiled).map((file) => file.replace("/compiled/", "/").replace(/\.v\d.*$/, ""));
    expect(compiled).toEqual(built.filter((file) => /-[A-Z0-9]{8}\.js$/.test(file)));
  });

  test("belong to root, and nobody else may write them", async () => {
    for (const file of files) {
      const { uid, gid, mode } = await lstat(join(root, "app", file));
      expect({ file, uid, gid, writable: mode & 0o022 }).toEqual({ file, uid: 0, gid: 0, writable: 0 });
    }
  });

  test("hold a bill of materials that names every package in the bundle, and no other", async () => {
    const bill = JSON.parse(await readFile(join(root, "app/dist/sbom.cdx.json"), "utf8"));
    expect(bill).toMatchObject({
      bomFormat: "CycloneDX",
      metadata: {
        component: { type: "application", name: "latchkey", purl: expect.stringMatching(/^pkg:npm\/latchkey@/) },
      },
    });
    const components: readonly { name: string; version: string; licenses: unknown }[] = bill.components;
    const named = components.map(({ name, version }) => `${name} ${version}`);
    const licences = await readFile(join(root, "app/dist/THIRD-PARTY-LICENSES.txt"), "utf8");
    const bundled = [...licences.matchAll(/^(\S+ \d+\.\d+\.\d+\S*) \(.+\)$/gm)].map(([, name]) => name);
    expect(bundled.length).toBeGreaterThan(10);
    expect(named.toSorted()).toEqual(bundled.toSorted());
    expect(components.filter(({ licenses }) => licenses === undefined)).toEqual([]);
    const references = bill.dependencies.flatMap(({ ref, dependsOn }: Reference) => [ref, ...dependsOn]);
    const { version } = JSON.parse(await readFile(join(PROJECT, "package.json"), "utf8"));
    const known = [`latchkey ${version}`, ...named].map((one) => one.replace(" ", "@"));
    expect(new Set(references)).toEqual(new Set(known));
  });
});
