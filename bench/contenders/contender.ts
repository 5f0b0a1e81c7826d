import type { RunningProcess } from "../machine/process.ts";

/** What every contender is given: an upstream to forward to, keys to know, a port to take, a folder to write in. */
export interface Task {
  readonly port: number;
  readonly upstreamPort: number;
  readonly credentials: readonly string[];
  readonly folder: string;
}

/** A proxy that is measured: how it is found, and how it is started for the task. */
export interface Contender {
  /** As `--only` names it. */
  readonly name: string;
  readonly label: string;
  /** What it does to a request, so that nobody compares a check with none. */
  readonly job: string;
  readonly version: () => Promise<string>;
  /** Resolves when the process runs; whether it answers yet is for the caller to find out. */
  readonly start: (task: Task) => Promise<RunningProcess>;
}

/** Ids of keys are made of the place in the list, by every contender alike. */
export const keyIdOf = (index: number): string => `key-${index}`;
