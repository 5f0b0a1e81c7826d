import { isDeepStrictEqual } from "node:util";
import type { Configuration, UpstreamSettings } from "../config/settings.ts";
import type { Forwarder } from "../proxy/forward.ts";
import { createGeneration, type Generation } from "../proxy/generation.ts";
import { createUndiciForwarder } from "../proxy/undici-forwarder.ts";
import { createUpgradeForwarder, type UpgradeForwarder } from "../proxy/upgrade.ts";

/** What new requests are answered with; a reload replaces its parts, requests under way keep theirs. */
export interface InForce {
  generation: Generation;
  upstream: UpstreamConnections;
  draining: boolean;
}

export interface UpstreamConnections {
  readonly forwarder: Forwarder;
  readonly upgrades: UpgradeForwarder;
}

export function putInForce(configuration: Configuration): InForce {
  return {
    generation: createGeneration(configuration),
    upstream: connectUpstream(configuration.settings.upstream),
    draining: false,
  };
}

/** Swaps in a new configuration; connections to the upstream are kept unless what they depend on changed. */
export function replaceInForce(inForce: InForce, next: Configuration): void {
  const previous = inForce.generation.configuration.settings.upstream;
  inForce.generation = createGeneration(next);
  if (isDeepStrictEqual(next.settings.upstream, previous)) return;
  const { forwarder } = inForce.upstream;
  inForce.upstream = connectUpstream(next.settings.upstream);
  void forwarder.close();
}

function connectUpstream(settings: UpstreamSettings): UpstreamConnections {
  return { forwarder: createUndiciForwarder(settings), upgrades: createUpgradeForwarder(settings) };
}
