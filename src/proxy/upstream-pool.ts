import { createBurst } from "./burst.ts";
import type { Clock, Timer } from "./clock.ts";
import { Roster } from "./roster.ts";
import { type ConnectionTimes, UpstreamConnection } from "./upstream-connection.ts";
import type { UpstreamAddress } from "./upstream-socket.ts";
import { type Waiter, WaitingLine } from "./waiting-line.ts";

/** Who waits for a connection. */
export interface Applicant extends Waiter<Applicant> {
  readonly use: (connection: UpstreamConnection) => void;
  /** There will be none: all are taken and the line is full or too slow, or the pool is destroyed. */
  readonly turnAway: (detail: string) => void;
  /** Since when it has stood in line. */
  waitingSinceMs: number;
}

/** Connections to one upstream: reused while they are good, never more than so many, first come first served. */
export interface UpstreamPool {
  /** Gives a connection now or later; false when all of them and all places to wait are taken, or it is destroyed. */
  readonly acquire: (applicant: Applicant, mustBeNew: boolean) => boolean;
  /** Gives up the place of one who waits. */
  readonly withdraw: (applicant: Applicant) => void;
  readonly close: () => Promise<void>;
  readonly destroy: () => Promise<void>;
}

export interface PoolLimits {
  readonly connections: number;
  readonly queue: number;
}

// Connections are looked at for their time this often; a timeout may be late by as much.
const MAX_SWEEP_MS = 250;
const SWEEPS_PER_TIMEOUT = 8;

export function createUpstreamPool(
  address: UpstreamAddress,
  times: ConnectionTimes,
  limits: PoolLimits,
  clock: Pick<Clock, "elapsed" | "after" | "afterPass">,
): UpstreamPool {
  const all = new Roster<UpstreamConnection>();
  // Used from its end: the one used last is the least likely to be closed by the upstream just now.
  const free: UpstreamConnection[] = [];
  const queue = new WaitingLine<Applicant>();
  let destroyed = false;
  /** Who waits for the last connection to be closed; undefined while connections are kept. */
  let closing: (() => void)[] | undefined;
  let timer: Timer | undefined;

  const settle = (): void => {
    if (closing === undefined || all.size > 0 || queue.length > 0) return;
    timer?.cancel();
    timer = undefined;
    for (const resolve of closing.splice(0)) resolve();
  };
  const end = (close: () => void): Promise<void> =>
    new Promise((resolve) => {
      closing ??= [];
      closing.push(resolve);
      close();
      settle();
    });
  const open = (applicant: Applicant): void => {
    const connection = new UpstreamConnection(address, times, owner);
    all.add(connection);
    startSweeping();
    applicant.use(connection);
  };
  const owner = {
    elapsed: clock.elapsed,
    write: createBurst(clock.afterPass),
    free: (connection: UpstreamConnection): void => {
      const applicant = queue.next();
      if (applicant !== undefined) applicant.use(connection);
      else if (closing !== undefined) connection.destroy();
      else free.push(connection);
    },
    closed: (connection: UpstreamConnection): void => {
      all.remove(connection);
      const place = free.indexOf(connection);
      if (place !== -1) free.splice(place, 1);
      const applicant = queue.next();
      if (applicant !== undefined) open(applicant);
      settle();
    },
  };

  const sweepMs = Math.min(
    MAX_SWEEP_MS,
    Math.max(1, Math.min(times.connectMs, times.responseMs, times.idleMs) / SWEEPS_PER_TIMEOUT),
  );
  // To wait for a connection is a part of getting one.
  const isLate = ({ waitingSinceMs }: Applicant, nowMs: number): boolean => nowMs - waitingSinceMs >= times.connectMs;
  const startSweeping = (): void => {
    timer ??= clock.after(sweepMs, sweep);
  };
  const sweep = (): void => {
    timer = undefined;
    const nowMs = clock.elapsed();
    for (const connection of all.list()) connection.sweep(nowMs);
    for (let first = queue.first; first !== undefined && isLate(first, nowMs); first = queue.first) {
      queue.leave(first);
      first.turnAway("no upstream connection became free in time");
    }
    if (all.size > 0) startSweeping();
  };

  return {
    acquire: (applicant, mustBeNew) => {
      if (destroyed) return false;
      const kept = takeFree(free);
      // Another kept connection may have been closed as well; this one makes room for one that cannot.
      if (mustBeNew) kept?.destroy();
      if (kept !== undefined && !mustBeNew) applicant.use(kept);
      else if (all.size < limits.connections) open(applicant);
      else if (queue.length >= limits.queue) return false;
      else {
        applicant.waitingSinceMs = clock.elapsed();
        queue.join(applicant);
      }
      return true;
    },
    withdraw: (applicant) => {
      if (queue.leave(applicant)) settle();
    },
    close: () =>
      end(() => {
        for (const connection of free.splice(0)) connection.destroy();
      }),
    destroy: () =>
      end(() => {
        destroyed = true;
        for (let applicant = queue.next(); applicant !== undefined; applicant = queue.next()) {
          applicant.turnAway("the way to the upstream was closed");
        }
        for (const connection of all.list()) connection.breakOff();
      }),
  };
}

function takeFree(free: UpstreamConnection[]): UpstreamConnection | undefined {
  for (let connection = free.pop(); connection !== undefined; connection = free.pop()) {
    if (connection.isFree && !connection.socket.destroyed) return connection;
  }
  return undefined;
}
