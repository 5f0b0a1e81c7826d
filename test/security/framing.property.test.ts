import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFolder, type Folder, type Program, startProgram } from "../e2e/harness.ts";
import { readAnswers } from "./bench/answers.ts";
import type { Reply } from "./bench/case.ts";
import { type Received, sendBytes } from "./bench/client.ts";
import { cutAt, cuts, damage, type Meant, meant } from "./bench/generated.ts";
import { type Message, valuesOf } from "./bench/message-reader.ts";
import { type RecordingUpstream, startRecordingUpstream } from "./bench/recording-upstream.ts";
import { findReached } from "./bench/run.ts";
import { CREDENTIALS, fillWords, IDENTITY_OF_KEY, toConfig } from "./bench/words.ts";

const RUNS = 500;
const DEADLINE_MS = 6000;

/** Sound answers of every kind; the last status is what the client must get, once for each request. */
const REPLIES: readonly (readonly [status: number, reply: Reply])[] = [
  [200, { bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }],
  [200, { bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n" }],
  [204, { bytes: "HTTP/1.1 204 No Content\r\n\r\n" }],
  [304, { bytes: "HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\n" }],
  [
    200,
    {
      bytes: `${"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(20)}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`,
    },
  ],
  [500, { bytes: "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ending: "close" }],
];

/** The identity headers of the one key that asks. */
const OURS = ["x-latchkey-environment", ...Object.keys(IDENTITY_OF_KEY)].toSorted();

describe("the built program, whatever the framing", () => {
  let folder: Folder;
  let upstream: RecordingUpstream;
  let program: Program;
  let count = 0;

  beforeAll(async () => {
    folder = await createFolder();
    upstream = await startRecordingUpstream();
    program = await startProgram(await folder.write("latchkey.yaml", toConfig(upstream.url, "")));
  });
  afterAll(async () => {
    await program.stop();
    await upstream.close();
    await folder.remove();
  });

  const nextTag = (): string => {
    count += 1;
    return `Q${String(count).padStart(4, "0")}`;
  };
  const send = (
    bytes: string,
    tag: string,
    places: readonly number[],
    ending: "wait" | "half-close" | "close",
  ): Promise<Received> =>
    sendBytes({
      port: program.port,
      parts: cutAt(fillWords(bytes, tag), places).map((part) => ({ bytes: part })),
      ending,
      deadlineMs: DEADLINE_MS,
    });
  const reachedBy = (tag: string): readonly Message[] => findReached(tag, [upstream]).map(({ message }) => message);

  test("every allowed request of a pipeline arrives exactly once, with its body, and nothing else does", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(meant, { minLength: 1, maxLength: 4 }),
        cuts,
        fc.constantFrom(...REPLIES),
        async (requests: readonly Meant[], places, [status, reply]) => {
          const tag = nextTag();
          // HEAD's answers carry no body, which only one who knows the method can tell.
          const bodiless = requests.some(({ method }) => method === "HEAD");
          const chosen: Reply = bodiless ? { bytes: "HTTP/1.1 204 No Content\r\n\r\n" } : reply;
          upstream.script(tag, chosen);
          const bytes = requests.map((request, place) => request.bytes(place, place === requests.length - 1)).join("");
          const { bytes: received, ending } = await send(bytes, tag, places, "wait");

          const refusedHead = requests.some(({ method, hasKey }) => method === "HEAD" && !hasKey);
          if (!refusedHead) {
            // A refused body that was announced with Expect ends the connection, and what follows it.
            const answers = readAnswers(received, ending === "closed", false).final.map((answer) => answer.status);
            const expected = requests.map(({ hasKey }) => (hasKey ? (bodiless ? 204 : status) : 401));
            expect(answers).toEqual(expected.slice(0, answers.length));
            if (answers.length < requests.length) {
              expect(requests[answers.length - 1]?.hasKey, `${ending}: ${JSON.stringify(received)}`).toBe(false);
            }
          }
          const arrived = reachedBy(tag);
          const arrivedAt = arrived.map(({ target }) => Number(target.split("/").at(-1)));
          expect(new Set(arrivedAt).size).toBe(arrived.length);
          for (const message of arrived) {
            const sent = requests[Number(message.target.split("/").at(-1))];
            expect(sent?.hasKey).toBe(true);
            expectSound(message);
            expect([message.method, message.body, message.complete]).toEqual([sent?.method, sent?.body, true]);
          }
          const cutShortAt = requests.findIndex(
            (request) => !request.hasKey && request.bytes(0, false).includes("Expect: 100-continue"),
          );
          const due = (cutShortAt === -1 ? requests : requests.slice(0, cutShortAt)).filter(({ hasKey }) => hasKey);
          expect(arrived.length).toBeGreaterThanOrEqual(due.length);
        },
      ),
      { numRuns: RUNS },
    );
  }, 60_000);

  test("no damage to a request makes the upstream read a message that is not sound, or one that was not sent", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(meant, { minLength: 1, maxLength: 2 }),
        fc.array(damage, { minLength: 1, maxLength: 3 }),
        cuts,
        fc.constantFrom("half-close" as const, "close" as const),
        async (requests, damages, places, ending) => {
          const tag = nextTag();
          const bytes = requests.map((request, place) => request.bytes(place, false)).join("");
          await send(
            damages.reduce<string>((text, apply) => apply(text), bytes),
            tag,
            places,
            ending,
          );
          for (const message of reachedBy(tag)) expectSound(message);
        },
      ),
      { numRuns: RUNS * 2 },
    );
  }, 60_000);

  test("an upstream's damaged answer reaches the client once, marked as broken, or not at all", async () => {
    const REPLY = "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n";
    const MEASURED = "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 8\r\n\r\nhelloyou";
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(REPLY, MEASURED),
        fc.array(damage, { minLength: 1, maxLength: 2 }),
        async (reply, damages) => {
          const tag = nextTag();
          const bytes = damages.reduce<string>((text, apply) => apply(text), reply);
          upstream.script(tag, { bytes, ending: "close" });
          const request = `GET /any/{tag} HTTP/1.1\r\nHost: a\r\nX-Case: {tag}\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n`;
          const received = await send(request, tag, [], "wait");
          const { final, rest } = readAnswers(received.bytes, received.ending === "closed", false);
          expect(received.ending).toBe("closed");
          expect(final.length).toBeLessThanOrEqual(1);
          expect(rest).toBe("");
          const [head = ""] = received.bytes.split("\r\n\r\n");
          expect(head).not.toMatch(/(?<!\r)\n|\r(?!\n)|\0/);
          expect(reachedBy(tag).length).toBeLessThanOrEqual(2);
        },
      ),
      { numRuns: RUNS },
    );
  }, 60_000);

  test("when all is over, everything that arrived was sound", () => {
    const messages = upstream.connections.flatMap(({ messages }) => messages);
    expect(messages.length).toBeGreaterThan(RUNS / 2);
    for (const message of messages) expectSound(message);
  });
});

/** What holds of every message, whole or broken off: it is well-formed, addressed as one was, and says who sends it. */
function expectSound(message: Message): void {
  const about = `${message.method} ${message.target}`;
  expect(message.problems, about).toEqual([]);
  expect(message.target).not.toContain("smuggled");
  expect(valuesOf(message.fields, "x-latchkey-key-id"), about).toEqual(["alice"]);
  expect(valuesOf(message.fields, "host"), about).toHaveLength(1);
  expect(message.trailers, about).toEqual([]);
  const reserved = message.fields.filter(([name]) => /^x[^a-z0-9]latchkey/i.test(name));
  expect(reserved.map(([name]) => name.toLowerCase()).toSorted(), about).toEqual(OURS);
  const fields = JSON.stringify(message.fields);
  for (const credential of Object.values(CREDENTIALS)) expect(fields.includes(credential), about).toBe(false);
}
