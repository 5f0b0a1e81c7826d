import type { Socket } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { Configuration, UpstreamSettings } from "../config/settings.ts";
import type { Clock } from "../proxy/clock.ts";
import type { Forwarder } from "../proxy/forward.ts";
import { createGeneration, type Generation } from "../proxy/generation.ts";
import { createOpenExchanges, type OpenExchanges } from "../proxy/open-exchanges.ts";
import { createSocketForwarder } from "../proxy/socket-forwarder.ts";
import { createUpgradeForwarder, type UpgradeForwarder } from "../proxy/upgrade.ts";

/** What new requests are answered with; a reload replaces its parts, requests under way keep theirs. */
export interface InForce {
  generation: Generation;
  upstream: UpstreamConnections;
  /** Upgraded connections, whichever upstream they lead to. */
  readonly upgraded: Set<Socket>;
  readonly openExchanges: OpenExchanges;
}

export interface UpstreamConnections {
  readonly forwarder: Forwarder;
  readonly upgrade: UpgradeForwarder;
}

export function putInForce(configuration: Configuration, clock: Clock): InForce {
  const upgraded = new Set<Socket>();
  return {
    generation: createGeneration(configuration),
    upstream: connectUpstream(configuration.settings.upstream, upgraded, clock),
    upgraded,
    openExchanges: createOpenExchanges(),
  };
}

/** Swaps in a new generation; connections to the upstream are kept unless what they depend on changed. */
export function replaceInForce(inForce: InForce, generation: Generation, clock: Clock): void {
  const previous = inForce.generation.configuration.settings.upstream;
  const next = generation.configuration;
  inForce.generation = generation;
  if (isDeepStrictEqual(next.settings.upstream, previous)) return;
  const { forwarder } = inForce.upstream;
  inForce.upstream = connectUpstream(next.settings.upstream, inForce.upgraded, clock);
  void forwarder.close();
}

function connectUpstream(settings: UpstreamSettings, upgraded: Set<Socket>, clock: Clock): UpstreamConnections {
  // Made at the first upgrade: the library that serves these is large, and most apps have none.
  let made: UpgradeForwarder | undefined;
  return {
    forwarder: createSocketForwarder(settings, clock),
    upgrade: (request, gateway) => {
      made ??= createUpgradeForwarder(settings, upgraded);
      made(request, gateway);
    },
  };
}
