import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Parsed,
  parseDuration,
  parseInstant,
  parseRate,
  parseSize,
  parseSocketAddress,
  parseUpstream,
  toLimit,
} from "../../src/config/values.ts";

function read<T>(parsed: Parsed<T>): T | string {
  return parsed.kind === "value" ? parsed.value : `problem: ${parsed.problem}`;
}

const PROBLEM = expect.stringMatching(/^problem: .+; found "/);

describe("parseDuration()", () => {
  test.each([
    ["250ms", 250],
    ["2s", 2000],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["30d", 2_592_000_000],
    ["0", 0],
    [" 1s ", 1000],
  ])("reads %s", (text, ms) => expect(read(parseDuration(text))).toBe(ms));

  test.each(["", "5", "s", "-1s", "1.5s", "1 s", "30m1h", "1s1s", "1w", "367d", "1e3s", "٣s", "9999999999999d"])(
    "refuses %j",
    (text) => expect(read(parseDuration(text))).toEqual(PROBLEM),
  );

  test("is the sum of its parts, whatever they are", () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(50), fc.nat(50), (days, minutes, ms) => {
        const total = days * 86_400_000 + minutes * 60_000 + ms;
        expect(read(parseDuration(`${days}d${minutes}m${ms}ms`))).toBe(total);
      }),
    );
  });
});

describe("parseSize()", () => {
  test.each([
    ["64KiB", 65_536],
    ["1MiB", 1_048_576],
    ["1 GiB", 1_073_741_824],
    ["512", 512],
    [512, 512],
  ])("reads %s", (written, bytes) => expect(read(parseSize(written))).toBe(bytes));

  test.each(["", "1KB", "1k", "-1", "1.5MiB", 1.5, "99999999999999GiB"])("refuses %j", (written) => {
    expect(read(parseSize(written))).toEqual(PROBLEM);
  });
});

describe("parseRate()", () => {
  test.each([
    ["100/minute", 100, 60_000],
    ["5/second", 5, 1000],
    ["1000/hour", 1000, 3_600_000],
    ["1/day", 1, 86_400_000],
    ["100/15m", 100, 900_000],
  ])("reads %s", (text, count, windowMs) => {
    expect(read(parseRate(text))).toEqual({ text, count, windowMs });
  });

  test.each(["", "100", "0/minute", "1.5/minute", "100/fortnight", "/minute", "1/0", "1/500ms", "10000000000/second"])(
    "refuses %j",
    (text) => expect(read(parseRate(text))).toEqual(PROBLEM),
  );

  test("makes limits whose id does not depend on the number, so that a changed limit keeps what was spent", () => {
    const idOf = (text: string) => {
      const rate = parseRate(text);
      return rate.kind === "value" ? toLimit(rate.value, "key").id : rate.problem;
    };
    expect(idOf("100/minute")).toBe(idOf("60/60s"));
    expect(idOf("100/minute")).not.toBe(idOf("100/hour"));
  });
});

describe("parseSocketAddress()", () => {
  test.each([
    ["8080", { kind: "tcp", host: "0.0.0.0", port: 8080 }],
    [8080, { kind: "tcp", host: "0.0.0.0", port: 8080 }],
    [":8080", { kind: "tcp", host: "0.0.0.0", port: 8080 }],
    ["127.0.0.1:0", { kind: "tcp", host: "127.0.0.1", port: 0 }],
    ["[::1]:9090", { kind: "tcp", host: "::1", port: 9090 }],
    ["localhost:80", { kind: "tcp", host: "localhost", port: 80 }],
    ["unix:/run/a.sock", { kind: "unix", path: "/run/a.sock" }],
  ])("reads %s", (written, address) => expect(read(parseSocketAddress(written))).toEqual(address));

  test.each([
    "",
    "localhost",
    "::1:8080",
    "host:65536",
    "host:-1",
    "unix:run/a",
    "unix:",
    "http://x:1",
    `unix:/${"a".repeat(200)}`,
  ])("refuses %j", (text) => expect(parseSocketAddress(text).kind).toBe("problem"));
});

describe("parseUpstream()", () => {
  test.each([
    ["http://127.0.0.1:3000", { origin: "http://127.0.0.1:3000", socketPath: undefined }],
    ["https://app.internal/", { origin: "https://app.internal", socketPath: undefined }],
    ["http://[::1]:3000", { origin: "http://[::1]:3000", socketPath: undefined }],
    ["unix:/run/app.sock", { origin: "http://localhost", socketPath: "/run/app.sock" }],
  ])("reads %s", (text, address) => expect(read(parseUpstream(text))).toEqual(address));

  test.each(["127.0.0.1:3000", "ftp://a", "http://", "http://a/b", "http://a?x", "http://a#f", "http:a", ""])(
    "refuses %j",
    (text) => {
      expect(parseUpstream(text).kind).toBe("problem");
    },
  );

  test("does not repeat a password that stands in the URL", () => {
    expect(read(parseUpstream("http://user:hunter2@app:3000"))).not.toContain("hunter2");
  });
});

describe("parseInstant()", () => {
  test.each([
    ["2027-01-01T00:00:00Z", Date.UTC(2027, 0, 1)],
    ["2027-01-01t00:00:00z", Date.UTC(2027, 0, 1)],
    ["2027-01-01T02:00:00+02:00", Date.UTC(2027, 0, 1)],
    ["2028-02-29T00:00:00.250Z", Date.UTC(2028, 1, 29, 0, 0, 0, 250)],
  ])("reads %s", (text, ms) => expect(read(parseInstant(text))).toBe(ms));

  test.each([
    "2027-01-01",
    "2027-01-01T00:00:00",
    "2027-02-29T00:00:00Z",
    "2027-13-01T00:00:00Z",
    "2027-01-01T25:00:00Z",
    "soon",
    "2027-01-01T00:00:00+99:00",
  ])("refuses %j", (text) => expect(read(parseInstant(text))).toEqual(PROBLEM));
});

describe("every parser of values", () => {
  const parsers: readonly ((text: string) => Parsed<unknown>)[] = [
    parseDuration,
    parseSize,
    parseRate,
    parseSocketAddress,
    parseUpstream,
    parseInstant,
  ];

  test("answers any text with a value or a problem of one line", () => {
    const nearMiss = fc.stringMatching(/^[0-9a-z:/.[\]+-]{0,30}$/);
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), nearMiss), (text) => {
        for (const parse of parsers) {
          const parsed = parse(text);
          if (parsed.kind === "problem") expect(parsed.problem).not.toMatch(/[\n\r\0]/);
        }
      }),
    );
  });
});
