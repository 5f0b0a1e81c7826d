import type { Configuration } from "../config/settings.ts";
import type { Policy, PolicyState } from "../policy/policy.ts";
import type { ShadowBuckets } from "../policy/shadow.ts";
import type { Clock, Timer } from "../proxy/clock.ts";
import type { Gateway, SlowVerifier } from "../proxy/gateway.ts";
import { createGeneration, type Generation } from "../proxy/generation.ts";
import type { KeyOperations } from "../proxy/manage.ts";
import { createAccessLog } from "../telemetry/access-log.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Flag } from "./flag.ts";
import { type InForce, putInForce, replaceInForce } from "./in-force.ts";
import { createRequestIds } from "./request-ids.ts";
import { createShadowComparer, type ShadowComparer } from "./shadow-comparer.ts";

/** What one thread answers requests with, whoever listens for them. */
export interface Answering {
  readonly gateway: Gateway;
  readonly inForce: InForce;
  /** Makes all of a configuration ready. The first request that begins once it is due is answered by it. */
  readonly prepare: (next: Configuration, isDue: () => boolean) => void;
  /** Puts in force what is prepared and due, and ends what goes on with a key that may no longer be used. */
  readonly settle: () => void;
  readonly compareWith: (candidate: Policy | undefined) => void;
  readonly shadowNumbers: ShadowComparer["numbers"];
  readonly close: () => Promise<void>;
}

export interface AnsweringOptions {
  readonly configuration: Configuration;
  readonly state: PolicyState;
  /** What a candidate spends. */
  readonly shadowBuckets: ShadowBuckets;
  /** Once it is raised, answers go on, but end their connections, and nothing that would last is begun. */
  readonly draining: Flag;
  readonly verifier: SlowVerifier;
  readonly keyOperations: KeyOperations;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

interface Prepared {
  readonly generation: Generation;
  readonly isDue: () => boolean;
}

export function createAnswering(options: AnsweringOptions): Answering {
  const { configuration, clock, metrics } = options;
  const inForce = putInForce(configuration, clock);
  const shadow = createShadowComparer(options);
  let prepared: Prepared | undefined;
  let candidate: Policy | undefined;

  const settle = (): void => {
    if (prepared?.isDue() === true) {
      replaceInForce(inForce, prepared.generation, clock);
      prepared = undefined;
      shadow.pairUp(inForce.generation.configuration.policy, candidate);
    }
    endUnusable(inForce, clock);
  };
  const current = (): Generation => {
    if (prepared?.isDue() === true) settle();
    return inForce.generation;
  };
  const sweep = startSweep(inForce, clock);
  metrics.watchUpgrades(() => inForce.tunnels.size);
  return {
    gateway: createGateway(current, inForce, shadow, options),
    inForce,
    prepare: (next, isDue) => {
      prepared = { generation: createGeneration(next), isDue };
    },
    settle,
    compareWith: (next) => {
      candidate = next;
      shadow.pairUp(inForce.generation.configuration.policy, candidate);
    },
    shadowNumbers: shadow.numbers,
    close: () => {
      sweep.cancel();
      return inForce.forwarder.destroy();
    },
  };
}

function createGateway(
  current: () => Generation,
  inForce: InForce,
  shadow: ShadowComparer,
  options: AnsweringOptions,
): Gateway {
  const { state, draining, clock, verifier, keyOperations, metrics, log } = options;
  const accessLog = createAccessLog(log, () => inForce.generation.configuration.settings.log);
  return {
    current,
    state,
    clock,
    verifier,
    forwarder: () => inForce.forwarder,
    keyOperations,
    openExchanges: inForce.openExchanges,
    tunnels: inForce.tunnels,
    observer: {
      record: (record) => {
        metrics.record(record);
        accessLog.record(record);
      },
    },
    shadow: shadow.current,
    isDraining: draining.isRaised,
    createRequestId: createRequestIds(),
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
