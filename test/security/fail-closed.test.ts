import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Gateway } from "../../src/proxy/gateway.ts";
import type { Generation } from "../../src/proxy/generation.ts";
import { createFolder, type Folder } from "../e2e/harness.ts";
import { readAnswers } from "./bench/answers.ts";
import { broken, untouchable, withGeneration, withPolicy, withSettings } from "./bench/broken.ts";
import { sendBytes } from "./bench/client.ts";
import { loadGeneration, openPlane } from "./bench/gateway.ts";
import { valuesOf } from "./bench/message-reader.ts";
import { type RecordingUpstream, startRecordingUpstream } from "./bench/recording-upstream.ts";
import { fillWords, toConfig } from "./bench/words.ts";
import { KEY, keepAlive, message } from "./cases/message.ts";

/** One part that throws, and the answer to a request of each kind while it does. */
interface Fault {
  readonly part: string;
  readonly breakPart: (gateway: Gateway) => Gateway;
  readonly answers: Readonly<Record<RequestKind, number>>;
}

type RequestKind =
  | "allowed"
  | "public"
  | "without a key"
  | "with an unknown key"
  | "with a slow key"
  | "upgrade"
  | "no HTTP";

const REQUESTS: Readonly<Record<RequestKind, string>> = {
  allowed: message("GET /any/{tag} HTTP/1.1", [KEY]),
  public: message("GET /public/{tag} HTTP/1.1"),
  "without a key": message("GET /any/{tag} HTTP/1.1"),
  "with an unknown key": message("GET /any/{tag} HTTP/1.1", ["X-API-Key: {unknown}"]),
  "with a slow key": message("GET /any/{tag} HTTP/1.1", ["X-API-Key: tk_live_5105000000000000000000000000000f"]),
  upgrade: keepAlive("GET /any/{tag} HTTP/1.1", [KEY, "Connection: Upgrade", "Upgrade: websocket"]),
  "no HTTP": "nonsense {tag}\r\n\r\n",
};
const KINDS: readonly RequestKind[] = [
  "allowed",
  "public",
  "without a key",
  "with an unknown key",
  "with a slow key",
  "upgrade",
  "no HTTP",
];

/** What a sound gateway answers; a fault names what differs. 0: the connection ends without an answer. */
const SOUND: Fault["answers"] = {
  allowed: 200,
  public: 200,
  "without a key": 401,
  "with an unknown key": 401,
  "with a slow key": 401,
  upgrade: 101,
  "no HTTP": 400,
};
const ALL_BROKEN: Fault["answers"] = {
  allowed: 500,
  public: 500,
  "without a key": 500,
  "with an unknown key": 500,
  "with a slow key": 500,
  upgrade: 500,
  "no HTTP": 0,
};

const NO_DECISION: Fault["answers"] = { ...ALL_BROKEN, "no HTTP": 400 };
const PUBLIC_ONLY: Fault["answers"] = { ...NO_DECISION, public: 200 };

