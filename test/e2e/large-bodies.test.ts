import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, get, type IncomingMessage, request, type Server } from "node:http";
import { setTimeout as pass } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, type Folder, type Program, startProgram } from "./harness.ts";

// Large enough that socket buffers fill up and buffers for reading are used again many times.
const BODY = randomBytes(24 * 1024 * 1024);
const DIGEST = createHash("sha256").update(BODY).digest("hex");
const SLOW_STEP_BYTES = 4 * 1024 * 1024;

type Pace = "fast" | "slow";

describe("the built program, large bodies", () => {
  let upstream: Server;
  let folder: Folder;
  let program: Program;

  beforeAll(async () => {
    upstream = createServer(async (incoming, response) => {
      if (incoming.method === "GET") response.end(BODY);
      else response.end(await digestOf(incoming, incoming.url === "/slow" ? "slow" : "fast"));
    });
    upstream.listen(0, "127.0.0.1");
    await once(upstream, "listening");
    folder = await createFolder();
    const bound = upstream.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    const config = `{ upstream: "http://127.0.0.1:${port}", routes: [{ match: "* /**", public: true }], keys: [] }`;
    program = await startProgram(await folder.write("latchkey.yaml", config));
  });
  afterAll(async () => {
    await program.stop();
    upstream.closeAllConnections();
    upstream.close();
    await folder.remove();
  });

  const download = async (pace: Pace): Promise<string> => {
    const asked = get({ port: program.port, path: "/", agent: false });
    const [response]: IncomingMessage[] = await once(asked, "response");
    if (response === undefined) throw new Error("no response");
    return digestOf(response, pace);
  };
  const upload = async (pace: Pace, framing: "measured" | "chunked"): Promise<string> => {
    const headers = framing === "measured" ? { "content-length": BODY.length } : {};
    const sending = request({ method: "PUT", port: program.port, path: `/${pace}`, agent: false, headers });
    sending.end(BODY);
    const [response]: IncomingMessage[] = await once(sending, "response");
    let text = "";
    for await (const chunk of response ?? []) text += chunk;
    return text;
  };

  test("reach the other side whole, many at once, whoever is the slower", async () => {
    const digests = await Promise.all([
      ...(["fast", "slow", "fast", "slow"] as const).map(download),
      ...(["fast", "slow"] as const).flatMap((pace) => [upload(pace, "measured"), upload(pace, "chunked")]),
    ]);
    expect(digests).toEqual(digests.map(() => DIGEST));
  });
});

async function digestOf(stream: IncomingMessage, pace: Pace): Promise<string> {
  const hash = createHash("sha256");
  let untilPause = SLOW_STEP_BYTES;
  for await (const chunk of stream) {
    hash.update(chunk);
    untilPause -= chunk.length;
    if (pace === "fast" || untilPause > 0) continue;
    untilPause = SLOW_STEP_BYTES;
    // Long enough for everything between here and the sender to fill up.
    await pass(50);
  }
  return hash.digest("hex");
}
