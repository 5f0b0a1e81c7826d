import { get as getPlain, type RequestOptions } from "node:http";
import { get as getEncrypted } from "node:https";
import type { UpstreamSettings } from "../config/settings.ts";

/** Asks one fixed path of the upstream and says with which status it answered; 502 when it did not, or with one that no HTTP has. */
export type Prober = (path: string) => Promise<number>;

// A kubelet's own default timeout is one second; a probe that takes longer than this has failed for any prober.
const PROBE_TIMEOUT_MS = 5_000;

/** For an app that listens on loopback only, where a kubelet cannot reach it. */
export function createProber(upstream: UpstreamSettings): Prober {
  const { protocol, hostname, port } = new URL(upstream.origin);
  const get = protocol === "https:" ? getEncrypted : getPlain;
  const options = {
    ...(upstream.socketPath === undefined ? { hostname, port } : { socketPath: upstream.socketPath }),
    ...(upstream.ca === undefined ? {} : { ca: upstream.ca }),
    agent: false,
  } satisfies RequestOptions & { readonly ca?: string };
  return (path) =>
    new Promise((resolve) => {
      const request = get({ ...options, path, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }, (response) => {
        response.on("error", () => resolve(502));
        response.on("end", () => resolve(toFinalStatus(response.statusCode)));
        response.resume();
      });
      request.on("error", () => resolve(502));
      // As after an answer that switches protocols, which is neither an answer nor an error.
      request.on("close", () => resolve(502));
    });
}

/** RFC 9110 §15: final statuses are these; Node's parser takes any three digits, and its server sends not all of them. */
function toFinalStatus(status: number | undefined): number {
  return status !== undefined && status >= 200 && status <= 599 ? status : 502;
}
