import { randomUUID } from "node:crypto";
import { setImmediate as letOthersRun } from "node:timers/promises";
import { type AdminBackend, type AdminListener, openAdminListener } from "../admin/admin-listener.ts";
import { createProber } from "../admin/probe.ts";
import type { Diagnostic } from "../config/diagnostics.ts";
import type { Overrides } from "../config/load.ts";
import { findFileMounts } from "../config/read-mounts.ts";
import { guardReload } from "../config/reload-guard.ts";
import type { Configuration, ListenSettings, SocketAddress } from "../config/settings.ts";
import type { SourceIo } from "../config/source.ts";
import { createBucketTable } from "../policy/bucket-table.ts";
import { publicJwk } from "../proxy/assertion.ts";
import type { Clock, Timer } from "../proxy/clock.ts";
import type { Gateway } from "../proxy/gateway.ts";
import { type Listener, openListener, type TlsMaterial } from "../proxy/listener.ts";
import type { KeyOperations } from "../proxy/manage.ts";
import { createAccessLog, type Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { type BcryptVerifier, createBcryptVerifier } from "./bcrypt-verifier.ts";
import { type Drained, drain } from "./drain.ts";
import { loadFirst, readerOf } from "./first-load.ts";
import { type InForce, putInForce, replaceInForce } from "./in-force.ts";
import { createKeyOperations } from "./key-operations.ts";
import { createLoader, type Loader } from "./loader.ts";
import { type Reloader, startReloader } from "./reloader.ts";
import { createShadowKeeper, type ShadowKeeper } from "./shadow.ts";

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
}

export type Served =
  | { readonly kind: "serving"; readonly process: ServingProcess }
  | { readonly kind: "rejected"; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: "failed"; readonly problem: string };

/** A Latchkey that takes requests. */
export interface ServingProcess {
  readonly listenAddress: SocketAddress;
  readonly adminAddress: SocketAddress | undefined;
  readonly log: Log;
  readonly warnings: readonly Diagnostic[];
  /** When the copy was made that is in force since the files were bad at the start; undefined when they were good. */
  readonly lastGoodCopy: string | undefined;
  readonly reload: Reloader["reload"];
  /** Fails readiness at once, finishes what is in flight and closes everything. */
  readonly stop: () => Promise<Drained>;
}

/** Loads the config, opens both listeners and keeps the policy that of the files: the composition root. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { clock, metrics } = options;
  const { configFile, overrides, env, lastGood } = options;
  const loaderOptions = { overrides, env, clock, workerUrl: workerUrl("load-worker") };
  const loader = createLoader({ ...loaderOptions, configFile, isStarting: true });
  const begun = await loadFirst(loader, lastGood, env);
  if (begun.kind === "rejected") {
    await loader.close();
    return begun;
  }
  const { first, fallback } = begun;
  const log = options.createLog(first.configuration);
  const inForce = putInForce(first.configuration, clock.now());
  const settings = () => inForce.generation.configuration.settings;
  const verifier = createBcryptVerifier(workerUrl("bcrypt-worker"));
  try {
    const { listen, admin } = first.configuration.settings;
    const keyOperations = createKeyOperations({
      policy: () => inForce.generation.configuration.policy,
      slowHash: verifier.hash,
      reload: () => reloader.reload(),
    });
    const shadow = createShadowKeeper({
      load: (file) => createLoader({ ...loaderOptions, configFile: file, isStarting: false }).load(),
      log,
      metrics,
      now: clock.now,
      pause: letOthersRun,
    });
    const gateway = createGateway(inForce, verifier, keyOperations, shadow, log, options);
    const listener = await openListener(
      listen,
      await readTls(listen, readerOf(fallback)),
      gateway,
      () => inForce.upstream.upgrade,
    );
    const reloader = startReloader(first, fallback, {
      loader,
      lastGood,
      pause: () => letOthersRun(),
      log,
      metrics,
      clock,
      guard: (next, current) => guardReload(next, current, options.configFile, letOthersRun),
      takeUp: (next) => {
        replaceInForce(inForce, next, clock.now());
        endUnusable(inForce, clock);
        listener.retune(next.settings.listen);
        void shadow.follow(next);
      },
      afterAttempt: () => renewTls(listener, settings().listen, log),
    });
    void shadow.follow(first.configuration);
    const sweep = startSweep(inForce, clock);
    metrics.watchUpgrades(() => inForce.upgraded.size);
    const backend = createBackend(inForce, reloader, shadow, metrics);
    const adminListener = admin === undefined ? undefined : await openAdminListener(admin, backend);
    return {
      kind: "serving",
      process: {
        listenAddress: listener.address,
        adminAddress: adminListener?.address,
        log,
        warnings: [...first.warnings, ...(await findFileMounts(first.files))],
        lastGoodCopy: fallback?.keptAt,
        reload: () => reloadBoth(reloader, shadow),
        stop: () => stop({ inForce, listener, adminListener, reloader, shadow, loader, sweep, verifier, clock }),
      },
    };
  } catch (error) {
    return { kind: "failed", problem: describeStartFailure(error) };
  }
}

function createGateway(
  inForce: InForce,
  verifier: BcryptVerifier,
  keyOperations: KeyOperations,
  shadow: ShadowKeeper,
  log: Log,
  options: ServeOptions,
): Gateway {
  const accessLog = createAccessLog(log, () => inForce.generation.configuration.settings.log);
  return {
    current: () => inForce.generation,
    state: { buckets: createBucketTable(), failures: createBucketTable(), verified: verifier.verified },
    clock: options.clock,
    verifier,
    forwarder: () => inForce.upstream.forwarder,
    keyOperations,
    openExchanges: inForce.openExchanges,
    observer: {
      record: (record) => {
        options.metrics.record(record);
        accessLog.record(record);
      },
    },
    shadow: shadow.current,
    isDraining: () => inForce.draining,
    createRequestId: randomUUID,
  };
}

function createBackend(inForce: InForce, reloader: Reloader, shadow: ShadowKeeper, metrics: Metrics): AdminBackend {
  const settings = () => inForce.generation.configuration.settings;
  return {
    settings: () => settings().admin,
    readiness: () => ({
      ready: !inForce.draining,
      detail: {
        status: inForce.draining ? "draining" : "ready",
        revision: inForce.generation.configuration.policy.revision,
        since: new Date(inForce.sinceMs).toISOString(),
        lastReload: reloader.lastReload(),
        lastGoodCopy: reloader.lastGoodCopy(),
      },
    }),
    metrics: async () => ({ contentType: metrics.registry.contentType, text: await metrics.registry.metrics() }),
    jwks: async () => {
      const { assertion } = settings().identity;
      return assertion === undefined ? [] : [await publicJwk(assertion)];
    },
    probe: (path) => createProber(settings().upstream)(path),
    reload: async () => ({ ...(await reloadBoth(reloader, shadow)) }),
    shadow: shadow.report,
  };
}

/** Asked for by a person, who may mean the candidate; a watched change names its own file. */
async function reloadBoth(reloader: Reloader, shadow: ShadowKeeper): ReturnType<Reloader["reload"]> {
  const outcome = await reloader.reload();
  await shadow.reload();
  return outcome;
}

