import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFolder, type Folder, type Program, startProgram } from "./harness.ts";

const run = promisify(execFile);
const HEADERS_MS = 500;
const DRAIN_MS = 300;
// The first record of a handshake, as far as its length, which announces more than is ever sent.
const HANDSHAKE = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);

describe("the built program, for a TLS handshake that does not come to its end", () => {
  let folder: Folder;
  let program: Program;

  beforeEach(async () => {
    folder = await createFolder();
    const [cert, key] = [join(folder.path, "tls.crt"), join(folder.path, "tls.key")];
    const subject = ["-subj", "/CN=localhost", "-days", "1", "-nodes"];
    const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    await run("openssl", ["req", "-x509", ...newKey, "-keyout", key, "-out", cert, ...subject]);
    const config = `
upstream: http://127.0.0.1:9
listen: { tls: { cert: "${cert}", key: "${key}" }, timeouts: { headers: ${HEADERS_MS}ms } }
drain: { delay: 0s, timeout: ${DRAIN_MS}ms }
routes: [{ match: "* /**", public: true }]
`;
    program = await startProgram(await folder.write("latchkey.yaml", config));
  });
  afterEach(() => folder.remove());

  test.for(["says nothing", "sends a byte now and then"] as const)(
    "closes the connection of a client that %s after the time for a head",
    async (kind) => {
      const startedMs = performance.now();
      const socket = connect(program.port, "127.0.0.1").resume();
      const closed = untilClosed(socket);
      let sent = 0;
      const drip = setInterval(() => {
        if (kind === "says nothing" || sent >= HANDSHAKE.length) return;
        socket.write(HANDSHAKE.subarray(sent, sent + 1));
        sent += 1;
      }, HEADERS_MS / 5);
      await closed;
      clearInterval(drip);
      const tookMs = performance.now() - startedMs;
      expect(tookMs).toBeGreaterThanOrEqual(HEADERS_MS - 50);
      expect(tookMs).toBeLessThan(HEADERS_MS * 10);
      await program.stop();
    },
  );

  test("ends at the end of the drain's time, when it is told to end", async () => {
    const socket = connect(program.port, "127.0.0.1").resume();
    const closed = untilClosed(socket);
    await once(socket, "connect");
    await program.stop();
    await closed;
  });
});

/** However it is closed: a byte that was just on its way is answered with a reset. */
function untilClosed(socket: Socket): Promise<void> {
  socket.on("error", () => {});
  return new Promise((resolve) => socket.on("close", () => resolve()));
}
