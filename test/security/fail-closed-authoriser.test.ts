import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuthorizer } from "../../src/admin/authorizer.ts";
import type { Gateway } from "../../src/proxy/gateway.ts";
import { createFolder, type Folder } from "../e2e/harness.ts";
import { readAnswers } from "./bench/answers.ts";
import { broken, untouchable, withGeneration, withPolicy, withSettings } from "./bench/broken.ts";
import { sendBytes } from "./bench/client.ts";
import { loadGeneration, openPlane, type Plane } from "./bench/gateway.ts";
import { fillWords, toConfig } from "./bench/words.ts";
import { KEY, message } from "./cases/message.ts";

const ORIGIN = "X-Forwarded-For: 198.51.100.7";

/** Calls as Envoy makes them: it may let a request pass that is answered 5xx. */
const CALLS = {
  allowed: message("GET /authorize/any/{tag} HTTP/1.1", [KEY, ORIGIN]),
  public: message("GET /authorize/public/{tag} HTTP/1.1", [ORIGIN]),
  "without a key": message("GET /authorize/any/{tag} HTTP/1.1", [ORIGIN]),
  "with an unknown key": message("GET /authorize/any/{tag} HTTP/1.1", ["X-API-Key: {unknown}", ORIGIN]),
  unclear: message("GET /authorize/any/{tag} HTTP/1.1", [KEY]),
} as const;

type CallKind = keyof typeof CALLS;
const KINDS: readonly CallKind[] = ["allowed", "public", "without a key", "with an unknown key", "unclear"];

const SOUND: Readonly<Record<CallKind, number>> = {
  allowed: 200,
  public: 200,
  "without a key": 401,
  "with an unknown key": 401,
  unclear: 400,
};

const ALL_REFUSED: Readonly<Record<CallKind, number>> = {
  allowed: 403,
  public: 403,
  "without a key": 403,
  "with an unknown key": 403,
  unclear: 403,
};

/** A part that throws, and what differs from a sound authoriser while it does. */
const FAULTS: readonly (readonly [
  part: string,
  breakPart: (gateway: Gateway) => Gateway,
  answers: Partial<Record<CallKind, number>>,
])[] = [
  ["nothing", (gateway) => gateway, {}],
  ["the generation in force", (gateway) => ({ ...gateway, current: broken }), ALL_REFUSED],
  ["request ids", (gateway) => ({ ...gateway, createRequestId: broken }), ALL_REFUSED],
  [
    "the wall clock",
    (gateway) => ({ ...gateway, clock: { ...gateway.clock, now: broken } }),
    { ...ALL_REFUSED, unclear: 400 },
  ],
  [
    "the clock that only grows",
    (gateway) => ({ ...gateway, clock: { ...gateway.clock, elapsed: broken } }),
    ALL_REFUSED,
  ],
  [
    "the count of failures",
    (gateway) => ({ ...gateway, state: { ...gateway.state, failures: untouchable(gateway.state.failures) } }),
    { "with an unknown key": 403 },
  ],
  ["the observer", (gateway) => ({ ...gateway, observer: { record: broken } }), {}],
  ["the shadow policy", (gateway) => ({ ...gateway, shadow: broken }), {}],
  ["identity headers", withGeneration((generation) => ({ ...generation, identity: broken })), { allowed: 403 }],
  [
    "the assertion, at once",
    withGeneration((generation) => ({ ...generation, assertions: { header: "X-A", assertionFor: broken } })),
    { allowed: 403 },
  ],
  [
    "the assertion, later",
    withGeneration((generation) => ({
      ...generation,
      assertions: { header: "X-A", assertionFor: () => Promise.reject(new Error("broken on purpose")) },
    })),
    { allowed: 403 },
  ],
  [
    "header rules",
    withGeneration((generation) => ({ ...generation, headerRules: { classify: broken } })),
    { allowed: 403, public: 403 },
  ],
  [
    "the wording of refusals",
    withSettings("denials"),
    { "without a key": 403, "with an unknown key": 403, unclear: 403 },
  ],
  ["the operations of management", withSettings("operations"), { allowed: 403, public: 403 }],
  ["settings of the listener", withSettings("listen"), ALL_REFUSED],
  ["settings of identity", withSettings("identity"), { ...ALL_REFUSED, unclear: 400 }],
  ["path rules", withPolicy("paths"), { ...ALL_REFUSED, unclear: 400 }],
  ["routes", withPolicy("routes"), { ...ALL_REFUSED, unclear: 400 }],
  ["keys", withPolicy("keys"), { allowed: 403, "without a key": 403, "with an unknown key": 403 }],
];

describe.for(FAULTS)("an authoriser in which %s is broken", ([, breakPart, answers]) => {
  let folder: Folder;
  let plane: Plane;
  let server: Server;
  let port = 0;

  beforeAll(async () => {
    folder = await createFolder();
    const text = toConfig("http://127.0.0.1:1", "", "admin: { authorizer: 127.0.0.1 }");
    const generation = await loadGeneration(folder, text);
    let sound: Gateway | undefined;
    plane = await openPlane(generation, (gateway) => {
      sound = gateway;
      return gateway;
    });
    if (sound === undefined) throw new Error("the plane has no gateway");
    const authorize = createAuthorizer(breakPart(sound), () => {});
    server = createServer((request, response) => {
      if (!authorize(request, response)) response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const bound = server.address();
    port = typeof bound === "object" && bound !== null ? bound.port : 0;
  });
  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    await plane.close();
    await folder.remove();
  });

  test.for(KINDS)("answers a call %s once, and never lets pass what it could not decide", async (kind) => {
    const { bytes } = await sendBytes({
      port,
      parts: [{ bytes: fillWords(CALLS[kind], "Q0000") }],
      ending: "wait",
      deadlineMs: 10_000,
    });
    const { final, rest } = readAnswers(bytes, true, false);
    expect(final.map(({ status }) => status)).toEqual([{ ...SOUND, ...answers }[kind]]);
    expect(rest).toBe("");
    const isNamed = /^x-latchkey-key-id: alice\r$/im.test(`${final[0]?.head}\r\n`);
    expect(isNamed).toBe(final[0]?.status === 200 && kind === "allowed");
  });
});
