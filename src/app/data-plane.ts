import { randomUUID } from "node:crypto";
import type { LoadedConfiguration } from "../config/load.ts";
import type { Configuration, SocketAddress } from "../config/settings.ts";
import type { Policy, PolicyState } from "../policy/policy.ts";
import type { ShadowBuckets } from "../policy/shadow.ts";
import type { Clock, Timer } from "../proxy/clock.ts";
import type { Gateway, SlowVerifier } from "../proxy/gateway.ts";
import { openListener, type TlsMaterial } from "../proxy/listener.ts";
import type { KeyOperations } from "../proxy/manage.ts";
import type { ShadowNumbers } from "../proxy/shadow.ts";
import { createAccessLog } from "../telemetry/access-log.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { type Drained, drain } from "./drain.ts";
import { type InForce, putInForce, replaceInForce } from "./in-force.ts";
import { createShadowComparer, type ShadowComparer } from "./shadow-comparer.ts";

/** What answers requests. The rest of the process loads, watches and reports, and tells it what to answer by. */
export interface DataPlane {
  readonly address: SocketAddress;
  /** What it decides by, for the authoriser to decide by as well. */
  readonly gateway: Gateway;
  /** Puts a configuration in force in one step: a request is answered by the one that was in force when it began. */
  readonly takeUp: (next: LoadedConfiguration) => void | Promise<void>;
  /** New handshakes get the new certificate. */
  readonly renewTls: (material: TlsMaterial) => void;
  /** Decides every request once more by this candidate, which enforces nothing; by none where there is none. */
  readonly compareWith: (candidate: LoadedConfiguration | undefined) => void;
  /** What came of that; undefined while there is nothing to compare with. */
  readonly shadowNumbers: () => ShadowNumbers | undefined | Promise<ShadowNumbers | undefined>;
  /** Answers go on, but end their connections, and nothing that would last is begun. */
  readonly announceDrain: () => void;
  /** Finishes what is in flight and takes nothing new; see `drain`. */
  readonly drain: () => Promise<Drained>;
  readonly close: () => Promise<void>;
}

export interface DataPlaneOptions {
  readonly configuration: Configuration;
  readonly tls: TlsMaterial | undefined;
  readonly state: PolicyState;
  /** What a candidate spends. */
  readonly shadowBuckets: ShadowBuckets;
  readonly verifier: SlowVerifier;
  readonly keyOperations: KeyOperations;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

/** Opens the listener in this thread. Rejects with the system's error when the address cannot be had. */
export async function openDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const { configuration, clock, metrics } = options;
  const inForce = putInForce(configuration, clock);
  const shadow = createShadowComparer(options);
  let candidate: Policy | undefined;
  const gateway = createGateway(inForce, shadow, options);
  const listener = await openListener(
    configuration.settings.listen,
    options.tls,
    gateway,
    () => inForce.upstream.upgrade,
    clock,
  );
  const sweep = startSweep(inForce, clock);
  let announcedMs: number | undefined;
  const announceDrain = (): number => {
    inForce.draining = true;
    announcedMs ??= clock.elapsed();
    return announcedMs;
  };
  metrics.watchUpgrades(() => inForce.upgraded.size);
  return {
    address: listener.address,
    gateway,
    takeUp: ({ configuration: next }) => {
      replaceInForce(inForce, next, clock);
      endUnusable(inForce, clock);
      listener.retune(next.settings.listen);
      shadow.pairUp(next.policy, candidate);
    },
    renewTls: listener.renewTls,
    compareWith: (loaded) => {
      candidate = loaded?.configuration.policy;
      shadow.pairUp(inForce.generation.configuration.policy, candidate);
    },
    shadowNumbers: shadow.numbers,
    announceDrain,
    drain: () => {
      const sinceMs = announceDrain();
      sweep.cancel();
      const { delayMs, timeoutMs } = inForce.generation.configuration.settings.drain;
      const leftMs = Math.max(0, Math.ceil(delayMs - (clock.elapsed() - sinceMs)));
      return drain({ delayMs: leftMs, timeoutMs }, listener, inForce.upgraded, clock);
    },
    close: () => inForce.upstream.forwarder.destroy(),
  };
}

function createGateway(inForce: InForce, shadow: ShadowComparer, options: DataPlaneOptions): Gateway {
  const { state, clock, verifier, keyOperations, metrics, log } = options;
  const accessLog = createAccessLog(log, () => inForce.generation.configuration.settings.log);
  return {
    current: () => inForce.generation,
    state,
    clock,
    verifier,
    forwarder: () => inForce.upstream.forwarder,
    keyOperations,
    openExchanges: inForce.openExchanges,
    observer: {
      record: (record) => {
        metrics.record(record);
        accessLog.record(record);
      },
    },
    shadow: shadow.current,
    isDraining: () => inForce.draining,
    createRequestId: randomUUID,
  };
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
