import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CHARSET_NAMES,
  generateCredential,
  type KeyFormat,
  matchKeyFormat,
  parseKeyFormat,
  redactKeys,
} from "../../src/policy/key-format.ts";

function format(text: string): KeyFormat {
  const parsed = parseKeyFormat(text);
  if (parsed.kind === "problem") throw new Error(`${text}: ${parsed.problem}`);
  return parsed.format;
}

const literal = fc.stringMatching(/^[A-Za-z0-9_.~-]{1,6}$/);
const choice = fc.uniqueArray(fc.constantFrom("live", "test", "us", "eu-1", "a", "b2"), { minLength: 1, maxLength: 3 });
const random = fc
  .record({ charset: fc.constantFrom(...CHARSET_NAMES), min: fc.integer({ min: 1, max: 40 }), more: fc.nat(5) })
  .map(({ charset, min, more }) => ({
    fixed: `${charset}(${min + more})`,
    varied: `${charset}(${min}..${min + more})`,
  }));

/** Formats of every shape the language allows, all with 16 random characters at least. */
const formats = fc
  .record({
    prefix: fc.option(literal, { nil: "" }),
    choices: fc.array(fc.tuple(choice, literal), { maxLength: 2 }),
    first: random,
    second: fc.option(fc.tuple(literal, random), { nil: undefined }),
    varied: fc.boolean(),
    checksum: fc.boolean(),
  })
  .map(({ prefix, choices, first, second, varied, checksum }) => {
    const named = choices.map(([values, after], index) => `{choice${index}:${values.join("|")}}${after}`).join("");
    const more = second === undefined ? "" : `${second[0]}{second:${varied ? second[1].varied : second[1].fixed}}`;
    const secret = `{secret:${varied && second === undefined ? first.varied : first.fixed}}`;
    return format(`${prefix}${named}${secret}${more}-{rest:hex(16)}${checksum ? "{checksum:crc32}" : ""}`);
  });

const checksumFormats = formats.filter(({ segments }) => segments.at(-1)?.kind === "checksum");

