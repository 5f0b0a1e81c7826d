import type { Contender } from "./contenders/contender.ts";
import { createCredentials } from "./contenders/latchkey.ts";
import type { RunningProcess } from "./machine/process.ts";
import { progress } from "./machine/progress.ts";
import { findFreePort, PROBE_PATH, waitUntilAnswering } from "./machine/ready.ts";
import type { Load } from "./measure/wrk.ts";
import type { Settings } from "./report.ts";

/** A contender that runs and answers. */
export interface Entrant {
  readonly contender: Contender;
  readonly port: number;
  readonly running: RunningProcess;
}

/** What is the same for every contender. */
export interface Course {
  readonly settings: Settings;
  readonly credentials: readonly string[];
  /** The one that is presented. */
  readonly credential: string;
  readonly folder: string;
}

/** The same for all that are measured together. */
export function layCourse(settings: Settings, folder: string): Course {
  const credentials = createCredentials(settings.keys);
  return { settings, credentials, credential: credentials[settings.keys >> 1] ?? "", folder };
}

export async function enter(contender: Contender, upstreamPort: number, course: Course): Promise<Entrant> {
  progress(`start ${contender.label}`);
  const { credentials, credential, folder } = course;
  const port = await findFreePort();
  const running = await contender.start({ port, upstreamPort, credentials, folder });
  try {
    await waitUntilAnswering(running, port, { "X-API-Key": credential });
  } catch (error) {
    await running.stop();
    throw error;
  }
  return { contender, port, running };
}

/** One path, by one key, for so long. */
export function toLoad({ port }: Entrant, { settings, credential }: Course, seconds: number): Load {
  return { port, connections: settings.connections, seconds, requests: [{ path: PROBE_PATH, credential }] };
}
