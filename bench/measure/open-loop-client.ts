/**
 * A program of its own: sends requests at fixed times over kept connections and prints percentiles of the
 * time from when each was due to the end of its answer. `open-loop.ts` runs it on the load's core.
 */
import { connect, type Socket } from "node:net";
import { createOpenLoop, percentile, type Sent } from "./open-loop.ts";

const [port = "", perSecond = "", seconds = "", connections = "", path = "", credential = ""] = process.argv.slice(2);
const REQUEST = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX-API-Key: ${credential}\r\n\r\n`;
// Timers are no finer than a millisecond: closer than that the loop turns until the time has come.
const TIMER_MS = 1.5;
// For connections to be opened and this client's own code to be compiled.
const WARM_UP_MS = 500;
// A proxy that does not keep up has shown so by then.
const GRACE_MS = 3000;

interface Connection {
  socket: Socket;
  received: string;
  sent: Sent | undefined;
}

const free: Connection[] = [];
let loop = createOpenLoop(0, 1, 0);
// Until there is something to send, a free connection is nobody's business.
let wake = (): void => {};
/** How long each turn of this program's own loop took: what it adds to a latency itself. */
let turnsMs: number[] = [];
const fail = (problem: string): never => {
  process.stderr.write(`${problem}\n`);
  process.exit(1);
};
await Promise.all(Array.from({ length: Number(connections) }, () => open()));
await run(WARM_UP_MS);
const latencies = await run(Number(seconds) * 1000);
const [p50Ms, p99Ms, p999Ms] = [50, 99, 99.9].map((share) => percentile(latencies, share));
process.stdout.write(JSON.stringify({ p50Ms, p99Ms, p999Ms, clientMs: percentile(turnsMs, 99) }));
process.exit(0);

function open(): Promise<void> {
  return new Promise((resolve) => {
    const connection: Connection = { socket: connect(Number(port), "127.0.0.1"), received: "", sent: undefined };
    const { socket } = connection;
    socket.setNoDelay(true).setEncoding("latin1");
    socket.on("connect", () => {
      free.push(connection);
      wake();
      resolve();
    });
    socket.on("data", (text: string) => receive(connection, text));
    socket.on("error", (error) => fail(error.message));
    socket.on("close", () => {
      if (connection.sent !== undefined) fail("a connection was closed before its answer");
      const at = free.indexOf(connection);
      if (at !== -1) free.splice(at, 1);
      void open();
    });
  });
}

function run(durationMs: number): Promise<readonly number[]> {
  const startMs = performance.now();
  loop = createOpenLoop(startMs, Number(perSecond), Math.ceil((Number(perSecond) * durationMs) / 1000));
  turnsMs = [];
  let lastMs = startMs;
  const endMs = startMs + durationMs + GRACE_MS;
  return new Promise((resolve) => {
    const turn = (): void => {
      wake();
      const nowMs = performance.now();
      turnsMs.push(nowMs - lastMs);
      lastMs = nowMs;
      if (nowMs > endMs) loop.giveUp(nowMs);
      if (loop.isComplete()) {
        resolve(loop.latenciesMs());
        return;
      }
      const untilMs = loop.untilNextMs(performance.now()) ?? 2 * TIMER_MS;
      if (untilMs <= TIMER_MS) setImmediate(turn);
      else {
        lastMs += untilMs - TIMER_MS;
        setTimeout(turn, untilMs - TIMER_MS);
      }
    };
    wake = sendDue;
    turn();
  });
}

function sendDue(): void {
  for (const sent of loop.takeDue(performance.now(), free.length)) {
    const connection = free.pop();
    if (connection === undefined) return;
    connection.sent = sent;
    connection.socket.write(REQUEST, "latin1");
  }
}

function receive(connection: Connection, text: string): void {
  connection.received += text;
  const { received, sent } = connection;
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd === -1) return;
  const head = received.slice(0, headEnd);
  if (!head.startsWith("HTTP/1.1 200")) fail(`not a 200: ${head.split("\r\n", 1)[0]}`);
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? fail("an answer without Content-Length"));
  if (received.length < headEnd + 4 + length) return;
  connection.received = "";
  connection.sent = undefined;
  loop.answered(sent ?? fail("an answer nobody asked for"), performance.now());
  if (/connection: close/i.test(head)) return;
  free.push(connection);
  sendDue();
}
