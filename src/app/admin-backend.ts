import type { AdminBackend } from "../admin/admin-listener.ts";
import type { Authorizer } from "../admin/authorizer.ts";
import { createProber } from "../admin/probe.ts";
import { publicJwk } from "../proxy/assertion.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { formatTotal } from "../telemetry/metrics-total.ts";
import type { DataPlane } from "./data-plane.ts";
import type { Reloader } from "./reloader.ts";
import type { ShadowKeeper } from "./shadow.ts";

export interface AdminBackendOptions {
  readonly reloader: Reloader;
  readonly shadow: ShadowKeeper;
  readonly plane: Pick<DataPlane, "isListening" | "metrics">;
  readonly metrics: Metrics;
  readonly authorize: Authorizer;
  readonly isDraining: () => boolean;
  /** Begins to drain, unless it does already; since when it does, by the wall clock. */
  readonly announceDrain: () => number;
}

/** What the admin listener can ask of this process. */
export function createAdminBackend(options: AdminBackendOptions): AdminBackend {
  const { reloader, shadow, plane, metrics, authorize, isDraining, announceDrain } = options;
  const settings = () => reloader.current().settings;
  return {
    settings: () => settings().admin,
    readiness: () => ({
      ready: !isDraining() && plane.isListening(),
      detail: {
        status: isDraining() ? "draining" : plane.isListening() ? "ready" : "starting",
        revision: reloader.current().policy.revision,
        since: new Date(reloader.sinceMs()).toISOString(),
        lastReload: reloader.lastReload(),
        lastGoodCopy: reloader.lastGoodCopy(),
      },
    }),
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      text: await formatTotal(metrics.registry, await plane.metrics()),
    }),
    jwks: async () => {
      const { assertion } = settings().identity;
      return assertion === undefined ? [] : [await publicJwk(assertion)];
    },
    probe: (path) => createProber(settings().upstream)(path),
    reload: async () => ({ ...(await reloadBoth(reloader, shadow)) }),
    shadow: shadow.report,
    drain: {
      tokenSha256: () => settings().drain.tokenSha256,
      announce: () => ({ status: "draining", since: new Date(announceDrain()).toISOString() }),
    },
    authorize,
    maxHeaderBytes: settings().listen.maxHeaderBytes,
  };
}

/** Asked for by a person, who may mean the candidate; a watched change names its own file. */
export async function reloadBoth(reloader: Reloader, shadow: ShadowKeeper): ReturnType<Reloader["reload"]> {
  const outcome = await reloader.reload();
  await shadow.reload();
  return outcome;
}
