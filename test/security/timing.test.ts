import { randomBytes } from "node:crypto";
import { Agent, request } from "node:http";
import { hashSync } from "bcryptjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createBcryptVerifier } from "../../src/app/bcrypt-verifier.ts";
import { authorize } from "../../src/proxy/authorize.ts";
import {
  createFolder,
  type Folder,
  type Program,
  sha256Of,
  startProgram,
  startUpstream,
  type Upstream,
} from "../e2e/harness.ts";
import { createPolicy, createState, toFacts } from "../policy/fixture.ts";
import { chanceBound, shuffle, superiority } from "./statistics.ts";

const hex = (bytes: number) => randomBytes(bytes).toString("hex");
const ACTIVE = `lk_live_${hex(16)}`;
const REVOKED = `lk_live_${hex(16)}`;
const PREFIX_LENGTH = 16;

/** What a stranger may present; each time another text, all of one length. */
const KINDS = {
  unknown: () => `lk_live_${hex(16)}`,
  "wrong secret under a known prefix": () => ACTIVE.slice(0, PREFIX_LENGTH) + hex(12),
  malformed: () => `lk_live_${hex(15)}zz`,
  "wrong secret under a revoked key's prefix": () => REVOKED.slice(0, PREFIX_LENGTH) + hex(12),
} as const;
type Kind = keyof typeof KINDS;
const NAMES = Object.keys(KINDS).filter((name): name is Kind => name in KINDS);
const PAIRS = NAMES.flatMap((name, index) => NAMES.slice(index + 1).map((other) => [name, other] as const));

let upstream: Upstream;
let folder: Folder;
let program: Program;
const agent = new Agent({ keepAlive: true });

async function start(digest: (credential: string) => string): Promise<void> {
  const record = (id: string, credential: string) => ({
    id,
    hash: digest(credential),
    prefix: credential.slice(0, PREFIX_LENGTH),
  });
  const config = {
    upstream: upstream.url,
    keyFormats: ["lk_{environment:live|test}_{secret:hex(32)}"],
    routes: [{ match: "* /**", authenticated: true }],
    // Strangers are counted elsewhere; here every one of them is to be answered in full.
    limits: { failures: "off" },
    keys: [record("active", ACTIVE), { ...record("revoked", REVOKED), status: "revoked" }],
  };
  program = await startProgram(await folder.write("latchkey.json", JSON.stringify(config)));
}

beforeAll(async () => {
  upstream = await startUpstream();
  folder = await createFolder();
});
afterAll(async () => {
  agent.destroy();
  await upstream?.close();
  await folder?.remove();
});

interface Answer {
  readonly tookMs: number;
  /** All that a client can see, but for what names this very request. */
  readonly seen: string;
}

function present(credential: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now();
    const headers = { authorization: `Bearer ${credential}` };
    const asking = request({ host: "127.0.0.1", port: program.port, path: "/x", headers, agent }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => {
        const { date: _, "x-request-id": requestId, ...rest } = response.headers;
        const seen = JSON.stringify([response.statusCode, rest, body.replaceAll(String(requestId), "")]);
        resolve({ tookMs: performance.now() - startedMs, seen });
      });
      response.on("error", reject);
    });
    asking.on("error", reject);
    asking.end();
  });
}

type Samples = ReadonlyMap<Kind, number[]>;

const createSamples = (): Samples => new Map(NAMES.map((name) => [name, []]));

interface Measured {
  readonly samples: Samples;
  readonly seen: ReadonlySet<string>;
}

/** Presents every kind as often, `together` of each at a time, in a new order each time. */
async function measure(times: number, together: number): Promise<Measured> {
  const samples = createSamples();
  const seen = new Set<string>();
  const answer = async (name: Kind): Promise<void> => {
    const { tookMs, seen: shown } = await present(KINDS[name]());
    samples.get(name)?.push(tookMs);
    seen.add(shown);
  };
  for (let round = 0; round < times; round += together) {
    const asked = shuffle(Array.from({ length: together }, () => NAMES).flat(), round + 1);
    if (together === 1) for (const name of asked) await answer(name);
    else await Promise.all(asked.map(answer));
  }
  return { samples, seen };
}

/** How far each pair of kinds is from indistinguishable, the furthest first. */
function compare(samples: Samples): readonly (readonly [distance: number, pair: string])[] {
  return PAIRS.map(([name, other]) => {
    const distance = Math.abs(superiority(samples.get(name) ?? [], samples.get(other) ?? []) - 0.5);
    return [distance, `${name} / ${other}`] as const;
  }).sort(([a], [b]) => b - a);
}

/** Fails where any pair is told apart by more than chance; orders are shuffled, so a busy machine is busy for all. */
function expectAlike({ samples, seen }: Measured, times: number): void {
  expect([...seen]).toHaveLength(1);
  const [furthest] = compare(samples);
  expect(furthest?.[0], furthest?.[1]).toBeLessThan(chanceBound(times));
}

describe("refused credentials take as long as each other", () => {
  test("where keys have a SHA-256 digest", async () => {
    await start(sha256Of);
    try {
      // The first requests run code that is not compiled yet.
      await measure(100, 1);
      expectAlike(await measure(500, 1), 500);
    } finally {
      await program.stop();
    }
  });

  test("where keys have a bcrypt digest", async () => {
    // Of the least cost, since digests wait for each other: sixteen at a time must fit a step of the grid.
    await start((credential) => hashSync(credential, 4));
    try {
      await measure(8, 8);
      expectAlike(await measure(160, 8), 160);
    } finally {
      await program.stop();
    }
  });
});

describe("the comparison", () => {
  test("tells a known bcrypt prefix from an unknown one where nothing is held back", async () => {
    const verifier = createBcryptVerifier(new URL("../../src/app/bcrypt-worker.ts", import.meta.url));
    const digest = { kind: "bcrypt", text: hashSync(ACTIVE, 4), cost: 4 } as const;
    const policy = createPolicy({
      routes: [{ match: "* /**", authenticated: true }],
      keys: [{ id: "active", digest, prefix: ACTIVE.slice(0, PREFIX_LENGTH) }],
    });
    const authorizer = { state: createState(), clock: { now: () => 0 }, verifier };
    const samples = createSamples();
    for (let round = 0; round < 100; round += 1) {
      for (const name of shuffle(NAMES, round + 1)) {
        const facts = toFacts({ credential: KINDS[name]() });
        const startedMs = performance.now();
        const decision = await authorize(facts, policy, authorizer);
        samples.get(name)?.push(performance.now() - startedMs);
        expect(decision).toMatchObject({ reason: "key_unknown" });
      }
    }
    await verifier.close();
    const known = samples.get("wrong secret under a known prefix") ?? [];
    expect(superiority(known, samples.get("unknown") ?? []) - 0.5).toBeGreaterThan(chanceBound(100));
  });

  test("tells apart what differs by a third of its spread, and not what does not differ", () => {
    const noise = (seed: number) =>
      shuffle(
        Array.from({ length: 500 }, (_, index) => index / 500),
        seed,
      );
    const [first, second] = [noise(1), noise(2)];
    expect(Math.abs(superiority(first, second) - 0.5)).toBeLessThan(chanceBound(500));
    const slower = second.map((value) => value + 0.12);
    expect(Math.abs(superiority(slower, first) - 0.5)).toBeGreaterThan(chanceBound(500));
  });
});
