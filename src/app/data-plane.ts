import type { LoadedConfiguration } from "../config/load.ts";
import type { ListenSettings, SocketAddress } from "../config/settings.ts";
import type { Clock } from "../proxy/clock.ts";
import type { Gateway } from "../proxy/gateway.ts";
import { openListener, type TlsMaterial } from "../proxy/listener.ts";
import type { ShadowNumbers } from "../proxy/shadow.ts";
import type { MetricsSnapshot } from "../telemetry/metrics-total.ts";
import { type Answering, type AnsweringOptions, createAnswering } from "./answering.ts";
import { type Drained, drain } from "./drain.ts";

/**
 * What answers requests: this thread (here) or several (`fleet.ts`). The rest of the process loads, watches and
 * reports, and tells it what to answer by.
 */
export interface DataPlane {
  readonly address: SocketAddress;
  /** What it decides by, for the authoriser to decide by as well. */
  readonly gateway: Gateway;
  /** Whether anybody listens. */
  readonly isListening: () => boolean;
  /** Puts a configuration in force in one step: a request is answered by the one that was in force when it began. */
  readonly takeUp: (next: LoadedConfiguration) => void | Promise<void>;
  /** New handshakes get the new certificate. */
  readonly renewTls: (material: TlsMaterial) => void;
  /** Decides every request once more by this candidate, which enforces nothing; by none where there is none. */
  readonly compareWith: (candidate: LoadedConfiguration | undefined) => void;
  /** What came of that; undefined while there is nothing to compare with. */
  readonly shadowNumbers: () => ShadowNumbers | undefined | Promise<ShadowNumbers | undefined>;
  /** What other threads counted. */
  readonly metrics: () => Promise<readonly MetricsSnapshot[]>;
  /** Takes what is new for another `delayMs`, then nothing more, and finishes what is in flight; see `drain`. */
  readonly drain: (delayMs: number) => Promise<Drained>;
  /** At once: what was not drained is cut. */
  readonly close: () => Promise<void>;
}

export interface DataPlaneOptions extends AnsweringOptions {
  readonly tls: TlsMaterial | undefined;
}

/** Answers requests in this thread. Rejects with the system's error when the address cannot be had. */
export async function openDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const { configuration, clock, tls } = options;
  const answering = createAnswering(options);
  const thread = await openPlane(answering, configuration.settings.listen, tls, clock, false);
  return {
    address: thread.address,
    gateway: answering.gateway,
    isListening: () => true,
    takeUp: ({ configuration: next }) => {
      answering.prepare(next, () => true);
      thread.settle();
    },
    renewTls: thread.renewTls,
    compareWith: (candidate) => answering.compareWith(candidate?.configuration.policy),
    shadowNumbers: answering.shadowNumbers,
    metrics: async () => [],
    drain: thread.drain,
    close: thread.close,
  };
}

/** One thread's part of the data plane. */
export interface Plane extends Pick<DataPlane, "address" | "renewTls" | "drain" | "close"> {
  /** Puts in force what was prepared and is due. */
  readonly settle: () => void;
}

/** Opens a listener in this thread; `shared`, beside those of other threads at the same address. */
export async function openPlane(
  answering: Answering,
  listen: ListenSettings,
  tls: TlsMaterial | undefined,
  clock: Clock,
  shared: boolean,
): Promise<Plane> {
  const { inForce, gateway } = answering;
  const listener = await openListener(listen, tls, gateway, clock, shared);
  const settings = () => inForce.generation.configuration.settings;
  return {
    address: listener.address,
    renewTls: listener.renewTls,
    settle: () => {
      answering.settle();
      listener.retune(settings().listen);
    },
    drain: (delayMs) => {
      const { timeoutMs } = settings().drain;
      return drain({ delayMs, timeoutMs }, listener, inForce.tunnels, inForce.openExchanges, clock);
    },
    close: () => {
      listener.stop();
      listener.destroy();
      return answering.close();
    },
  };
}
