import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, type Folder, PROGRAM, sha256Of } from "../e2e/harness.ts";

const AT_ONCE = 20;

describe("the built program", () => {
  const upstream = createServer((_, response) => response.end("ok"));
  let folder: Folder;
  let config: string;
  beforeAll(async () => {
    folder = await createFolder();
    upstream.listen(0, "127.0.0.1");
    await once(upstream, "listening");
    const { port } = Object(upstream.address());
    const keys = Array.from({ length: 1_000 }, (_, index) => ({ id: `k${index}`, hash: sha256Of(`key-${index}`) }));
    const routes = [{ match: "* /**", authenticated: true }];
    const text = JSON.stringify({ upstream: `http://127.0.0.1:${port}`, routes, keys });
    config = await folder.write("latchkey.json", text);
  });
  afterAll(async () => {
    upstream.close();
    await folder.remove();
  });

  /** Serves under these flags of Node's, is asked so often, and ends. What V8 says comes at the end. */
  async function serve(flags: readonly string[], requests: number) {
    const args = [PROGRAM, "serve", "--config", config, "--listen", "127.0.0.1:0", "--admin", "off"];
    const child = spawn(process.execPath, [...flags, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(child, "exit");
    const lines: string[] = [];
    const ready = new Promise<string>((resolve) => {
      createInterface(child.stdout).on("line", (line) => {
        lines.push(line);
        const [, address] = /"listen":"([^"]+)".*"msg":"ready"/.exec(line) ?? [];
        if (address !== undefined) resolve(address);
      });
    });
    try {
      const address = await Promise.race([ready, ended.then(([code]) => `ended with ${code}`)]);
      for (let asked = 0; asked < requests; asked += AT_ONCE) {
        const ask = () => fetch(`http://${address}/`, { headers: { "x-api-key": "key-1" } });
        const answers = await Promise.all(Array.from({ length: AT_ONCE }, ask));
        expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(answers.map(() => "ok"));
      }
      child.kill("SIGTERM");
      expect(await ended).toEqual([0, null]);
    } finally {
      child.kill("SIGKILL");
    }
    return lines;
  }

  async function optimised(flags: readonly string[], requests: number) {
    const lines = await serve([...flags, "--trace-concurrent-recompilation"], requests);
    return lines.filter((line) => /Marking .* for concurrent (?:MAGLEV|TURBOFAN)/.test(line));
  }

  test("optimises nothing until it is ready, and then with one compiler what is called often", async () => {
    expect(await optimised([], 0)).toEqual([]);
    const marked = await optimised([], 1_400);
    expect(marked.filter((line) => line.includes("TURBOFAN")).length).toBeGreaterThan(5);
    expect(marked.filter((line) => line.includes("MAGLEV"))).toEqual([]);
  });

  test("uses the compilers that Node was told to use", async () => {
    const marked = await optimised(["--maglev"], 600);
    expect(marked.filter((line) => line.includes("MAGLEV")).length).toBeGreaterThan(5);
  });

  test("leaves the optimising compilers alone where Node was told not to use them", async () => {
    // To turn them on there ends the process.
    await serve(["--jitless"], 400);
  });
});
