import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { damage } from "../security/bench/generated.ts";
import { type Both, createBoth } from "./both.ts";
import { ANSWERS, GET } from "./corpus.ts";
import { DIFFERENCES, explain } from "./differences.ts";
import type { Behaviour } from "./recorder.ts";
import { type Script, type ScriptedUpstream, startScriptedUpstream } from "./scripted-upstream.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ANSWERED: Script = { writes: [OK], ending: "keep" };

describe("our forwarder and undici's", { timeout: 60_000 }, () => {
  let upstream: ScriptedUpstream;
  let both: Both;
  const met = new Set<string>();

  beforeAll(async () => {
    upstream = await startScriptedUpstream();
    both = createBoth(upstream, {});
  });
  afterAll(async () => {
    await both.destroy();
    await upstream.close();
  });

  /** Holds the results of both against each other. */
  async function compare(script: Script, behaviour: Behaviour): Promise<string> {
    const { ours, theirs } = await both.forward(script, behaviour);
    const names = explain(ours, theirs, script.writes.join(""));
    if (names === undefined) expect({ script, behaviour, result: ours }).toEqual({ script, behaviour, result: theirs });
    for (const name of names ?? []) met.add(name);
    return ours.outcome;
  }

  test.for(ANSWERS.map((answer) => [answer.name, answer] as const))(
    "come to the same wherever an answer is cut: %s",
    async ([, { bytes, ending, method = "GET" }]) => {
      const cuts = Array.from(bytes.slice(1), (_, index) => [bytes.slice(0, index + 1), bytes.slice(index + 1)]);
      const ways = [[bytes], Array.from(bytes), ...cuts];
      const outcomes = await Promise.all(ways.map((writes) => compare({ writes, ending }, { ...GET, method })));
      expect(new Set(outcomes).size).toBe(1);
    },
  );

  test("come to the same over answers that are damaged, cut anywhere", async () => {
    const sound = ANSWERS.filter(({ bytes }) => bytes.length > 0);
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(
            fc.constantFrom(...sound),
            fc.array(damage, { minLength: 1, maxLength: 2 }),
            fc.double({ min: 0, max: 1, noNaN: true }),
            fc.constantFrom("close" as const, "reset" as const),
          ),
          { minLength: 8, maxLength: 8 },
        ),
        async (cases) => {
          await Promise.all(
            cases.map(([{ bytes, method = "GET" }, damages, where, ending]) => {
              const text = damages.reduce<string>((before, apply) => apply(before), bytes);
              const at = Math.floor(where * text.length);
              return compare({ writes: [text.slice(0, at), text.slice(at)], ending }, { ...GET, method });
            }),
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  const bodies: readonly (readonly [name: string, behaviour: Pick<Behaviour, "framing" | "parts">])[] = [
    ["none", { framing: { kind: "none" }, parts: [] }],
    ["an empty one", { framing: { kind: "length", bytes: 0 }, parts: [] }],
    ["a length in one part", { framing: { kind: "length", bytes: 5 }, parts: ["hello"] }],
    ["a length in many parts", { framing: { kind: "length", bytes: 5 }, parts: Array.from("hello") }],
    ["chunks", { framing: { kind: "chunked" }, parts: ["a", "GET / HTTP/1.1\r\n\r\n", "0\r\n\r\n"] }],
    ["no chunk", { framing: { kind: "chunked" }, parts: [] }],
    ["much", { framing: { kind: "length", bytes: 4 << 20 }, parts: new Array<string>(64).fill("x".repeat(65536)) }],
    ["many chunks", { framing: { kind: "chunked" }, parts: new Array<string>(64).fill("x".repeat(65536)) }],
  ];

  test.for(bodies)("send the same body on: %s", async ([, body]) => {
    for (const method of ["POST", "PUT", "DELETE", "GET"]) {
      for (const slow of [false, true]) {
        expect(await compare(ANSWERED, { ...body, method, slow })).toBe("answered 200");
      }
    }
  });

  test.for(["request_timeout", "request_invalid", "body_too_large"] as const)(
    "let no part of a body be taken for the whole: %s",
    async (fails) => {
      for (const framing of [{ kind: "chunked" }, { kind: "length", bytes: 9 }] as const) {
        for (const parts of [[], ["a"], Array.from("hello")]) {
          expect(await compare(ANSWERED, { method: "POST", framing, parts, fails })).toBe(fails);
        }
      }
    },
  );

  const BIG = "x".repeat(1 << 20);
  test.for([
    ["a length", `HTTP/1.1 200 OK\r\nContent-Length: ${BIG.length}\r\n\r\n${BIG}`],
    ["chunks", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n${BIG}\r\n0\r\nX-A: b\r\n\r\n`],
    ["the end", `HTTP/1.1 200 OK\r\n\r\n${BIG}`],
  ] as const)("wait for a slow client, and lose nothing of a body to %s", async ([, bytes]) => {
    const cut = bytes.length >> 1;
    const writes = [bytes.slice(0, cut), bytes.slice(cut)];
    // undici breaks off what a connection that ends holds for a client it waits for, unless it ends the body.
    const ending = bytes.includes("\nContent-Length") ? "keep" : "close";
    expect(await compare({ writes, ending }, { ...GET, slow: true })).toBe("answered 200");
  });

  test.for(["at once", "at the head", "in the body"] as const)(
    "give up for a client that leaves %s",
    async (leaves) => {
      const silent: Script = { writes: leaves === "at once" ? [] : [OK.slice(0, -1)], ending: "keep" };
      for (const body of [GET, { ...GET, method: "POST", framing: { kind: "chunked" as const }, parts: ["a"] }]) {
        expect(await compare(silent, { ...body, leaves })).toBe("aborted");
      }
    },
  );

  test("take an answer that comes before the body has ended", async () => {
    const early: Script = { writes: [OK], ending: "keep", early: true };
    const parts = new Array<string>(50).fill("x");
    for (const framing of [{ kind: "chunked" }, { kind: "length", bytes: 50 }] as const) {
      expect(await compare(early, { method: "POST", framing, parts })).toBe("answered 200");
    }
  });

  test.for([
    ["GET", GET, "answered 200"],
    ["HEAD", { ...GET, method: "HEAD" }, "answered 200"],
    ["POST, which may have been done", { ...GET, method: "POST" }, "broken"],
    ["PUT with a body", { method: "PUT", framing: { kind: "length", bytes: 1 }, parts: ["a"] }, "broken"],
    ["GET with a body", { method: "GET", framing: { kind: "length", bytes: 1 }, parts: ["a"] }, "broken"],
  ] as const)(
    "send again over a connection that was closed meanwhile only what may be: %s",
    async ([, behaviour, outcome]) => {
      const pool = createBoth(upstream, { maxConnections: 1 });
      for (const [name, forward] of pool.each) {
        expect((await forward(ANSWERED, GET)).outcome, name).toBe("answered 200");
        const stale: Script = { ...ANSWERED, closesUsed: true };
        expect((await forward(stale, behaviour)).outcome, name).toBe(outcome);
      }
      await pool.destroy();
    },
  );

  test("carry many requests over one connection, each with its own answer", async () => {
    const pool = createBoth(upstream, { maxConnections: 1, maxQueue: 100 });
    await Promise.all(
      ANSWERS.filter(({ ending }) => ending === "keep").map(async ({ bytes, ending, method = "GET" }) => {
        const { ours, theirs } = await pool.forward({ writes: [bytes], ending }, { ...GET, method });
        expect(explain(ours, theirs, bytes), bytes).toBeDefined();
        expect(ours.outcome).toBe(`answered ${/^HTTP\/1\.1 ([2-5]\d\d)/m.exec(bytes)?.[1]}`);
      }),
    );
    await pool.destroy();
  });

  test("turn away what has no place to wait", async () => {
    const pool = createBoth(upstream, { maxConnections: 2, maxQueue: 3 });
    for (const [name, forward] of pool.each) {
      const results = await Promise.all(Array.from({ length: 8 }, () => forward(ANSWERED, GET)));
      const counted = (outcome: string) => results.filter((result) => result.outcome === outcome).length;
      expect([counted("answered 200"), counted("overloaded")], name).toEqual([5, 3]);
    }
    await pool.destroy();
  });

  test("differ in every way that is listed, so that the list holds nothing that is past", () => {
    expect([...met].toSorted()).toEqual(DIFFERENCES.map(({ name }) => name).toSorted());
  });
});
