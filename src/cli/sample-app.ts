import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Terminal } from "./terminal.ts";

/** The sample app as a process of its own, as a real app would be. */
export interface SampleApp {
  readonly stop: () => Promise<void>;
  /** Ends at once, for when this process is itself at its end. */
  readonly kill: () => void;
}

export type StartedApp =
  | { readonly kind: "started"; readonly app: SampleApp }
  | { readonly kind: "failed"; readonly problem: string };

// The app itself knows of no parent: when this process is killed outright, its end of the channel closes.
const END_WITH_PARENT = `data:text/javascript,${encodeURIComponent(
  'process.once("disconnect", () => process.exit()); process.channel.unref();',
)}`;

/** Starts the app on a loopback port and waits until it says that it listens. */
export async function startSampleApp(file: string, port: number, env: Terminal["env"]): Promise<StartedApp> {
  const child = fork(file, [], {
    env: { ...env, HOST: "127.0.0.1", PORT: String(port) },
    execArgv: ["--import", END_WITH_PARENT],
    // A group of its own: Ctrl-C reaches Latchkey alone, which lets requests finish before the app ends.
    detached: true,
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  const said = await Promise.race([firstOutput(child), once(child, "exit").then(() => undefined)]);
  if (said === undefined) return { kind: "failed", problem: `the sample app ended before it listened (${file})` };
  child.stdout?.resume();
  return {
    kind: "started",
    app: {
      stop: async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, "exit");
        child.kill("SIGTERM");
        await exited;
      },
      kill: () => void child.kill("SIGKILL"),
    },
  };
}

async function firstOutput(child: ChildProcess): Promise<string | undefined> {
  if (child.stdout === null) return undefined;
  const [chunk] = await once(child.stdout, "data");
  return String(chunk);
}
