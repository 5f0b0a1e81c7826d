import type { DrainSettings } from "../config/settings.ts";
import type { Clock } from "../proxy/clock.ts";
import type { Listener } from "../proxy/listener.ts";
import type { OpenExchanges } from "../proxy/open-exchanges.ts";
import type { Tunnel } from "../proxy/tunnel.ts";

/** How a drain ended: whether everything in flight was finished in time. */
export type Drained = "finished" | "cut";

// How often the open connections are counted while waiting for the last of them.
const CHECK_INTERVAL_MS = 50;

/**
 * Stops taking work. New requests are still answered for `delayMs`, since load balancers learn of a
 * failed readiness late; then the listener closes, what is in flight finishes within `timeoutMs`, and
 * upgraded connections and event streams, which end by themselves only by chance, are closed last.
 */
export async function drain(
  settings: Pick<DrainSettings, "delayMs" | "timeoutMs">,
  listener: Listener,
  tunnels: ReadonlySet<Tunnel>,
  exchanges: Pick<OpenExchanges, "countStreams" | "finishStreams">,
  clock: Clock,
): Promise<Drained> {
  await pause(settings.delayMs, clock);
  const deadlineMs = clock.elapsed() + settings.timeoutMs;
  listener.stop();
  while ((await listener.openConnections()) > tunnels.size + exchanges.countStreams()) {
    if (clock.elapsed() >= deadlineMs) break;
    await pause(CHECK_INTERVAL_MS, clock);
    // A connection that was busy when the listener stopped is idle once its answer is out.
    listener.stop();
  }
  for (const tunnel of tunnels) tunnel.destroySoon();
  exchanges.finishStreams();
  while ((await listener.openConnections()) > 0) {
    if (clock.elapsed() >= deadlineMs) {
      listener.destroy();
      return "cut";
    }
    await pause(CHECK_INTERVAL_MS, clock);
  }
  return "finished";
}

function pause(delayMs: number, clock: Clock): Promise<void> {
  return delayMs === 0 ? Promise.resolve() : new Promise((resolve) => clock.after(delayMs, resolve));
}
