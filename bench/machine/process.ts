import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";

/** Which core a process is held to. The proxy has one to itself; load and upstream share the other. */
export const CORES = { proxy: "0", load: "1" } as const;

// None outlives this process, however it ends.
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

export interface RunningProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it said on standard error, once it has ended; undefined while it runs. */
  readonly findEnd: () => string | undefined;
  readonly stop: () => Promise<void>;
}

interface StartOptions {
  readonly core: keyof typeof CORES;
  /** Where standard output goes: nowhere, or to the caller. Standard error is always kept. */
  readonly output?: "none" | "pipe";
  readonly errorFile: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a program held to one core. `taskset` becomes the program, so the pid is the program's. */
export function startPinned(command: readonly string[], options: StartOptions): RunningProcess {
  const child = spawn("taskset", ["-c", CORES[options.core], ...command], {
    stdio: ["ignore", options.output === "pipe" ? "pipe" : "ignore", openSync(options.errorFile, "w")],
    env: { ...process.env, ...options.env },
  });
  if (child.pid === undefined) throw new Error(`cannot start ${command[0]}: is taskset there (util-linux)?`);
  track(child);
  return {
    pid: child.pid,
    child,
    findEnd: () => {
      if (child.exitCode === null && child.signalCode === null) return undefined;
      return `${command[0]} ended with ${child.exitCode}: ${readFileSync(options.errorFile, "utf8")}`;
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      const impatient = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await exited;
      clearTimeout(impatient);
    },
  };
}

// HAProxy and Latchkey let what is in flight finish; nothing is, by then.
const STOP_MS = 3_000;

/** Runs a program held to the load's core, to its end; its standard output. */
export async function runPinned(command: readonly string[]): Promise<string> {
  const child = spawn("taskset", ["-c", CORES.load, ...command], { stdio: ["ignore", "pipe", "pipe"] });
  track(child);
  let [output, problem] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    problem += text;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command.slice(0, 2).join(" ")} ended with ${code}: ${problem}${output}`);
  return output;
}

function track(child: ChildProcess): void {
  running.add(child);
  child.once("exit", () => running.delete(child));
}
