import { chmod, stat } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFolder, type Folder, startProgram } from "./harness.ts";

const CONFIG = 'upstream: http://127.0.0.1:9\nroutes: [{ match: "* /**", authenticated: true }]\nkeys: []\n';

let folder: Folder;
let config: string;

beforeEach(async () => {
  folder = await createFolder();
  config = await folder.write("latchkey.yaml", CONFIG);
});
afterEach(() => folder.remove());

async function listenAt(where: { readonly path: string } | { readonly host: string; readonly port: number }) {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(where, resolve));
  return server;
}

const close = (server: Server) => new Promise<void>((resolve) => server.close(() => resolve()));

describe("the built program, where the admin port is taken", () => {
  test.each([
    ["one thread", "", ["--workers", "1"]],
    ["two threads", "", ["--workers", "2"]],
    ["one thread and a candidate", "shadow: candidate.yaml\n", ["--workers", "1"]],
    ["two threads and a candidate", "shadow: candidate.yaml\n", ["--workers", "2"]],
  ])("ends at once with %s", async (_, more, args) => {
    await folder.write("candidate.yaml", CONFIG);
    await folder.write("latchkey.yaml", CONFIG + more);
    const taken = await listenAt({ host: "127.0.0.1", port: 0 });
    const bound = taken.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    await expect(startProgram(config, [...args, "--admin", `127.0.0.1:${port}`])).rejects.toThrow(
      /^the program ended with 1: latchkey: listen EADDRINUSE.* Another process listens there; choose another address with --listen or --admin\n$/,
    );
    await close(taken);
  });
});

describe("the built program, on sockets in the file system", () => {
  test("starts again where it was killed", async () => {
    const args = [
      "--workers",
      "1",
      "--listen",
      `unix:${folder.path}/own.sock`,
      "--admin",
      `unix:${folder.path}/a.sock`,
    ];
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      const program = await startProgram(config, args);
      const ended = new Promise((resolve) => program.process.once("exit", resolve));
      program.process.kill(signal);
      await ended;
    }
    await expect(stat(join(folder.path, "own.sock"))).rejects.toThrow("ENOENT");
  });

  test.each(["--listen", "--admin"])("leaves a living one alone: %s", async (flag) => {
    const path = join(folder.path, "taken.sock");
    const living = await listenAt({ path });
    const { ino } = await stat(path);
    await expect(startProgram(config, ["--workers", "1", flag, `unix:${path}`])).rejects.toThrow(
      /ended with 1: .*EADDRINUSE.* Another process listens there/,
    );
    expect((await stat(path)).ino).toBe(ino);
    await close(living);
  });

  test("leaves a file that is no socket alone", async () => {
    await expect(startProgram(config, ["--workers", "1", "--listen", `unix:${config}`])).rejects.toThrow(
      "There is a file already, which is no socket",
    );
    expect((await stat(config)).isFile()).toBe(true);
  });

  test("says what is in its way where it may not write", async () => {
    await chmod(config, 0o644);
    await chmod(folder.path, 0o555);
    // Root may write anywhere, so that it takes another user.
    const asNobody = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--clear-groups"] : [];
    const started = startProgram(config, ["--workers", "1", "--listen", `unix:${folder.path}/x.sock`], asNobody);
    await expect(started).rejects.toThrow(/EACCES.* This user may not write to the directory/);
    await expect(started).rejects.not.toThrow("1024");
    await chmod(folder.path, 0o700);
  });
});
