import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createBurst, WRITES_APART, type WriteText } from "../../src/proxy/burst.ts";

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

let writeInBurst: WriteText;
let server: Server;
let pairs: readonly [Pair, Pair];

beforeEach(async () => {
  writeInBurst = createBurst(setImmediate);
  server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  pairs = [await openPair(), await openPair()];
});

afterEach(async () => {
  for (const { near, far } of pairs) {
    near.destroy();
    far.destroy();
  }
  server.close();
  await once(server, "close");
});

async function openPair(): Promise<Pair> {
  const bound = server.address();
  const connection = once(server, "connection");
  const near = connect(typeof bound === "object" && bound !== null ? bound.port : 0, "127.0.0.1");
  const [far] = await connection;
  return { near, far };
}

function listSent(): readonly number[] {
  return pairs.map(({ near }) => near.bytesWritten - near.writableLength);
}

test("what one pass writes leaves at its end, on all sockets", async () => {
  for (const { near } of pairs) writeInBurst(near, "abc");
  expect(listSent()).toEqual([0, 0]);
  await new Promise(setImmediate);
  expect(listSent()).toEqual([3, 3]);
  for (const { near } of pairs) writeInBurst(near, "de");
  expect(listSent()).toEqual([3, 3]);
  await new Promise(setImmediate);
  expect(listSent()).toEqual([5, 5]);
});

test("what is written to a socket afterwards comes behind it, and so does the end", async () => {
  for (const { near } of pairs) {
    writeInBurst(near, "head,");
    near.write("body,");
    writeInBurst(near, "next\xe9");
    near.end();
  }
  const received = await Promise.all(pairs.map(({ far }) => text(far.setEncoding("latin1"))));
  expect(received).toEqual(["head,body,next\xe9", "head,body,next\xe9"]);
});

test("a socket that is destroyed meanwhile sends nothing, and the others do", async () => {
  const [first, second] = pairs;
  const failures: unknown[] = [];
  first.near.on("error", (error) => failures.push(error));
  for (const { near } of pairs) writeInBurst(near, "abc");
  first.near.destroy();
  second.near.end();
  const received = await Promise.all(pairs.map(({ far }) => text(far)));
  expect(received).toEqual(["", "abc"]);
  expect(failures).toEqual([]);
});

test("where a write comes alone, the next go at once, until another is tried", async () => {
  const [{ near }] = pairs;
  const isHeld: boolean[] = [];
  for (let write = 0; write < 2 * (WRITES_APART + 1); write += 1) {
    writeInBurst(near, "a");
    isHeld.push(near.writableLength > 0);
    await new Promise(setImmediate);
  }
  const turn = [true, ...Array.from({ length: WRITES_APART }, () => false)];
  expect(isHeld).toEqual([...turn, ...turn]);
});

test("says when to wait for what was written to leave", async () => {
  const [{ near, far }] = pairs;
  far.resume();
  expect(writeInBurst(near, "a")).toBe(true);
  expect(writeInBurst(near, "a".repeat(near.writableHighWaterMark))).toBe(false);
  await once(near, "drain");
  expect(near.writableLength).toBe(0);
});
