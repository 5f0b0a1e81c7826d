import { isDeepStrictEqual } from "node:util";
import type { Settings } from "./settings.ts";

type FixedSettings = Pick<Settings, "listen" | "admin" | "workers">;

/**
 * The settings a running process cannot take up, by the name they have in the file, and what of them
 * counts. All others are in force from the next request, or the next connection, after a reload.
 */
const FIXED_AT_START: readonly (readonly [name: string, pick: (settings: FixedSettings) => unknown])[] = [
  // Sockets are bound once: a reload must not be able to lose the port.
  ["listen.address", ({ listen }) => listen.address],
  ["admin.address", ({ admin }) => admin?.address],
  // Certificates are replaced while running; plain text and TLS are different listeners.
  ["listen.tls", ({ listen }) => listen.tls !== undefined],
  // An option of Node's HTTP parser, read when the listener is made.
  ["listen.maxHeaderBytes", ({ listen }) => listen.maxHeaderBytes],
  // Buckets move between a thread's own memory and shared memory only by being lost.
  ["workers", ({ workers }) => workers],
];

/** The names of those settings. */
export const FIXED_AT_START_NAMES: readonly string[] = FIXED_AT_START.map(([name]) => name);

/** Names the changed settings that only a restart brings into force. */
export function restartNeeded(old: FixedSettings, next: FixedSettings): readonly string[] {
  return FIXED_AT_START.filter(([, pick]) => !isDeepStrictEqual(pick(old), pick(next))).map(([name]) => name);
}
