import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeBases } from "./bases.ts";
import { runToEnd } from "./container.ts";
import { attempt, IMAGE, must, ROOT, writeEngineSettings } from "./engine.ts";

const PROJECT = new URL("../../", import.meta.url).pathname;
const NEEDED = [
  "buildah",
  "podman",
  "runc",
  "mmdebstrap",
  "catatonit",
  "nsenter",
  "ip",
  "curl",
  "docker-registry",
  "qemu-aarch64-static",
];

/** Builds the image once for all of these tests, as a user's `docker build` would. */
export async function setup(): Promise<void> {
  await checkMachine();
  writeEngineSettings();
  await makeBases();
  await buildImage();
  const { code, stderr } = await runToEnd([], ["--version"]);
  if (code !== 0) throw new Error(`Containers cannot be run here, so the image tests cannot either:\n${stderr}`);
}

async function checkMachine(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("The image tests need root: they make containers and namespaces");
  const missing: string[] = [];
  for (const name of NEEDED) {
    const { code } = await attempt("sh", ["-c", `command -v ${name}`]);
    if (code !== 0) missing.push(name);
  }
  if (missing.length > 0) {
    throw new Error(
      `The image tests need ${missing.join(", ")}: apt-get install -y buildah podman runc catatonit mmdebstrap iproute2 util-linux curl docker-registry qemu-user-static`,
    );
  }
}

export async function buildImage(...more: readonly string[]): Promise<void> {
  const tag = more.includes("--tag") ? [] : ["--tag", IMAGE];
  await must(
    ...(["buildah", "bud", "--pull-never", "--format", "docker", "--layers"] as const),
    ...ownAuthority(),
    ...["--build-arg", "REVISION=0123456789abcdef", ...tag, ...more, PROJECT],
  );
}

/** On a network with a certificate authority of its own, the build's npm must know it as this machine's Node does. */
export function ownAuthority(): readonly string[] {
  const authority = process.env["NODE_EXTRA_CA_CERTS"] ?? "";
  if (authority === "") return [];
  const npmrc = join(ROOT, "npmrc");
  writeFileSync(npmrc, "cafile=/etc/npm-authority.crt\n");
  return ["--volume", `${authority}:/etc/npm-authority.crt:ro`, "--volume", `${npmrc}:/root/.npmrc:ro`];
}
