import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createFolder, type LogLine } from "../e2e/harness.ts";
import { attempt, IMAGE, podman, type Ran } from "./engine.ts";

/** As docs/image.md says to run it: nothing a container can go without. */
export const LOCKED_DOWN = [
  ...["--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt", "no-new-privileges"],
  ...["--memory", "128m", "--memory-swap", "128m", "--cpus", "0.5", "--pids-limit", "64"],
];

export interface Container {
  readonly id: string;
  /** Its first process, as the host counts. */
  readonly pid: number;
  readonly lines: () => Promise<readonly LogLine[]>;
  readonly waitForLine: (fits: (line: LogLine) => boolean) => Promise<LogLine>;
  /** Resolves with the exit code. */
  readonly signal: (name: string) => Promise<number>;
  readonly remove: () => Promise<void>;
}

const POLL_MS = 20;
const DEADLINE_MS = 15_000;

/** Starts the image in the background; `args` are podman's, `command` the image's. */
export async function startContainer(args: readonly string[], command: readonly string[] = []): Promise<Container> {
  const id = await podman("run", "--detach", ...args, IMAGE, ...command);
  const pid = Number(await podman("inspect", "--format", "{{.State.Pid}}", id));
  const lines = async (): Promise<readonly LogLine[]> => parseLines((await attempt("podman", ["logs", id])).stdout);
  return {
    id,
    pid,
    lines,
    waitForLine: async (fits) => {
      let found: LogLine | undefined;
      await eventually(async () => {
        found = (await lines()).find(fits);
        return found !== undefined;
      }, `no such line in the log of ${id}`);
      return found ?? {};
    },
    signal: async (name) => {
      const ended = podman("wait", id);
      await podman("kill", "--signal", name, id);
      return Number(await ended);
    },
    remove: async () => {
      await attempt("podman", ["rm", "--force", "--time", "0", id]);
    },
  };
}

/** Runs the image to its end. */
export function runToEnd(args: readonly string[], command: readonly string[] = []): Promise<Ran> {
  return attempt("podman", ["run", "--rm", ...args, IMAGE, ...command]);
}

export const isReady = (line: LogLine): boolean => line["msg"] === "ready";

/** Asks again and again until it is so; fails after a deadline. */
export async function eventually(isSo: () => Promise<boolean>, otherwise: string): Promise<void> {
  const end = Date.now() + DEADLINE_MS;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(otherwise);
    await pause(POLL_MS);
  }
}

/** A folder that the container's user may read, as the kubelet and `docker run` would mount one. */
export async function createMount(files: Readonly<Record<string, string>>): Promise<{
  readonly path: string;
  readonly remove: () => Promise<void>;
}> {
  const folder = await createFolder();
  const path = join(folder.path, "mounted");
  await mkdir(path, { mode: 0o755 });
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text, { mode: 0o644 });
  return { path, remove: () => rm(folder.path, { recursive: true, force: true }) };
}

function parseLines(text: string): readonly LogLine[] {
  return text.split("\n").flatMap((line) => {
    if (!line.startsWith("{") || !line.endsWith("}")) return [];
    const parsed: unknown = JSON.parse(line);
    return typeof parsed === "object" && parsed !== null ? [{ ...parsed }] : [];
  });
}
