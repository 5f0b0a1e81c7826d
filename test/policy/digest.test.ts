import { describe, expect, test } from "vitest";
import { parseDigest } from "../../src/policy/digest.ts";

const HEX = "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCD";

describe("parseDigest()", () => {
  test.each(["sha256", "hmac-sha256"])(
    "takes 64 hex digits of %s in either case, and keeps them in lower case",
    (kind) => {
      expect(parseDigest(`${kind}:${HEX}`)).toEqual({ kind, hex: HEX.toLowerCase() });
    },
  );

  test("takes in each of the 64 places what is a hex digit, and nothing else", () => {
    for (let place = 0; place < HEX.length; place += 1) {
      for (let code = 0; code <= 0x180; code += 1) {
        const character = String.fromCharCode(code);
        const text = `sha256:${HEX.slice(0, place)}${character}${HEX.slice(place + 1)}`;
        expect(parseDigest(text) !== undefined, `${code} at ${place}`).toBe(/^[0-9A-Fa-f]$/.test(character));
      }
    }
  });

  test.each([
    ["a digit too few", `sha256:${HEX.slice(1)}`],
    ["a digit too many", `sha256:${HEX}0`],
    ["a line end behind it", `sha256:${HEX}\n`],
    ["another name", `sha512:${HEX}`],
    ["no name", HEX],
  ])("refuses %s", (_, text) => {
    expect(parseDigest(text)).toBeUndefined();
  });
});
