import { availableParallelism } from "node:os";
import { openAdminListener } from "../admin/admin-listener.ts";
import { createAuthorizer } from "../admin/authorizer.ts";
import type { Diagnostic } from "../config/diagnostics.ts";
import type { Overrides } from "../config/load.ts";
import { findFileMounts } from "../config/read-mounts.ts";
import { judgeRemoval } from "../config/reload-guard.ts";
import type { Configuration, Settings, SocketAddress } from "../config/settings.ts";
import { createBucketTable } from "../policy/bucket-table.ts";
import { createShadowBuckets } from "../policy/shadow.ts";
import type { Clock } from "../proxy/clock.ts";
import { codeOf } from "../proxy/forward-failure.ts";
import type { LineBytes } from "../telemetry/line-batches.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createAdminBackend, reloadBoth } from "./admin-backend.ts";
import { createBcryptVerifier } from "./bcrypt-verifier.ts";
import { openDataPlane } from "./data-plane.ts";
import type { Drained } from "./drain.ts";
import { beginServing } from "./engine.ts";
import { type Begun, loadFirst, readerOf } from "./first-load.ts";
import { createFlag } from "./flag.ts";
import { openFleet } from "./fleet.ts";
import { createUtilization, giveBackMemory, giveBackOnceQuiet } from "./give-back.ts";
import { createKeyOperations } from "./key-operations.ts";
import { createLoader, type Loader } from "./loader.ts";
import { type Reloader, startReloader } from "./reloader.ts";
import { createShadowKeeper, type ShadowOptions } from "./shadow.ts";
import { readFirstTls, renewTls } from "./tls-material.ts";
import { boundGarbage } from "./young-generation.ts";

export interface ServeOptions {
  readonly configFile: string;
  readonly overrides: Overrides;
  /** A directory for copies of good configurations, to start from when the files are bad. */
  readonly lastGood?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Made once the config has said how much to log. */
  readonly createLog: (configuration: Configuration) => Log;
  readonly metrics: Metrics;
  /** Writes lines of the log that another thread made. */
  readonly writeLines: (lines: LineBytes) => void;
  readonly version: string;
}

export type Served =
  | { readonly kind: "serving"; readonly process: ServingProcess }
  | { readonly kind: "rejected"; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: "failed"; readonly problem: string };

/** A Latchkey that takes requests. */
export interface ServingProcess {
  readonly listenAddress: SocketAddress;
  readonly adminAddress: SocketAddress | undefined;
  /** How many threads answer requests. */
  readonly workers: number;
  readonly log: Log;
  readonly warnings: readonly Diagnostic[];
  /** When the copy was made that is in force since the files were bad at the start; undefined when they were good. */
  readonly lastGoodCopy: string | undefined;
  readonly reload: Reloader["reload"];
  /** Fails readiness at once, finishes what is in flight and closes everything. */
  readonly stop: () => Promise<Drained>;
}

/**
 * Loads the config, opens both listeners and keeps the policy that of the files: the composition root.
 *
 * - the data plane answers requests, in this thread (`data-plane.ts`) or in several (`fleet.ts`)
 * - the reloader keeps the configuration in force that of the files (`reloader.ts`), the shadow keeper a candidate's
 * - the admin listener tells of both (`admin-backend.ts`)
 */
export async function serve(options: ServeOptions): Promise<Served> {
  const { configFile, overrides, env, lastGood, clock } = options;
  const loaderOptions = { overrides, env, clock, workerUrl: workerUrl("load-worker") };
  const loader = createLoader({ ...loaderOptions, configFile, isStarting: true });
  // What a start that fails has to close again: whatever of it went on would answer requests without health or drain.
  const opened = new AsyncDisposableStack();
  opened.defer(loader.close);
  const begun = await loadFirst(loader, lastGood, env);
  if (begun.kind === "rejected") {
    await opened.disposeAsync();
    return begun;
  }
  try {
    const loadCandidate: ShadowOptions["load"] = (file, basis) =>
      createLoader({ ...loaderOptions, configFile: file, isStarting: false }).load({ basis });
    return { kind: "serving", process: await start(begun, loader, loadCandidate, options, opened) };
  } catch (error) {
    await opened.disposeAsync();
    return { kind: "failed", problem: describeStartFailure(error) };
  }
}

