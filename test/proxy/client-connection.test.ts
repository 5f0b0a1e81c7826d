import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import type { AnswerHead, ClientExchange } from "../../src/proxy/client-exchange.ts";
import { type ClientHost, startClientHost } from "./client-host.ts";

const GET = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const answerOk = (exchange: ClientExchange): void => exchange.answer(200, "OK", ["Content-Length", "2"], "ok");

describe("ClientConnection", () => {
  let host: ClientHost;
  afterEach(() => host.close());

  /** The exchanges as they come; the test answers them. */
  async function startCollecting() {
    const exchanges: ClientExchange[] = [];
    let arrived = (): void => {};
    host = await startClientHost((exchange) => {
      exchanges.push(exchange);
      arrived();
    });
    return {
      next: async (): Promise<ClientExchange> => {
        if (exchanges.length === 0)
          await new Promise<void>((resolve) => {
            arrived = resolve;
          });
        const exchange = exchanges.shift();
        if (exchange === undefined) throw new Error("no exchange");
        return exchange;
      },
    };
  }

  test("reads the next head in parts after a body whose last part was never drained", async () => {
    const { next } = await startCollecting();
    const client = await host.open();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    const exchange = await next();
    await new Promise<void>((resolve) =>
      exchange.readBody(
        {
          bodyData: () => {
            exchange.pauseBody();
            return false;
          },
          bodyEnd: resolve,
          bodyFailed: () => expect.unreachable(),
        },
        undefined,
      ),
    );
    answerOk(exchange);
    await client.until((text) => text.endsWith("ok"));
    client.send("GET /y HT");
    const [connection] = host.connections;
    // The part has come once the connection no longer waits for a first byte.
    while (connection?.isIdle === true) await new Promise(setImmediate);
    client.send("TP/1.1\r\nHost: a\r\n\r\n");
    expect((await next()).head.target).toBe("/y");
  });

  test("begins no request while answers are not read", async () => {
    let answers = 0;
    const body = "x".repeat(8192);
    host = await startClientHost((exchange) => {
      answers += 1;
      exchange.answer(200, "OK", ["Content-Length", "8192"], body);
    });
    const client = await host.open();
    client.socket.pause();
    const asked = 4_000;
    client.send(GET.repeat(asked));
    const [connection] = host.connections;
    // Until the answers fill what the system keeps for this connection, and for some time after.
    while (connection?.socket.writableNeedDrain !== true) await new Promise(setImmediate);
    for (let turn = 0; turn < 1000; turn += 1) await new Promise(setImmediate);
    expect(connection.socket.writableLength).toBeLessThan(256 * 1024);
    expect(answers).toBeLessThan(asked);
    client.socket.resume();
    while (answers < asked) await once(client.socket, "data");
    expect(answers).toBe(asked);
  });

  test.for([
    ["in one write", "\r\n".repeat(9)],
    ["one by one", undefined],
  ] as const)("refuses empty lines without end, sent %s", async ([, bytes]) => {
    host = await startClientHost(() => expect.unreachable());
    const client = await host.open();
    if (bytes !== undefined) client.send(bytes);
    for (let line = 0; bytes === undefined && line < 9 && !client.socket.closed; line += 1) {
      client.send("\r\n");
      await new Promise(setImmediate);
      await new Promise(setImmediate);
    }
    await client.until((text) => text.startsWith("HTTP/1.1 400 request_invalid"));
  });

  test("takes an empty line for no sign of a head that begins anew", async () => {
    host = await startClientHost(() => expect.unreachable());
    const client = await host.open();
    const [connection] = host.connections;
    const socket = connection?.socket ?? expect.unreachable();
    for (const [ms, bytes] of [
      [0, 2],
      [9_000, 4],
    ] as const) {
      host.pass(ms);
      client.send("\r\n");
      while (socket.bytesRead < bytes) await new Promise(setImmediate);
    }
    host.pass(1_000);
    await client.closed;
    expect(client.received()).toBe("");
  });

  const LARGE = 8 * 1024 * 1024;
  const LARGE_HEAD: AnswerHead = {
    ...{ status: 200, reason: "OK", fields: `Content-Length: ${LARGE}\r\n` },
    ...{ hasDate: false, hasLength: true, isStream: false },
  };

  test.for([
    ["the last of its connection", "close"],
    ["one of many", "keep-alive"],
  ] as const)("lets a slow client have the whole of an answer that is %s", async ([, connectionField]) => {
    host = await startClientHost((exchange) => {
      exchange.begin(LARGE_HEAD);
      exchange.write(Buffer.alloc(LARGE, "x"), 0, LARGE);
      exchange.end([]);
    });
    const client = await host.open();
    client.socket.pause();
    client.send(`GET /x HTTP/1.1\r\nHost: a\r\nConnection: ${connectionField}\r\n\r\n`);
    const [connection] = host.connections;
    while ((connection?.socket.writableLength ?? 0) === 0) await new Promise(setImmediate);
    host.pass(20_000);
    expect(connection?.isIdle).toBe(false);
    client.socket.resume();
    await client.until((text) => text.length > LARGE);
    host.pass(2_000);
    host.pass(5_000);
    await client.closed;
    expect(client.received().slice(client.received().indexOf("\r\n\r\n") + 4)).toHaveLength(LARGE);
  });

  test("gives up a client that never reads its answer", async () => {
    host = await startClientHost((exchange) => {
      exchange.begin(LARGE_HEAD);
      exchange.write(Buffer.alloc(LARGE, "x"), 0, LARGE);
      exchange.end([]);
    });
    const client = await host.open();
    client.socket.pause();
    client.send(GET);
    const [connection] = host.connections;
    while ((connection?.socket.writableLength ?? 0) === 0) await new Promise(setImmediate);
    host.pass(60_000);
    expect(connection?.socket.destroyed).toBe(true);
  });

  test("leaves a client whose request came too late its time to read so", async () => {
    host = await startClientHost(() => expect.unreachable(), { requestTimeoutMs: 1_000 });
    const client = await host.open();
    client.send("GET /x HT");
    const [connection] = host.connections;
    while (connection?.isIdle === true) await new Promise(setImmediate);
    host.pass(1_000);
    await client.until((text) => text.includes("request_timeout"));
    host.pass(250);
    expect(connection?.socket.destroyed).toBe(false);
    host.pass(2_000);
    expect(connection?.socket.destroyed).toBe(true);
  });

  test("ends the connection of a refused client that sends its body a byte at a time", async () => {
    host = await startClientHost(answerOk);
    const client = await host.open();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    await client.until((text) => text.endsWith("ok"));
    let sent = 0;
    for (; host.connections.size > 0 && sent < 20; sent += 1) {
      client.send("x");
      await new Promise(setImmediate);
      host.pass(1_000);
      await new Promise(setImmediate);
    }
    expect(sent).toBeGreaterThanOrEqual(10);
    expect(sent).toBeLessThan(15);
    await client.closed;
  });

  test("lets the connection live on where the rest of a refused body comes soon", async () => {
    host = await startClientHost(answerOk);
    const client = await host.open();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    await client.until((text) => text.endsWith("ok"));
    client.send("body");
    const [connection] = host.connections;
    while (connection?.isIdle === false) await new Promise(setImmediate);
    // Together longer than a body may be thrown away, each shorter than an idle connection is kept.
    for (let second = 0; second < 4; second += 1) host.pass(1_000);
    client.send(GET);
    await client.until((text) => text.split("HTTP/1.1 200").length === 3);
    for (let second = 0; second < 4; second += 1) host.pass(1_000);
    client.send(GET);
    await client.until((text) => text.split("HTTP/1.1 200").length === 4);
    for (let second = 0; second < 4; second += 1) host.pass(1_000);
    expect(host.connections.size).toBe(1);
    client.socket.destroy();
  });
});
