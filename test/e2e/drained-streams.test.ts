import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { createFolder, sha256Of, startProgram, startUpstream } from "./harness.ts";

const KEY = "lk_str3amstr3amstr3amstr3amstr3am";
const TIMEOUT_MS = 9_000;

const CONFIG = (upstreamUrl: string, workers: number) => `
upstream: ${upstreamUrl}
workers: ${workers}
routes: [{ match: "* /**", authenticated: true }]
keys: [{ id: pos, hash: "${sha256Of(KEY)}" }]
drain: { timeout: ${TIMEOUT_MS}ms }
`;

describe("the built program, with event streams open when it is asked to stop", () => {
  test.each([1, 2])("ends them once all else is done, and then itself: %d workers", async (workers) => {
    let left = 0;
    const upstream = await startUpstream((request, response) => {
      if (request.url === "/slow") setTimeout(() => response.end("slow but whole"), 700);
      else {
        response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" }).write("data: one\n\n");
        request.socket.on("close", () => {
          left += 1;
        });
      }
    });
    const folder = await createFolder();
    const program = await startProgram(await folder.write("latchkey.yaml", CONFIG(upstream.url, workers)));
    const get = (path: string) => fetch(`${program.url}${path}`, { headers: { "x-api-key": KEY } });
    const streams = await Promise.all([get("/events"), get("/events"), get("/events")]);
    const slow = get("/slow");
    await expect.poll(() => upstream.requests.length).toBe(4);
    const startedMs = performance.now();
    const stopped = program.stop();
    expect(await (await slow).text()).toBe("slow but whole");
    expect(performance.now() - startedMs).toBeGreaterThan(300);
    // Whole, and not broken off: `text` would fail.
    for (const stream of streams) expect(await stream.text()).toBe("data: one\n\n");
    expect(await stopped).toBe(0);
    expect(performance.now() - startedMs).toBeLessThan(TIMEOUT_MS / 2);
    expect(left).toBe(3);
    const lines = program.lines.filter(({ path }) => path === "/events");
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).toMatchObject({ level: "info", status: 200, ending: "drained" });
    await upstream.close();
    await folder.remove();
  });

  test("cuts an ordinary answer that never ends, when its time is over", async () => {
    const upstream = await startUpstream((_, response) => {
      response.writeHead(200, { "content-type": "text/plain" }).write("begun");
    });
    const folder = await createFolder();
    const text = CONFIG(upstream.url, 1).replace(`${TIMEOUT_MS}ms`, "1s");
    const program = await startProgram(await folder.write("latchkey.yaml", text));
    const answer = await fetch(`${program.url}/x`, { headers: { "x-api-key": KEY } });
    program.process.kill("SIGTERM");
    await expect(answer.text()).rejects.toThrow();
    const [code] = await once(program.process, "exit");
    expect(code).toBe(1);
    await upstream.close();
    await folder.remove();
  });
});
