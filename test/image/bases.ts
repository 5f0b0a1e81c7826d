import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { attempt, buildah, must, ROOT } from "./engine.ts";

const PROJECT = new URL("../../", import.meta.url).pathname;
const NODE = join(PROJECT, "node_modules/node/bin/node");
const SUITE = "bookworm";
/** The image of the sample apps in the manifests. */
export const APP_BASE = "docker.io/library/python:3.13-slim";
const ROOT_ENTRY = "root:x:0:0:root:/root:/sbin/nologin\n";
const MIRROR = "http://deb.debian.org/debian";

/** The images that the Dockerfile's `ARG …_IMAGE=` name, in the order in which they stand there. */
export async function namedBases(): Promise<readonly [build: string, runtime: string]> {
  const dockerfile = await readFile(join(PROJECT, "Dockerfile"), "utf8");
  const [build, runtime] = ["NODE_IMAGE", "RUNTIME_IMAGE"].map(
    (name) => new RegExp(`^ARG ${name}=(\\S+)$`, "m").exec(dockerfile)?.[1],
  );
  if (build === undefined || runtime === undefined) throw new Error("the Dockerfile names no base images");
  return [build, runtime];
}

/**
 * Images under the names of the real bases, for a machine that reaches no image registry: the same libraries from
 * Debian, and the same Node from npm, at the places where the real ones have them.
 */
export async function makeBases(): Promise<void> {
  const [build, runtime] = await namedBases();
  const node = await must(NODE, "--version");
  if (!(await isThere(build, node))) await makeBuildBase(build, node);
  if (!(await isThere(runtime, node))) await makeRuntimeBase(runtime, node);
  if (!(await isThere(APP_BASE, SUITE))) await makeAppBase();
}

/** What an image was made of is in a label, so that it is made anew when that changes. */
async function isThere(image: string, made: string): Promise<boolean> {
  const { code, stdout } = await attempt("buildah", [
    ...["inspect", "--type", "image", "--format", '{{index .OCIv1.Config.Labels "stand-in"}}', image],
  ]);
  return code === 0 && stdout.trim() === made;
}

/** Python of the suite, for the apps and workers of the manifests. */
async function makeAppBase(): Promise<void> {
  const root = await extractDebian(["python3-minimal", "libpython3-stdlib"]);
  await commit(root, APP_BASE, SUITE, ["--env", "PATH=/usr/local/bin:/usr/bin:/bin"]);
}

/** A shell, and npm: what `npm ci` and `npm run` need, and nothing they do not. */
async function makeBuildBase(image: string, node: string): Promise<void> {
  const root = await extractDebian(["dash", "coreutils"]);
  await put(NODE, join(root, "usr/local/bin/node"));
  await cp(findNpm(), join(root, "usr/local/lib/node_modules/npm"), { recursive: true });
  const npm = join(root, "usr/local/bin/npm");
  await writeFile(npm, '#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"\n');
  await chmod(npm, 0o755);
  await mkdir(join(root, "root"));
  await writeFile(join(root, "etc/passwd"), ROOT_ENTRY);
  await commit(root, image, node, ["--env", "PATH=/usr/local/bin:/usr/bin:/bin"]);
}

/** Node, what it is linked with, certificates and a user: no shell, no npm, nothing to list a directory with. */
async function makeRuntimeBase(image: string, node: string, program = NODE, architecture?: string): Promise<void> {
  const root = await extractDebian([], architecture);
  await put(program, join(root, "nodejs/bin/node"));
  await writeFile(join(root, "etc/passwd"), `${ROOT_ENTRY}nonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n`);
  const platform = architecture === undefined ? [] : ["--arch", architecture];
  const settings = [...platform, "--user", "65532", "--entrypoint", '["/nodejs/bin/node"]'];
  await commit(root, image, node, settings);
}

/** The same base with the same Node for another architecture, of which nothing has run yet. */
export async function makeForeignBase(architecture: "arm64"): Promise<string> {
  const image = `localhost/base:${architecture}`;
  const node = await must(NODE, "--version");
  if (await isThere(image, node)) return image;
  const folder = await mkdtemp(join(ROOT, "node-"));
  const wanted = `node-linux-${architecture}@${node.replace("v", "")}`;
  const tarball = await must("npm", "pack", "--silent", "--pack-destination", folder, wanted);
  await must("tar", "-xzf", join(folder, tarball), "-C", folder, "package/bin/node");
  await makeRuntimeBase(image, node, join(folder, "package/bin/node"), architecture);
  await rm(folder, { recursive: true });
  return image;
}

async function extractDebian(more: readonly string[], architecture?: string): Promise<string> {
  const root = await mkdtemp(join(ROOT, "base-"));
  const include = ["libc6", "libstdc++6", "libatomic1", "ca-certificates", ...more].join();
  const foreign = architecture === undefined ? [] : [`--architectures=${architecture}`];
  const how = ["--quiet", "--mode=root", "--variant=extract", `--include=${include}`, ...foreign];
  await must("mmdebstrap", ...how, SUITE, root, MIRROR);
  await chmod(root, 0o755);
  return root;
}

async function put(file: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await cp(file, target);
  await chmod(target, 0o755);
}

/** npm itself says where it is to whatever it runs. */
function findNpm(): string {
  const cli = process.env["npm_execpath"];
  if (cli === undefined) throw new Error("run these tests by npm: npm run test:image");
  return dirname(dirname(cli));
}

async function commit(root: string, image: string, made: string, settings: readonly string[]): Promise<void> {
  const container = await buildah("from", "scratch");
  await buildah("copy", "--quiet", container, root, "/");
  await buildah("config", "--label", `stand-in=${made}`, ...settings, container);
  await buildah("commit", "--quiet", "--format", "docker", "--rm", container, image);
  await rm(root, { recursive: true });
}
