import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/app/clock.ts";
import type { AnswerSink, UpstreamConnection } from "../../src/proxy/upstream-connection.ts";
import {
  type Applicant,
  createUpstreamPool,
  type PoolLimits,
  type UpstreamPool,
} from "../../src/proxy/upstream-pool.ts";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
type PoolClock = Parameters<typeof createUpstreamPool>[3];
const TIMES = { connectMs: 2_000, responseMs: 2_000, idleMs: 2_000 };

describe("createUpstreamPool()", () => {
  let server: Server;
  let port = 0;
  let pool: UpstreamPool;
  /** Connections on which a request has come, in its order. */
  let asked: Socket[] = [];
  let opened = 0;

  beforeEach(async () => {
    asked = [];
    opened = 0;
    server = createServer((socket) => {
      opened += 1;
      socket.on("data", () => asked.push(socket));
      socket.on("error", () => {});
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const bound = server.address();
    port = typeof bound === "object" && bound !== null ? bound.port : 0;
  });
  afterEach(async () => {
    await pool.destroy();
    server.close();
    await once(server, "close");
  });

  const create = (limits: PoolLimits, times = TIMES, clock: PoolClock = systemClock): UpstreamPool =>
    createUpstreamPool({ kind: "tcp", host: "127.0.0.1", port }, times, limits, clock);

  /** Asks one thing and says how that ended. */
  function createApplicant() {
    let connection: UpstreamConnection | undefined;
    let settle = (_: string): void => {};
    const outcome = new Promise<string>((resolve) => {
      settle = resolve;
    });
    const sink: AnswerSink = {
      headSent: () => {},
      bodyDrained: () => {},
      interim: () => {},
      answerHead: () => undefined,
      answerData: () => {},
      answerRead: () => true,
      isHolding: false,
      answerEnd: () => settle("answered"),
      protocol: undefined,
      switched: () => settle("switched"),
      failed: ({ kind }) => settle(kind),
    };
    const applicant: Applicant = {
      ahead: undefined,
      behind: undefined,
      isWaiting: false,
      waitingSinceMs: 0,
      turnAway: () => settle("turned away"),
      use: (given) => {
        connection = given;
        given.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", true, sink);
      },
    };
    return { applicant, outcome, connection: () => connection };
  }

  const untilAsked = async (count: number): Promise<Socket> => {
    while (asked.length < count) await new Promise(setImmediate);
    const socket = asked[count - 1];
    if (socket === undefined) throw new Error("nothing was asked");
    return socket;
  };

  test("serves those who wait in the order they came, over the one connection there may be", async () => {
    pool = create({ connections: 1, queue: 2 });
    const applicants = [createApplicant(), createApplicant(), createApplicant()];
    const given = applicants.map(({ applicant }) => pool.acquire(applicant, false));
    expect(given).toEqual([true, true, true]);
    expect(pool.acquire(createApplicant().applicant, false)).toBe(false);
    for (const [index, { outcome }] of applicants.entries()) {
      (await untilAsked(index + 1)).write(ANSWER);
      expect(await outcome).toBe("answered");
    }
    expect(opened).toBe(1);
  });

  test("gives the place of one who no longer waits to another", async () => {
    pool = create({ connections: 1, queue: 1 });
    const [first, second, third] = [createApplicant(), createApplicant(), createApplicant()];
    expect(pool.acquire(first.applicant, false)).toBe(true);
    expect(pool.acquire(second.applicant, false)).toBe(true);
    pool.withdraw(second.applicant);
    expect(pool.acquire(third.applicant, false)).toBe(true);
    (await untilAsked(1)).write(ANSWER);
    (await untilAsked(2)).write(ANSWER);
    expect(await third.outcome).toBe("answered");
    expect(second.connection()).toBeUndefined();
  });

  test("lets nobody wait longer than a connection may take, first come first turned away", async () => {
    pool = create({ connections: 1, queue: 2 }, { ...TIMES, connectMs: 40 });
    const [first, second, third] = [createApplicant(), createApplicant(), createApplicant()];
    const turnedAway: string[] = [];
    void second.outcome.then((outcome) => turnedAway.push(`second ${outcome}`));
    void third.outcome.then((outcome) => turnedAway.push(`third ${outcome}`));
    for (const { applicant } of [first, second, third]) pool.acquire(applicant, false);
    await third.outcome;
    expect(turnedAway).toEqual(["second turned away", "third turned away"]);
    const fourth = createApplicant();
    expect(pool.acquire(fourth.applicant, false)).toBe(true);
    (await untilAsked(1)).write(ANSWER);
    (await untilAsked(2)).write(ANSWER);
    expect(await fourth.outcome).toBe("answered");
  });

  test("gives nothing once it is destroyed, not even to one whom that has failed", async () => {
    pool = create({ connections: 4, queue: 4 });
    const applicant = createApplicant();
    const again: boolean[] = [];
    void applicant.outcome.then(() => again.push(pool.acquire(createApplicant().applicant, true)));
    pool.acquire(applicant.applicant, false);
    await untilAsked(1);
    await pool.destroy();
    expect(await applicant.outcome).toBe("broken");
    expect(again).toEqual([false]);
    expect(opened).toBe(1);
  });

  test("is closed for everybody who waits for that, when it is destroyed meanwhile", async () => {
    pool = create({ connections: 1, queue: 1 });
    const applicant = createApplicant();
    pool.acquire(applicant.applicant, false);
    await untilAsked(1);
    const closed = pool.close();
    await pool.destroy();
    await closed;
  });

  test("holds who tries again while it closes to the same times", async () => {
    pool = create({ connections: 4, queue: 4 }, { ...TIMES, responseMs: 60 });
    const [first, second] = [createApplicant(), createApplicant()];
    pool.acquire(first.applicant, false);
    const socket = await untilAsked(1);
    const closed = pool.close();
    socket.destroy();
    expect(await first.outcome).toBe("broken");
    await closed;
    expect(pool.acquire(second.applicant, true)).toBe(true);
    expect(await second.outcome).toBe("response-timeout");
  });

  test.for([
    ["nothing of it", "", 4_000],
    ["five seconds", "Keep-Alive: timeout=5\r\n", 4_000],
    ["longer than anybody", "Keep-Alive: timeout=10000\r\n", 599_000],
    ["one second", "Keep-Alive: timeout=1\r\n", 0],
  ] as const)("closes a connection before the upstream does that says %s", async ([, fields, keptMs]) => {
    let nowMs = 0;
    const due: (() => void)[] = [];
    const pass = (ms: number): void => {
      nowMs += ms;
      for (const task of due.splice(0)) task();
    };
    const after: PoolClock["after"] = (_, task) => {
      due.push(task);
      return { cancel: () => {} };
    };
    pool = create({ connections: 1, queue: 1 }, TIMES, { elapsed: () => nowMs, after, afterPass: setImmediate });
    const { applicant, outcome, connection } = createApplicant();
    pool.acquire(applicant, false);
    (await untilAsked(1)).write(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`);
    expect(await outcome).toBe("answered");
    const isClosed = () => connection()?.socket.destroyed;
    if (keptMs > 0) {
      pass(keptMs - 1);
      expect(isClosed()).toBe(false);
      pass(1);
    }
    expect(isClosed()).toBe(true);
  });

  test("closes a connection on which something comes that nobody asked for", async () => {
    pool = create({ connections: 1, queue: 1 });
    const [first, second] = [createApplicant(), createApplicant()];
    pool.acquire(first.applicant, false);
    const socket = await untilAsked(1);
    socket.write("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=600\r\nContent-Length: 0\r\n\r\n");
    expect(await first.outcome).toBe("answered");
    const closed = once(socket, "close");
    socket.write("HTTP/1.1 200 OK\r\nX-Stray: 1\r\nContent-Length: 0\r\n\r\n");
    await closed;
    pool.acquire(second.applicant, false);
    expect(await untilAsked(2)).not.toBe(socket);
    await pool.destroy();
    expect(await second.outcome).toBe("broken");
  });

  test("uses no connection again after a 204 that announces a body", async () => {
    pool = create({ connections: 1, queue: 1 });
    const [first, second] = [createApplicant(), createApplicant()];
    pool.acquire(first.applicant, false);
    (await untilAsked(1)).write("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
    expect(await first.outcome).toBe("answered");
    pool.acquire(second.applicant, false);
    (await untilAsked(2)).write(ANSWER);
    expect(await second.outcome).toBe("answered");
    expect(opened).toBe(2);
  });
});