const FAULTS: readonly Fault[] = [
  { part: "nothing", breakPart: (gateway) => gateway, answers: SOUND },
  { part: "the generation in force", breakPart: (gateway) => ({ ...gateway, current: broken }), answers: ALL_BROKEN },
  {
    part: "request ids",
    breakPart: (gateway) => ({ ...gateway, createRequestId: broken }),
    answers: ALL_BROKEN,
  },
  {
    part: "the wall clock",
    breakPart: (gateway) => ({ ...gateway, clock: { ...gateway.clock, now: broken } }),
    answers: { ...ALL_BROKEN, "no HTTP": 400 },
  },
  {
    part: "the clock that only grows",
    breakPart: (gateway) => ({ ...gateway, clock: { ...gateway.clock, elapsed: broken } }),
    answers: { ...ALL_BROKEN, "no HTTP": 400 },
  },
  {
    part: "timers",
    breakPart: (gateway) => ({ ...gateway, clock: { ...gateway.clock, after: broken } }),
    answers: { ...SOUND, "with an unknown key": 500, "with a slow key": 500 },
  },
  {
    part: "the token buckets",
    breakPart: (gateway) => ({ ...gateway, state: { ...gateway.state, buckets: untouchable(gateway.state.buckets) } }),
    answers: { ...SOUND, allowed: 500, upgrade: 500 },
  },
  {
    part: "the count of failures",
    breakPart: (gateway) => ({
      ...gateway,
      state: { ...gateway.state, failures: untouchable(gateway.state.failures) },
    }),
    answers: { ...SOUND, "with an unknown key": 500, "with a slow key": 500 },
  },
  {
    part: "the memory of slow digests",
    breakPart: (gateway) => ({ ...gateway, state: { ...gateway.state, verified: { find: broken } } }),
    answers: { ...SOUND, "with a slow key": 500 },
  },
  {
    part: "the verifier, at once",
    breakPart: (gateway) => ({ ...gateway, verifier: { verify: broken } }),
    answers: { ...SOUND, "with a slow key": 500 },
  },
  {
    part: "the verifier, later",
    breakPart: (gateway) => ({
      ...gateway,
      verifier: { verify: () => Promise.reject(new Error("broken on purpose")) },
    }),
    answers: { ...SOUND, "with a slow key": 500 },
  },
  {
    part: "the choice of a forwarder",
    breakPart: (gateway) => ({ ...gateway, forwarder: broken }),
    answers: { ...SOUND, allowed: 500, public: 500, upgrade: 500 },
  },
  {
    part: "the forwarder",
    breakPart: (gateway) => ({ ...gateway, forwarder: () => ({ ...gateway.forwarder(), forward: broken }) }),
    answers: { ...SOUND, allowed: 500, public: 500, upgrade: 500 },
  },
  {
    part: "the list of open exchanges, at its beginning",
    breakPart: (gateway) => ({ ...gateway, openExchanges: { ...gateway.openExchanges, add: broken } }),
    answers: { ...SOUND, allowed: 500, public: 500, upgrade: 500 },
  },
  {
    part: "the list of open exchanges, at its end",
    breakPart: (gateway) => ({ ...gateway, openExchanges: { ...gateway.openExchanges, remove: broken } }),
    answers: SOUND,
  },
  { part: "the observer", breakPart: (gateway) => ({ ...gateway, observer: { record: broken } }), answers: SOUND },
  { part: "the shadow policy", breakPart: (gateway) => ({ ...gateway, shadow: broken }), answers: SOUND },
  {
    part: "the question whether the process drains",
    breakPart: (gateway) => ({ ...gateway, isDraining: broken }),
    answers: NO_DECISION,
  },
  {
    part: "header rules",
    breakPart: withGeneration((generation) => ({ ...generation, headerRules: { classify: broken } })),
    answers: { ...SOUND, allowed: 500, public: 500, upgrade: 500 },
  },
  {
    part: "identity headers",
    breakPart: withGeneration((generation) => ({ ...generation, identity: broken })),
    answers: { ...SOUND, allowed: 500, upgrade: 500 },
  },
  {
    part: "the assertion, at once",
    breakPart: withGeneration((generation) => ({ ...generation, assertions: { header: "X-A", assertionFor: broken } })),
    answers: { ...SOUND, allowed: 500, upgrade: 500 },
  },
  {
    part: "the assertion, later",
    breakPart: withGeneration((generation) => ({
      ...generation,
      assertions: { header: "X-A", assertionFor: () => Promise.reject(new Error("broken on purpose")) },
    })),
    answers: { ...SOUND, allowed: 500, upgrade: 500 },
  },
  {
    part: "the wording of refusals",
    breakPart: withSettings("denials"),
    answers: { ...SOUND, "without a key": 500, "with an unknown key": 500, "with a slow key": 500, "no HTTP": 0 },
  },
  {
    part: "limit headers",
    breakPart: withSettings("limitHeaders"),
    answers: { ...SOUND, allowed: 500, upgrade: 500 },
  },
  {
    part: "key operations",
    breakPart: withSettings("operations"),
    answers: { ...SOUND, allowed: 500, public: 500, upgrade: 500 },
  },
  { part: "the listener's settings", breakPart: withSettings("listen"), answers: { ...ALL_BROKEN, "no HTTP": 400 } },
  { part: "path rules", breakPart: withPolicy("paths"), answers: NO_DECISION },
  { part: "routes", breakPart: withPolicy("routes"), answers: NO_DECISION },
  { part: "credential rules", breakPart: withPolicy("credentials"), answers: PUBLIC_ONLY },
  { part: "key formats", breakPart: withPolicy("keyFormats"), answers: { ...PUBLIC_ONLY, "without a key": 401 } },
  { part: "accepted segments", breakPart: withPolicy("accept"), answers: { ...PUBLIC_ONLY, "without a key": 401 } },
  { part: "keys", breakPart: withPolicy("keys"), answers: PUBLIC_ONLY },
  {
    part: "what was read of keys before",
    breakPart: withPolicy("principals"),
    answers: { ...SOUND, allowed: 500, upgrade: 500 },
  },
];

describe("a part that throws", () => {
  let folder: Folder;
  let upstream: RecordingUpstream;
  let generation: Generation;

  beforeAll(async () => {
    folder = await createFolder();
    upstream = await startRecordingUpstream();
    const slow = `- { id: slow, prefix: tk_live_5105, hash: "$2y$10$${"a".repeat(53)}" }`;
    generation = await loadGeneration(
      folder,
      toConfig(upstream.url, "")
        .replace("keys:\n", `keys:\n  ${slow}\n`)
        .replace("limits: {", "limits: { default: 1000000/minute,"),
    );
  });
  afterAll(async () => {
    await upstream.close();
    await folder.remove();
  });

  test.for(FAULTS)("denies and forwards nothing without identity: $part", async ({ part, breakPart, answers }) => {
    const plane = await openPlane(generation, breakPart);
    const outcomes: Partial<Record<RequestKind, number>> = {};
    const ask = async (kind: RequestKind): Promise<void> => {
      const tag = `F${FAULTS.findIndex((fault) => fault.part === part)}-${KINDS.indexOf(kind)}-end`;
      const { bytes, ending } = await sendBytes({
        port: plane.port,
        parts: [{ bytes: fillWords(REQUESTS[kind], tag) }],
        ending: "wait",
        until: "101 Switching",
        deadlineMs: 3000,
      });
      const { final } = readAnswers(bytes, ending === "closed", false);
      expect(final.length, `${kind}: ${bytes}`).toBeLessThanOrEqual(1);
      outcomes[kind] = final[0]?.status ?? (bytes.includes(" 101 ") ? 101 : 0);
      const arrived = upstream.connections
        .flatMap(({ messages }) => messages)
        .filter(({ target }) => target.includes(tag));
      const passes = outcomes[kind] === 200 || outcomes[kind] === 101;
      for (const { fields } of arrived) {
        const identity = ["x-latchkey-key-id", "x-latchkey-tenant", "x-latchkey-scopes"].map((name) =>
          valuesOf(fields, name),
        );
        expect(identity).toEqual(kind === "public" ? [[], [], []] : [["alice"], ["bakery"], ["orders:*"]]);
      }
      if (passes) expect(arrived).toHaveLength(1);
      expect(bytes).not.toContain("broken on purpose");
    };
    await Promise.all(KINDS.map(ask));
    await plane.close();
    expect(outcomes).toEqual(answers);
  });
});
