import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { Agent, get } from "node:https";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
