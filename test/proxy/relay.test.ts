import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/app/clock.ts";
import { decide } from "../../src/policy/decide.ts";
import type { Allowed } from "../../src/policy/decision.ts";
import type { Outcome } from "../../src/proxy/forward.ts";
import { Relay } from "../../src/proxy/relay.ts";
import { createUpstreamPool, type UpstreamPool } from "../../src/proxy/upstream-pool.ts";
import { createPolicy, createState, toFacts } from "../policy/fixture.ts";
import { type Client, type ClientHost, startClientHost } from "./client-host.ts";

const TIMES = { connectMs: 2_000, responseMs: 2_000, idleMs: 2_000 };
const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const PERMIT = permit();

function permit(): Allowed {
  const policy = createPolicy({ routes: [{ match: "* /**", public: true }] });
  const decision = decide(toFacts({ target: "/x" }), policy, createState(), 0);
  if (decision.kind !== "allow") throw new Error("a public route admits");
  return decision;
}

describe("Relay", () => {
  let server: Server;
  let pool: UpstreamPool;
  let host: ClientHost;
  /** The connections on which requests came, in the order of the requests. */
  let asked: Socket[] = [];
  let begun = 0;
  let outcomes: Outcome[] = [];

  beforeEach(async () => {
    asked = [];
    begun = 0;
    outcomes = [];
    server = createServer((socket) => {
      socket.on("data", (bytes) => {
        if (/^(?:GET|POST) /.test(bytes.toString("latin1"))) asked.push(socket);
      });
      socket.on("error", () => {});
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  afterEach(async () => {
    await host.close();
    await pool.destroy();
    server.close();
    await once(server, "close");
  });

  async function start(connections: number): Promise<Client> {
    const bound = server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    const limits = { connections, queue: 4 };
    pool = createUpstreamPool({ kind: "tcp", host: "127.0.0.1", port }, TIMES, limits, systemClock);
    host = await startClientHost((client) => {
      begun += 1;
      const done = (outcome: Outcome): void => {
        outcomes.push(outcome);
        if (outcome.kind === "failed") client.answer(502, outcome.reason, ["Content-Length", "0"], "");
      };
      const { method, target, framing } = client.head;
      const additions = { ietf: "", legacy: "", requestId: "id" };
      const asked = { client, method, target, framing, maxBodyBytes: undefined, protocol: undefined };
      const switched = () => expect.unreachable();
      new Relay(pool, { permit: PERMIT, ...asked, additions, switched, done }, "").start();
    });
    return host.open();
  }

  const untilAsked = async (count: number): Promise<Socket> => {
    while (asked.length < count) await new Promise(setImmediate);
    return asked[count - 1] ?? expect.unreachable();
  };

  const untilEnded = async (count: number): Promise<Outcome> => {
    while (outcomes.length < count) await new Promise(setImmediate);
    return outcomes[count - 1] ?? expect.unreachable();
  };

  /** What comes on new connections is answered, as it would be where it should not have come. */
  const answerFromNow = (): void =>
    void server.on("connection", (socket) => socket.on("data", () => socket.write(ANSWER)));

  /** Has one request answered, after which its connection is kept. */
  async function warm(client: Client): Promise<void> {
    client.send(GET);
    (await untilAsked(1)).write(ANSWER);
    await client.until((text) => text.endsWith("ok"));
  }

  test("sends a request once more, over a new connection, that the upstream closed a kept one on", async () => {
    const client = await start(4);
    await warm(client);
    client.send(GET);
    const kept = await untilAsked(2);
    expect(kept).toBe(asked[0]);
    kept.destroy();
    const fresh = await untilAsked(3);
    expect(fresh).not.toBe(kept);
    fresh.write(ANSWER);
    await client.until((text) => text.split("200 OK").length === 3);
    expect(outcomes.map(({ kind }) => kind)).toEqual(["answered", "answered"]);
  });

  const POST = "POST /x HTTP/1.1\r\nHost: a\r\n";
  test.for([
    ["with a body", true, "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", ""],
    ["of another method", true, `${POST}\r\n`, ""],
    ["of which something was heard", true, GET, "HTTP/1.1 2"],
    ["on a new connection", false, GET, ""],
  ] as const)("does not send a request again %s", async ([, isKept, request, heard]) => {
    const client = await start(4);
    if (isKept) await warm(client);
    const before = asked.length;
    client.send(request);
    const socket = await untilAsked(before + 1);
    if (heard === "") socket.destroy();
    else socket.end(heard);
    answerFromNow();
    expect(await untilEnded(before + 1)).toMatchObject({ kind: "failed", reason: "upstream_invalid" });
    expect(asked).toHaveLength(before + 1);
  });

  test("sends a request a second time and not a third, though that was on a kept connection too", async () => {
    const client = await start(1);
    await warm(client);
    client.send(GET);
    const kept = await untilAsked(2);
    const other = await host.open();
    other.send(GET);
    while (begun < 3) await new Promise(setImmediate);
    // The one who waits comes first, and its connection is kept and used for what is tried again.
    kept.destroy();
    const second = await untilAsked(3);
    second.write(ANSWER);
    await other.until((text) => text.endsWith("ok"));
    expect(await untilAsked(4)).toBe(second);
    answerFromNow();
    second.destroy();
    expect(await untilEnded(3)).toMatchObject({ kind: "failed", reason: "upstream_invalid" });
    expect(asked).toHaveLength(4);
  });

  test("passes on eight early hints, and none but their links", async () => {
    const client = await start(1);
    client.send(GET);
    const hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nX-Other: 1\r\n\r\n";
    (await untilAsked(1)).write(hint.repeat(12) + ANSWER);
    await client.until((text) => text.endsWith("ok"));
    const informed = client.received().split("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
    expect(informed).toHaveLength(1 + 8);
    expect(informed.at(-1)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test("resets a client of HTTP/1.0 whose answer broke off, since an end would be that of the body", async () => {
    const client = await start(1);
    client.send("GET /x HTTP/1.0\r\n\r\n");
    const socket = await untilAsked(1);
    socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    await client.until((text) => text.endsWith("hello"));
    const reset = once(client.socket, "error");
    socket.destroy();
    expect((await reset)[0]).toMatchObject({ code: "ECONNRESET" });
    expect(outcomes).toMatchObject([{ kind: "truncated", status: 200 }]);
  });
});
