import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

// Kept between runs, so that only what changed is built again. Apart from the user's own images.
export const ROOT = "/var/tmp/latchkey-image-tests";
export const IMAGE = "localhost/latchkey:test";

const run = promisify(execFile);
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

/** Storage and settings of the engine for these tests alone, in a form that needs no service and no systemd. */
export function engineEnv(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    CONTAINERS_STORAGE_CONF: join(ROOT, "storage.conf"),
    CONTAINERS_CONF: join(ROOT, "containers.conf"),
    // Builds without nested namespaces, which a CI container may not make.
    BUILDAH_ISOLATION: "chroot",
  };
}

export function writeEngineSettings(): void {
  mkdirSync(ROOT, { recursive: true });
  writeFileSync(
    join(ROOT, "storage.conf"),
    `[storage]\ndriver = "overlay"\ngraphroot = "${ROOT}/storage"\nrunroot = "${ROOT}/run"\n`,
  );
  writeFileSync(
    join(ROOT, "containers.conf"),
    `[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\nlog_driver = "k8s-file"\n` +
      // crun refuses the hybrid cgroups of many CI machines.
      `[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\ntmp_dir = "${ROOT}/tmp"\n`,
  );
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, whatever its exit code. */
export async function attempt(command: string, args: readonly string[]): Promise<Ran> {
  try {
    const { stdout, stderr } = await run(command, args, { env: engineEnv(), maxBuffer: OUTPUT_LIMIT_BYTES });
    return { code: 0, stdout, stderr };
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "number") throw error;
    const { stdout, stderr } = Object.assign({ stdout: "", stderr: "" }, error);
    return { code: error.code, stdout, stderr };
  }
}

/** Runs a command that must succeed, and gives its standard output without the line's end. */
export async function must(command: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await attempt(command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
  return stdout.trimEnd();
}

export const podman = (...args: readonly string[]): Promise<string> => must("podman", ...args);
export const buildah = (...args: readonly string[]): Promise<string> => must("buildah", ...args);
