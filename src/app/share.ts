import type { Configuration } from "../config/settings.ts";

/** Which of how many threads this is. */
export interface Share {
  readonly index: number;
  readonly count: number;
}

/** The configuration as one thread of several keeps it: what bounds the whole process is divided among them. */
export function toShare({ policy, settings }: Configuration, share: Share): Configuration {
  const { listen, upstream } = settings;
  return {
    policy,
    settings: {
      ...settings,
      listen: { ...listen, maxConnections: divide(listen.maxConnections, share) },
      upstream: {
        ...upstream,
        maxConnections: divide(upstream.maxConnections, share),
        maxQueue: divide(upstream.maxQueue, share),
      },
    },
  };
}

/** Adds up to the whole over all threads. */
function divide(whole: number, { index, count }: Share): number {
  return Math.floor(whole / count) + (index < whole % count ? 1 : 0);
}
