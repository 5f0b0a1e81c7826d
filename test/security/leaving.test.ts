import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, type Folder, type Program, startProgram } from "../e2e/harness.ts";
import { sendBytes } from "./bench/client.ts";
import { type RecordingUpstream, startRecordingUpstream } from "./bench/recording-upstream.ts";
import { fillWords, toConfig } from "./bench/words.ts";
import { KEY, keepAlive, message } from "./cases/message.ts";

const CONNECTIONS = 2;
const LARGE = 20 * 1024 * 1024;

describe("a client that leaves", () => {
  let folder: Folder;
  let upstream: RecordingUpstream;
  let program: Program;

  beforeAll(async () => {
    folder = await createFolder();
    upstream = await startRecordingUpstream();
    const config = toConfig(upstream.url, "").replace(
      "upstream: {",
      `upstream: { maxConnections: ${CONNECTIONS * 2}, maxQueue: 0,`,
    );
    program = await startProgram(await folder.write("latchkey.yaml", config));
  });
  afterAll(async () => {
    await program.stop();
    await upstream.close();
    await folder.remove();
  });

  const arrivals = (text: string): number => upstream.connections.filter(({ bytes }) => bytes.includes(text)).length;

  test("takes what it pipelined with it: no upstream connection stays behind", async () => {
    upstream.script("silent", { bytes: "" });
    upstream.script("large", {
      bytes: `HTTP/1.1 200 OK\r\nContent-Length: ${LARGE}\r\n\r\n${"x".repeat(LARGE)}`,
      ending: "close",
    });
    const pipelined =
      keepAlive("GET /any/a HTTP/1.1", [KEY]).replace("{tag}", "silent") +
      message("GET /any/b HTTP/1.1", [KEY]).replace("{tag}", "large");
    for (let round = 1; round <= CONNECTIONS * 2; round += 1) {
      const socket = connect(program.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(fillWords(pipelined, ""), "latin1");
      await expect.poll(() => [arrivals("/any/a"), arrivals("/any/b")], { timeout: 10_000 }).toEqual([round, round]);
      socket.destroy();
      // Both places are free again: a request passes where a full pool is answered 503.
      await expect
        .poll(
          async () => {
            const asked = fillWords(message("GET /any/c HTTP/1.1", [KEY]), "plain");
            const all = await Promise.all(
              Array.from({ length: CONNECTIONS * 2 }, () =>
                sendBytes({ port: program.port, parts: [{ bytes: asked }], ending: "wait", deadlineMs: 5000 }),
              ),
            );
            return all.filter(({ bytes }) => bytes.startsWith("HTTP/1.1 200")).length;
          },
          { timeout: 10_000 },
        )
        .toBe(CONNECTIONS * 2);
    }
  }, 60_000);
});
