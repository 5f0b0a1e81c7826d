import { isDeepStrictEqual } from "node:util";
import type { Configuration } from "../config/settings.ts";
import type { Clock } from "../proxy/clock.ts";
import type { Forwarder } from "../proxy/forward.ts";
import { createGeneration, type Generation } from "../proxy/generation.ts";
import { createOpenExchanges, type OpenExchanges } from "../proxy/open-exchanges.ts";
import { createSocketForwarder } from "../proxy/socket-forwarder.ts";
import type { Tunnel } from "../proxy/tunnel.ts";

/** What new requests are answered with; a reload replaces its parts, requests under way keep theirs. */
export interface InForce {
  generation: Generation;
  forwarder: Forwarder;
  readonly tunnels: Set<Tunnel>;
  readonly openExchanges: OpenExchanges;
}

export function putInForce(configuration: Configuration, clock: Clock): InForce {
  return {
    generation: createGeneration(configuration),
    forwarder: createSocketForwarder(configuration.settings.upstream, clock),
    tunnels: new Set(),
    openExchanges: createOpenExchanges(),
  };
}

/** Swaps in a new generation; connections to the upstream are kept unless what they depend on changed. */
export function replaceInForce(inForce: InForce, generation: Generation, clock: Clock): void {
  const previous = inForce.generation.configuration.settings.upstream;
  const next = generation.configuration;
  inForce.generation = generation;
  if (isDeepStrictEqual(next.settings.upstream, previous)) return;
  const { forwarder } = inForce;
  inForce.forwarder = createSocketForwarder(next.settings.upstream, clock);
  void forwarder.close();
}
