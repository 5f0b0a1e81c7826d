import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { Agent, get } from "node:https";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createFolder, type Folder, type Program, startProgram, type Upstream } from "../e2e/harness.ts";
import { changedAtMs, swapVolume } from "./changes.ts";
import { credentialOf, keysYaml, mainYaml, STEADY, startEcho } from "./deployment.ts";
import { measure } from "./traffic.ts";

const run = promisify(execFile);

/** A certificate with its key, as an authority hands them out. */
interface Material {
  readonly cert: string;
  readonly key: string;
  readonly fingerprint: string;
}

// From the renewal to the first handshake with it.
const RENEWED_MS = 250;

describe("the built program, whose TLS certificate is renewed,", { timeout: 60_000 }, () => {
  let upstream: Upstream;
  let pems: Folder;
  let issued: readonly Material[] = [];

  beforeAll(async () => {
    upstream = await startEcho();
    pems = await createFolder();
    issued = await Promise.all(["one", "two", "three", "four", "five"].map((name) => issue(pems.path, name)));
  });
  afterAll(async () => {
    await upstream.close();
    await pems.remove();
  });

  const nth = (index: number): Material => {
    const material = issued[index];
    if (material === undefined) throw new Error(`no certificate ${index}`);
    return material;
  };

  const TLS = "listen: { tls: { cert: tls/tls.crt, key: tls/tls.key } }\n";

  async function withProgram(
    lay: (tls: string, material: Material) => Promise<void>,
    use: (program: Program, tls: string) => Promise<void>,
  ): Promise<void> {
    const folder = await createFolder();
    const tls = join(folder.path, "tls");
    await mkdir(tls);
    await lay(tls, nth(0));
    await folder.write("keys.yaml", keysYaml(1, 0));
    const program = await startProgram(
      await folder.write("latchkey.yaml", mainYaml(upstream.url, 1, "keys.yaml", TLS)),
    );
    try {
      await use(program, tls);
    } finally {
      await program.stop();
      await folder.remove();
    }
  }

  const swapSecret = (tls: string, { cert, key }: Material) => swapVolume(tls, { "tls.crt": cert, "tls.key": key });

  /** As certbot's hooks and hand-made scripts do: one file renamed into place after the other. */
  const renameBoth = async (tls: string, { cert, key }: Material): Promise<void> => {
    for (const [name, text] of [
      ["tls.key", key],
      ["tls.crt", cert],
    ] as const) {
      await writeFile(join(tls, `${name}.next`), text, { mode: 0o600 });
      await rename(join(tls, `${name}.next`), join(tls, name));
    }
  };

  test.each([
    ["by the kubelet's swap of a Secret", swapSecret, "..data"],
    ["by files renamed over one after the other", renameBoth, "tls.crt"],
  ])("shows the new one in new handshakes, and keeps existing connections, %s", async (_, renew, place) => {
    await withProgram(renew, async (program, tls) => {
      const kept = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
      const first = await request(program.port, kept);
      expect(first.fingerprint).toBe(nth(0).fingerprint);
      const latencies = await measure(3, RENEWED_MS, async (turn) => {
        const material = nth((turn + 1) % issued.length);
        const renewedAt = firstHandshake(program.port, material.fingerprint);
        await renew(tls, material);
        const changedAt = await changedAtMs(join(tls, place));
        const latency = (await renewedAt) - changedAt;
        // The old connection is used again, with the certificate it was opened with.
        expect(await request(program.port, kept)).toEqual(first);
        return latency;
      });
      kept.destroy();
      process.stdout.write(`From the renewal to the first handshake: ${latencies.map(Math.round).join(" ")} ms\n`);
      expect(Math.min(...latencies)).toBeLessThan(RENEWED_MS);
    });
  });

  test.each([
    ["that is no certificate", ({ key }: Material) => ({ "tls.crt": "no certificate", "tls.key": key })],
    ["with another one's key", ({ cert }: Material) => ({ "tls.crt": cert, "tls.key": nth(4).key })],
    ["without a key", ({ cert }: Material) => ({ "tls.crt": cert })],
  ])("keeps the last good one over one %s, says so, and takes the next", async (_, breakUp) => {
    await withProgram(swapSecret, async (program, tls) => {
      const agent = new Agent({ rejectUnauthorized: false });
      await swapVolume(tls, breakUp(nth(1)));
      await program.waitForLine(({ level, msg }) => level === "error" && /TLS|reload rejected/.test(String(msg)));
      expect((await request(program.port, agent)).fingerprint).toBe(nth(0).fingerprint);
      await swapSecret(tls, nth(2));
      await firstHandshake(program.port, nth(2).fingerprint);
    });
  });

  describe("and that is started with --last-good,", () => {
    const KEPT = "last good copy made";
    let folder: Folder;
    let tls: string;
    const running: Program[] = [];
    const start = async (): Promise<Program> => {
      const program = await startProgram(join(folder.path, "latchkey.yaml"), [
        "--last-good",
        join(folder.path, "copy"),
      ]);
      running.push(program);
      return program;
    };
    const shownBy = async (program: Program) => {
      const { status, fingerprint } = await request(program.port, new Agent({ rejectUnauthorized: false }));
      return [status, issued.findIndex((material) => material.fingerprint === fingerprint)];
    };
    const writeMain = (routes: number) =>
      folder.write("latchkey.yaml", mainYaml(upstream.url, routes, "keys.yaml", TLS));

    beforeEach(async () => {
      folder = await createFolder();
      tls = join(folder.path, "tls");
      await mkdir(tls);
      await swapSecret(tls, nth(0));
      await folder.write("keys.yaml", keysYaml(1, 0));
      await writeMain(1);
    });
    afterEach(async () => {
      for (const program of running.splice(0)) await program.stop();
      await folder.remove();
    });

    test("begins with the kept certificate, but with the config of the files, where only the certificate is bad", async () => {
      const before = await start();
      await before.waitForLine(({ msg }) => msg === KEPT);
      await swapVolume(tls, { "tls.crt": nth(1).cert, "tls.key": nth(4).key });
      await before.waitForLine(({ msg }) => msg === "the last good copy could not be made");
      await before.stop();

      const program = await start();
      const told = await program.waitForLine(({ level }) => level === "error");
      expect(told["msg"]).toBe("the TLS certificate cannot be used, that of the last good copy is in force");
      expect(await program.waitForLine(({ msg }) => msg === "ready")).not.toHaveProperty("lastGoodCopy");
      expect(await shownBy(program)).toEqual([200, 0]);
      await swapSecret(tls, nth(2));
      await firstHandshake(program.port, nth(2).fingerprint);
      await program.waitForLine(({ msg }) => msg === KEPT);
      expect(await shownBy(program)).toEqual([200, 2]);
    });

    test("begins with the whole copy where config and certificate are gone, and takes up the next good files", async () => {
      const before = await start();
      await before.waitForLine(({ msg }) => msg === KEPT);
      await before.stop();
      await folder.write("latchkey.yaml", "routes: [\n");
      await rm(tls, { recursive: true });

      const program = await start();
      expect(await program.waitForLine(({ msg }) => msg === "ready")).toHaveProperty("lastGoodCopy");
      expect(await shownBy(program)).toEqual([200, 0]);
      await mkdir(tls);
      await swapSecret(tls, nth(3));
      await writeMain(2);
      await firstHandshake(program.port, nth(3).fingerprint);
      await program.waitForLine(({ msg }) => msg === KEPT);
      expect(await shownBy(program)).toEqual([200, 3]);
    });

    test("does not start where neither the files nor the copy hold one that can be used", async () => {
      await swapVolume(tls, { "tls.crt": nth(1).cert, "tls.key": nth(4).key });
      await expect(start()).rejects.toThrow(/key values mismatch/);
    });
  });
});

