import fc from "fast-check";

// What the routes of a test are made of, and names that are nearly so.
const WORDS = [
  "admin",
  "admin",
  "public",
  "api",
  "edit",
  "x",
  "users",
  "..",
  ".",
  "",
  "~",
  "%",
  "é",
  "ａdmin",
  "adſ",
  "Ādmin",
  "admın",
];
const SEPARATORS = [
  "/",
  "/",
  "/",
  "/",
  "/",
  "//",
  "\\",
  "/./",
  "/../",
  "/..;/",
  ";/",
  ";a=b/",
  "%2f",
  "%5C",
  "%252f",
  "／",
  "∕",
  "¥",
  "..∖",
];
const TAILS = [
  "",
  "",
  "",
  "/",
  "//",
  "/.",
  "/..",
  ".",
  "..",
  " ",
  ";",
  ";x=1",
  "?",
  "?a=/../admin",
  "#",
  "#/admin",
  "\0",
];
const MORE_TAILS = [
  "::$DATA",
  ":$I30:$INDEX_ALLOCATION",
  ".json",
  "%00.png",
  "%20",
  "%2e",
  "%3fx",
  "%23x",
  "+",
  "\t",
  "%",
];
const HEADS = [
  "/",
  "/",
  "/",
  "/",
  "//",
  "\\",
  "/\\",
  "/%2f",
  "http://upstream/",
  "//upstream/",
  "/;/",
  "/.;/",
  "*",
  "",
];

/** How one letter of a path may be written. */
type Spelling = (letter: string) => string;

const plain: Spelling = (letter) => letter;
const encode: Spelling = (letter) =>
  Array.from(Buffer.from(letter, "utf8"), (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
const SPELLINGS: readonly Spelling[] = [
  plain,
  (letter) => letter.toUpperCase(),
  encode,
  (letter) => encode(letter).toUpperCase(),
  (letter) => encode(letter).replaceAll("%", "%25"),
  (letter) => encode(letter.toUpperCase()),
  (letter) =>
    letter.length === 1 && letter < "\x7f" ? encode(String.fromCharCode(letter.charCodeAt(0) + 0xfee0)) : letter,
  // Two bytes for one of ASCII: overlong UTF-8; and the escapes of old IIS.
  (letter) =>
    letter < "\x7f"
      ? `%c${(0xc0 | (letter.charCodeAt(0) >> 6)) & 0xf}%${(0x80 | (letter.charCodeAt(0) & 0x3f)).toString(16)}`
      : letter,
  (letter) => `%u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
];

/** Most words are written plainly, some with one letter spelt otherwise: what is refused at a glance tests nothing. */
const word = fc
  .tuple(fc.constantFrom(...WORDS), fc.option(fc.tuple(fc.nat(5), fc.constantFrom(...SPELLINGS)), { freq: 2 }))
  .map(([text, odd]) => {
    const letters = Array.from(text);
    return letters.map((letter, index) => (odd?.[0] === index ? odd[1](letter) : wire(letter))).join("");
  });

/** A letter as it has to travel: bytes outside ASCII and blanks are encoded, all else is as written. */
function wire(letter: string): string {
  return letter > "\x7f" || letter === " " ? encode(letter) : letter;
}

const rare = <T>(values: readonly T[], otherwise: T) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(otherwise) }, { weight: 2, arbitrary: fc.constantFrom(...values) });

/** Request targets that some reader may take for another path, more or less by one odd piece each. */
export const oddTarget: fc.Arbitrary<string> = fc
  .record({
    head: rare(HEADS, "/"),
    words: fc.array(word, { minLength: 1, maxLength: 4 }),
    separators: fc.array(rare(SEPARATORS, "/"), { minLength: 3, maxLength: 3 }),
    tail: rare([...TAILS, ...MORE_TAILS], ""),
  })
  .map(({ head, words, separators, tail }) => {
    const middle = words.map((text, index) => (index === 0 ? text : `${separators[index - 1]}${text}`)).join("");
    return `${head}${middle}${tail.replace(" ", "%20")}`;
  });

/** Whether a client can put it on a request line at all. */
export function canTravel(target: string): boolean {
  return /^[\x21-\xff]+$/.test(target) && !target.startsWith("*");
}