describe("matchKeyFormat()", () => {
  test.for([
    ["few combinations, which are remembered", 2],
    ["more combinations than are remembered", 12],
  ] as const)("matchKeyFormat() reads the choices of one format back, whatever it read before: %s", ([, count]) => {
    const names = Array.from({ length: count }, (_, index) => `choice${index}`);
    const chosen = format(`${names.map((name) => `{${name}:live|test|eu}_`).join("")}{secret:hex(32)}`);
    const combination = fc.array(fc.constantFrom("live", "test", "eu"), { minLength: count, maxLength: count });
    fc.assert(
      fc.property(combination, (values) => {
        const choices = new Map(names.map((name, index) => [name, values[index] ?? ""]));
        expect(matchKeyFormat(generateCredential(chosen, choices), [chosen])?.segments).toEqual(choices);
      }),
      { numRuns: 200 },
    );
  });

  test("matchKeyFormat() recognises every generated credential and reads back its choices", () => {
    fc.assert(
      fc.property(formats, fc.nat(), (chosen, pick) => {
        const choices = new Map<string, string>();
        for (const segment of chosen.segments) {
          if (segment.kind === "choice") choices.set(segment.name, segment.values[pick % segment.values.length] ?? "");
        }
        const match = matchKeyFormat(generateCredential(chosen, choices), [chosen]);
        expect(match?.format).toBe(chosen);
        expect(match?.segments).toEqual(choices);
      }),
      { numRuns: 500 },
    );
  });

  test("matchKeyFormat() refuses a credential with any one character changed, dropped, doubled or swapped, where there is a checksum", () => {
    const character = fc.constantFrom(..."0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.~ \n");
    fc.assert(
      fc.property(checksumFormats, fc.nat(), character, (chosen, at, replacement) => {
        const credential = generateCredential(chosen);
        const index = at % credential.length;
        const [before, here, after] = [
          credential.slice(0, index),
          credential.charAt(index),
          credential.slice(index + 1),
        ];
        const mistyped = [before + replacement + after, before + after, before + here + here + after];
        if (after !== "") mistyped.push(before + after.charAt(0) + here + after.slice(1));
        for (const wrong of mistyped) {
          if (wrong !== credential) expect(matchKeyFormat(wrong, [chosen])).toBeUndefined();
        }
      }),
      { numRuns: 500 },
    );
  });

  test("matchKeyFormat() refuses a credential with anything before or after it", () => {
    fc.assert(
      fc.property(formats, fc.constantFrom(" ", "\n", "\0", ",", "é"), (chosen, extra) => {
        const credential = generateCredential(chosen);
        for (const wrong of [extra + credential, credential + extra]) {
          expect(matchKeyFormat(wrong, [chosen])).toBeUndefined();
        }
      }),
    );
  });

  test("matchKeyFormat() takes the first format that fits", () => {
    const [first, second] = [format("k_{secret:hex(32)}"), format("k_{secret:base62(32)}")];
    const credential = generateCredential(first);
    expect(matchKeyFormat(credential, [first, second])?.format).toBe(first);
    expect(matchKeyFormat(credential, [second, first])?.format).toBe(second);
  });

  test("matchKeyFormat() knows the checksum that GitHub's tokens end in", () => {
    // Their form: `ghp_`, 30 characters of base62, then CRC-32 of these; here of all that stands before it.
    const chosen = format("{secret:base62(30)}{checksum:crc32}");
    // zlib's crc32 of thirty zeros is 0x77e5db82, which in base62, most significant digit first, is this.
    expect(matchKeyFormat(`${"0".repeat(30)}2C8GjS`, [chosen])?.format).toBe(chosen);
  });

  test("matchKeyFormat() takes no long time for hostile credentials", () => {
    const hostile = [
      format("{env:aa|ab|ba|bb}{region:a|b}{secret:alnum(1..256)}z"),
      format("k{one:hex(256)}{two:hex(1..256)}{three:hex(256)}.{checksum:crc32}"),
    ];
    const started = performance.now();
    for (const text of ["a".repeat(100_000), "k".repeat(100_000), `k${"a".repeat(768)}`, "a".repeat(265)]) {
      matchKeyFormat(text, hostile);
      redactKeys(text, hostile);
    }
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe("redactKeys()", () => {
  test("redactKeys() leaves no secret of a key in a text, wherever in it the key stands", () => {
    const noise = fc.string({ maxLength: 20 });
    fc.assert(
      fc.property(
        fc.array(formats, { minLength: 1, maxLength: 3 }),
        fc.nat(2),
        noise,
        noise,
        (known, pick, before, after) => {
          const chosen = known[pick % known.length] ?? known[0];
          if (chosen === undefined) return;
          const credential = generateCredential(chosen);
          const redacted = redactKeys(`${before}${credential}${after}`, known);
          // The last 16 random characters and all that follows them stand for the whole secret.
          expect(redacted).not.toContain(credential.slice(credential.lastIndexOf("-") + 1));
          expect(redacted).toContain("[redacted]");
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("redactKeys() hides a key that begins within what looks like one", () => {
    const chosen = format("{secret:hex(1)}-{rest:hex(16)}");
    const text = `a-${"0".repeat(15)}b-${"1".repeat(16)} c-${"2".repeat(16)}`;
    expect(redactKeys(text, [chosen])).toBe("[redacted] [redacted]");
  });

  test("redactKeys() also hides most of a key, cut off at its end", () => {
    const chosen = format("bk_{environment:live|test}_{secret:hex(32)}");
    const credential = generateCredential(chosen);
    expect(redactKeys(`key=${credential.slice(0, 20)}…`, [chosen])).toBe("key=bk_[redacted]…");
  });

  test("redactKeys() leaves other text alone", () => {
    const chosen = format("bk_{secret:hex(32)}");
    expect(redactKeys("GET /bk_/orders?id=3 bk_x", [chosen])).toBe("GET /bk_/orders?id=3 bk_x");
    expect(redactKeys("anything", [])).toBe("anything");
  });
});

describe("parseKeyFormat()", () => {
  const refused: readonly (readonly [text: string, problem: RegExp])[] = [
    ["", /no random part/],
    ["bk_", /no random part/],
    ["bk {secret:hex(32)}", /no key may have/],
    ["{secret}", /expected \{name:what\}/],
    ["{secret:hex}", /no random part/],
    ["{secret:hex(0)}", /out of bounds/],
    ["{secret:hex(257)}", /out of bounds/],
    ["{secret:hex(9..8)}", /out of bounds/],
    ["{secret:base99(32)}", /unknown character set "base99"/],
    ["{a:hex(1..2)}{b:hex(1..2)}", /only one segment/],
    ["{a:hex(32)}{a:hex(32)}", /stands twice/],
    ["{checksum:crc32}{secret:hex(32)}", /must stand last/],
    ["{secret:hex(32)", /no key may have/],
    ["{env:a|}{secret:hex(32)}", /expected choices/],
  ];
  test.each(refused)("parseKeyFormat() refuses %j", (text, problem) => {
    const parsed = parseKeyFormat(text);
    expect(parsed.kind === "problem" ? parsed.problem : "accepted").toMatch(problem);
  });

  test("parseKeyFormat() counts the bits of the secret", () => {
    expect(format("bk_{secret:hex(32)}").secretBits).toBe(128);
    expect(format("{id:digits(2)}{secret:base62(40..43)}").secretBits).toBeCloseTo(262.68, 1);
  });
});