async function issue(folder: string, name: string): Promise<Material> {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const subject = ["-subj", `/CN=${name}`, "-days", "2", "-nodes"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  await run("openssl", ["req", "-x509", ...kind, "-keyout", key, "-out", cert, ...subject]);
  const [certText, keyText] = [await readFile(cert, "utf8"), await readFile(key, "utf8")];
  return { cert: certText, key: keyText, fingerprint: new X509Certificate(certText).fingerprint256 };
}

/** One request; says by which connection it went and which certificate that one showed. */
function request(port: number, agent: Agent) {
  return new Promise<{ readonly status: number; readonly fingerprint: string; readonly localPort: number }>(
    (resolve, reject) => {
      const options = { agent, headers: { "x-api-key": credentialOf(STEADY[0]) } };
      get(`https://127.0.0.1:${port}/x`, options, (response) => {
        const socket = response.socket as TLSSocket;
        const fingerprint = socket.getPeerCertificate().fingerprint256;
        const { statusCode: status = 0 } = response;
        const { localPort = 0 } = socket;
        response.resume();
        response.on("end", () => resolve({ status, fingerprint, localPort }));
      }).on("error", reject);
    },
  );
}

/** Shakes hands again and again until that certificate is shown, and says when that was. */
async function firstHandshake(port: number, fingerprint: string): Promise<number> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const shown = socket.getPeerCertificate().fingerprint256;
    socket.destroy();
    const now = Date.now();
    if (shown === fingerprint) return now;
    if (now > deadline) throw new Error(`still another certificate: ${shown}`);
  }
}
