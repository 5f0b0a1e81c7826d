import { once } from "node:events";
import { connect, createServer, type Server, Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { READ_BUFFER, ReadBuffers } from "../../src/proxy/read-buffers.ts";
import { type BufferFields, findBufferFields, readSocket, type SocketReads } from "../../src/proxy/socket-reads.ts";

const KNOWN = findBufferFields(new Socket());

test("this Node's sockets can be read into one buffer", () => {
  expect(KNOWN).not.toBe("elsewhere");
});

describe.for<readonly [string, BufferFields | "elsewhere", boolean]>([
  ["into one buffer", KNOWN, true],
  ["as a stream, where Node keeps its buffer elsewhere", findBufferFields({}), false],
])("readSocket() %s", ([, fields, isShared]) => {
  let server: Server;
  let client: Socket;
  let accepted: Socket;
  let reads: SocketReads;
  let read: string;
  let isPausing: boolean;

  beforeEach(async () => {
    read = "";
    isPausing = false;
    server = createServer({ allowHalfOpen: true }, (socket) => {
      accepted = socket;
      const onRead = (buffer: Buffer, length: number): void => {
        expect(buffer === READ_BUFFER).toBe(isShared);
        read += buffer.toString("latin1", 0, length);
        if (isPausing) socket.pause();
      };
      reads = readSocket(socket, new ReadBuffers(), onRead, fields);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const bound = server.address();
    client = connect(typeof bound === "object" && bound !== null ? bound.port : 0, "127.0.0.1");
    await once(server, "connection");
  });
  afterEach(async () => {
    client.destroy();
    accepted.destroy();
    server.close();
    await once(server, "close");
  });

  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await new Promise(setImmediate);
  };

  test("gives what comes, and says when it ends", async () => {
    const ended = once(accepted, "end");
    client.write("one");
    await until(() => read === "one");
    client.end("two");
    await ended;
    expect(read).toBe("onetwo");
  });

  test("stops at a pause and goes on after it", async () => {
    isPausing = true;
    client.write("one");
    await until(() => read === "one");
    client.write("two");
    await until(() => client.writableLength === 0);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(read).toBe("one");
    accepted.resume();
    await until(() => read === "onetwo");
  });

  test("once released, is a stream to whoever reads it then, at that one's pace", async () => {
    client.write("one");
    await until(() => read === "one");
    reads.release();
    accepted.pause();
    const sent = Buffer.alloc(4 * 1024 * 1024, "x");
    client.end(sent);
    let received = 0;
    for await (const chunk of accepted) {
      received += chunk.length;
      expect(accepted.readableLength).toBeLessThan(1024 * 1024);
    }
    expect(received).toBe(sent.length);
    expect(read).toBe("one");
  });
});
