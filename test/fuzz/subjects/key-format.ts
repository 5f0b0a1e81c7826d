import {
  generateCredential,
  isPrefixedKey,
  MIN_SECRET_BITS,
  matchKeyFormat,
  parseKeyFormat,
  redactKeys,
} from "../../../src/policy/key-format.ts";
import type { Subject } from "../fuzzer.ts";
import { assert } from "./assert.ts";

/** The parser of key formats and all that reads text by one: a line of format, then any text. */
export const keyFormat: Subject = {
  name: "key-format",
  sources: ["/src/policy/key-format.ts"],
  dictionary: [
    ..."{}()|:._~-",
    "{secret:hex(32)}",
    "{secret:base62(40..43)}",
    "{checksum:crc32}",
    "{environment:live|test}",
    "{region:us|eu-1|a}",
    "{s:digits(1..256)}",
    "{t:base64url(9)}",
    "{u:alnum(3)}",
    "{v:base58(5)}",
    "bk_",
    "live",
    "0000000000000000",
    "(999)",
    "..",
  ],
  maxLength: 2048,
  // Redaction of a whole line by the slowest pattern a format can make, on a busy machine.
  limitMs: 250,
  run: (input) => {
    const newline = input.indexOf("\n");
    const parsed = parseKeyFormat(newline === -1 ? input : input.slice(0, newline));
    if (parsed.kind === "problem") {
      assert(parsed.problem !== "", "a problem has words");
      return;
    }
    const formats = [parsed.format];
    assert(parsed.format.secretBits > 0, "a format has a secret");
    const text = newline === -1 ? "" : input.slice(newline + 1);
    const redacted = redactKeys(text, formats);
    if (isPrefixedKey(text, formats)) assert(redacted !== text, "what is a key by its looks is redacted");
    matchKeyFormat(text, formats);
    const credential = generateCredential(parsed.format);
    const match = matchKeyFormat(credential, formats);
    assert(match !== undefined, `a generated key fits its own format: ${credential}`);
    // The loader wants 128 bits of secret; a key of a few characters may look like anything.
    if (parsed.format.secretBits >= MIN_SECRET_BITS) {
      assert(!redactKeys(`GET /a/${credential}/b`, formats).includes(credential), "a generated key is redacted");
    }
    assert(matchKeyFormat(`${credential}\n`, formats) === undefined, "a key with a line break after it is none");
  },
};
