import { get } from "node:http";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { RunningProcess } from "./process.ts";

/** A port nobody listens on. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof bound !== "object" || bound === null) throw new Error("no port to be had");
  return bound.port;
}

const RETRY_MS = 20;
// A million keys, or five thousand routes, are ready after some 15 s on a core of their own; on a busy one later.
const DEADLINE_MS = 300_000;

/** Resolves at the first 200, and says what came instead when none does. */
export async function waitUntilAnswering(
  { findEnd }: RunningProcess,
  port: number,
  headers: Readonly<Record<string, string>>,
  path: string = PROBE_PATH,
): Promise<void> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  let last = "nothing";
  while (performance.now() < deadlineMs) {
    last = await ask(port, path, headers);
    if (last === "200") return;
    const end = findEnd();
    if (end !== undefined) throw new Error(end);
    // Anything but a closed port is an answer, and will not get better.
    if (/^\d/.test(last) && last !== "503") break;
    await pause(RETRY_MS);
  }
  throw new Error(`port ${port} answers ${last} instead of 200`);
}

function ask(port: number, path: string, headers: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve) => {
    const request = get({ host: "127.0.0.1", port, path, headers, agent: false }, (response) => {
      response.resume().on("end", () => resolve(String(response.statusCode)));
    });
    request.on("error", (error) => resolve(error.message));
  });
}

/** The path every request of a comparison asks for. */
export const PROBE_PATH = "/api/v1/orders/4711";
