import { Client } from "undici";
import type { UpstreamSettings } from "../config/settings.ts";

/** Asks one fixed path of the upstream and says with which status it answered; 502 when it did not. */
export type Prober = (path: string) => Promise<number>;

// A kubelet's own default timeout is one second; a probe that takes longer than this has failed for any prober.
const PROBE_TIMEOUT_MS = 5_000;

/** For an app that listens on loopback only, where a kubelet cannot reach it. */
export function createProber(upstream: UpstreamSettings): Prober {
  return async (path) => {
    const client = new Client(upstream.origin, {
      headersTimeout: PROBE_TIMEOUT_MS,
      bodyTimeout: PROBE_TIMEOUT_MS,
      connect: {
        timeout: PROBE_TIMEOUT_MS,
        ...(upstream.socketPath === undefined ? {} : { socketPath: upstream.socketPath }),
        ...(upstream.ca === undefined ? {} : { ca: upstream.ca }),
      },
    });
    try {
      const { statusCode, body } = await client.request({ method: "GET", path });
      await body.dump();
      return statusCode;
    } catch {
      return 502;
    } finally {
      await client.destroy();
    }
  };
}