interface Stoppable {
  readonly inForce: InForce;
  readonly listener: Listener;
  readonly adminListener: AdminListener | undefined;
  readonly reloader: Reloader;
  readonly shadow: ShadowKeeper;
  readonly loader: Loader;
  readonly sweep: Timer;
  readonly verifier: BcryptVerifier;
  readonly clock: Clock;
}

async function stop({
  inForce,
  listener,
  adminListener,
  reloader,
  shadow,
  loader,
  sweep,
  verifier,
  clock,
}: Stoppable): Promise<Drained> {
  inForce.draining = true;
  reloader.close();
  shadow.close();
  sweep.cancel();
  const drained = await drain(inForce.generation.configuration.settings.drain, listener, inForce.upgraded, clock);
  await Promise.all([inForce.upstream.forwarder.destroy(), verifier.close(), loader.close()]);
  adminListener?.close();
  return drained;
}

// How late an exchange may notice that its key expired, or was revoked while it was still young.
const SWEEP_INTERVAL_MS = 1_000;

function startSweep(inForce: InForce, clock: Clock): Timer {
  const timer = setInterval(() => endUnusable(inForce, clock), SWEEP_INTERVAL_MS);
  timer.unref();
  return { cancel: () => clearInterval(timer) };
}

function endUnusable({ generation, openExchanges }: InForce, clock: Clock): void {
  openExchanges.endUnusable(generation.configuration.policy.keys, clock.now(), clock.elapsed());
}

async function readTls(listen: ListenSettings, readFile: SourceIo["readFile"]): Promise<TlsMaterial | undefined> {
  if (listen.tls === undefined) return undefined;
  const files = await Promise.all([readFile(listen.tls.cert), readFile(listen.tls.key)]);
  const [cert, key] = files.map((bytes) => new TextDecoder().decode(bytes));
  return cert === undefined || key === undefined ? undefined : { cert, key };
}

async function renewTls(listener: Listener, listen: ListenSettings, log: Log): Promise<void> {
  try {
    const material = await readTls(listen, readerOf(undefined));
    if (material !== undefined) listener.renewTls(material);
  } catch (error) {
    log.error({ error: String(error) }, "the TLS certificate cannot be used, the one in force stays");
  }
}

/** The workers stand beside this module, built or not. */
function workerUrl(name: "bcrypt-worker" | "load-worker"): URL {
  return new URL(`./${name}.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url);
}

function describeStartFailure(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  switch (code) {
    case "EADDRINUSE":
      return `${message}. Another process listens there; choose another address with --listen or --admin`;
    case "EACCES":
      return `${message}. Ports below 1024 need a privilege; listen on a higher one`;
    default:
      return message;
  }
}