async function start(
  { first, fallback }: Begun,
  loader: Loader,
  loadCandidate: ShadowOptions["load"],
  options: ServeOptions,
  opened: AsyncDisposableStack,
): Promise<ServingProcess> {
  const { clock, metrics, lastGood } = options;
  const { configuration } = first;
  const { listen, admin } = configuration.settings;
  const log = options.createLog(configuration);
  const verifier = createBcryptVerifier(workerUrl("bcrypt-worker"));
  opened.defer(verifier.close);
  const threads = countThreads(configuration.settings);
  const draining = createFlag();
  const shared = {
    draining,
    tls: await readFirstTls(listen, readerOf(fallback), lastGood, log),
    verifier,
    keyOperations: createKeyOperations({
      policy: () => reloader.current().policy,
      slowHash: verifier.hash,
      now: clock.now,
      reload: () => reloader.reload(),
    }),
    log,
    metrics,
    clock,
  };
  const { writeLines, version } = options;
  if (threads > 1) beginServing();
  const plane =
    threads === 1
      ? await openDataPlane({
          ...shared,
          configuration,
          state: {
            buckets: createBucketTable(),
            failures: createBucketTable(),
            verified: verifier.verified,
            slowHashes: verifier,
          },
          shadowBuckets: createShadowBuckets(),
        })
      : await openFleet({ ...shared, first, threads, workerUrl: workerUrl("plane-worker"), writeLines, version });
  opened.defer(plane.close);
  const shadow = createShadowKeeper({
    load: loadCandidate,
    compareWith: plane.compareWith,
    numbers: plane.shadowNumbers,
    log,
    metrics,
    now: clock.now,
  });
  const reloader = startReloader(first, fallback, {
    loader,
    lastGood,
    log,
    metrics,
    clock,
    guard: ({ comparison, configuration }) =>
      comparison === undefined ? [] : judgeRemoval(comparison.removal, configuration, options.configFile),
    takeUp: async (next) => {
      await plane.takeUp(next);
      void shadow.follow(next.configuration);
    },
    afterAttempt: () => renewTls(reloader.current().settings.listen, plane.renewTls, log),
  });
  opened.defer(reloader.close);
  let drainBegan: { readonly atMs: number; readonly elapsedMs: number } | undefined;
  const beginDrain = () => {
    draining.raise();
    drainBegan ??= { atMs: clock.now(), elapsedMs: clock.elapsed() };
    return drainBegan;
  };
  const drainDelayMs = (): number => reloader.current().settings.drain.delayMs;
  const announceDrain = (): number => {
    const isNews = !draining.isRaised();
    const { atMs } = beginDrain();
    if (isNews) log.info({ delayMs: drainDelayMs() }, "draining announced");
    return atMs;
  };
  const authorize = createAuthorizer(plane.gateway, (cause, { address }) => {
    metrics.callRefused(cause);
    log.warn({ cause, peer: address.text }, "call to the authoriser refused");
  });
  const backend = createAdminBackend({
    reloader,
    shadow,
    plane,
    metrics,
    authorize,
    isDraining: draining.isRaised,
    announceDrain,
  });
  const adminListener = admin === undefined ? undefined : await openAdminListener(admin, backend);
  if (adminListener !== undefined) opened.defer(adminListener.close);
  const mounts = await findFileMounts(first.files);
  // Nothing fails from here on, and a candidate may take a while to load.
  void shadow.follow(configuration);
  // The last step: nothing after it asks Node for a module.
  beginServing();
  if (threads === 1) boundGarbage();
  const givingBack = giveBackOnceQuiet({ clock, utilization: createUtilization(), giveBack: giveBackMemory });
  return {
    listenAddress: plane.address,
    adminAddress: adminListener?.address,
    workers: threads,
    log,
    warnings: [...first.warnings, ...mounts],
    lastGoodCopy: fallback?.keptAt,
    reload: () => reloadBoth(reloader, shadow),
    stop: async () => {
      const sinceMs = beginDrain().elapsedMs;
      givingBack.cancel();
      reloader.close();
      shadow.close();
      // What was waited since it was announced is not waited again.
      const drained = await plane.drain(Math.max(0, Math.ceil(drainDelayMs() - (clock.elapsed() - sinceMs))));
      await Promise.all([plane.close(), verifier.close(), loader.close()]);
      adminListener?.close();
      return drained;
    },
  };
}

/** As many threads as there are processors for `auto`, where threads can share what is listened on. */
function countThreads({ workers, listen, upstream }: Settings): number {
  if (workers !== "auto") return workers;
  return listen.address.kind === "unix" ? 1 : Math.min(availableParallelism(), upstream.maxConnections);
}

/** The workers stand beside this module, built or not. */
function workerUrl(name: "bcrypt-worker" | "load-worker" | "plane-worker"): URL {
  return new URL(`./${name}.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url);
}

function describeStartFailure(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return `${message}. Another process listens there; choose another address with --listen or --admin`;
    case "ENOTSUP":
      return `${message}. This system lets no two threads listen on one port; set workers to 1`;
    case "EACCES":
      return isOfPath(error)
        ? `${message}. This user may not write to the directory of the socket, or not enter it; choose another path, or change its mode`
        : `${message}. Ports below 1024 need a privilege; listen on a higher one`;
    default:
      return message;
  }
}

/** Whether what failed was a socket in the file system. */
function isOfPath(error: unknown): boolean {
  return error instanceof Error && "address" in error && String(error.address).startsWith("/");
}
