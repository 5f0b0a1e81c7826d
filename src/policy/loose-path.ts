import { slashOut } from "./slashes.ts";
import type { Segments } from "./target.ts";

// A plain slash divides nothing further: where a reading may hold one, another is divided at it already.
const ASCII = /^[^\u0080-\uffff]*$/;

const MARKS = /\p{M}+/gu;
// Lower-case letters with a stroke and the like, Greek ones, and colons.
const LIKENESSES: ReadonlyMap<string, string> = new Map([
  ...zip("đħıłøŧƀɨƚɵƫʈƶǥɡһ", "dhilotbilottzggh"),
  ...zip("αγδεθπσςτφω", "agdetpsstfo"),
  ...zip("∶։", "::"),
]);

function zip(letters: string, plain: string): readonly (readonly [string, string])[] {
  return Array.from(letters, (letter, index) => [letter, plain.charAt(index)] as const);
}

/**
 * A path as the loosest upstream reads it: case ignored (Express, ASP.NET), no difference between
 * `/a` and `/a/` (Express, Django), plain characters for those that look like them (best-fit code pages),
 * and the ends that Windows ignores in file names. Used to find routes it must not be mistaken for.
 */
export function loosen(segments: Segments): readonly Segments[] {
  if (segments.every(isTight)) return [segments];
  const loose = segments.map(loosenSegment).filter((segment) => segment !== "");
  if (segments.every((segment) => ASCII.test(segment))) return [loose];
  const divided = segments.flatMap((segment) => toPlain(segment).split(/[/\\]/));
  if (divided.length === segments.length) return [loose];
  // A slash that comes out of another character divides the path for some, and for others does not.
  return [loose, divided.map(loosenSegment).filter((segment) => segment !== "")];
}

/** One segment, or one literal of a route, in its loose form. */
export function loosenSegment(segment: string): string {
  if (isTight(segment)) return segment;
  const name = ASCII.test(segment) ? segment.toLowerCase() : foldCase(toPlain(segment));
  const trimmed = name.slice(0, endOfName(name));
  return trimmed === "" ? name : trimmed;
}

/**
 * Whether a segment is its own loose form: lower-case ASCII that no file system trims. By hand: every segment of every
 * request comes here, and a regular expression takes longer to begin than most are to be gone through.
 */
function isTight(segment: string): boolean {
  let code = BLANK;
  for (let at = 0; at < segment.length; at += 1) {
    code = segment.charCodeAt(at);
    if (code >= 0x80 || code === COLON || (code >= CAPITAL_A && code <= CAPITAL_Z)) return false;
  }
  return code !== DOT && code !== BLANK;
}

const BLANK = 0x20;
const DOT = 0x2e;
const COLON = 0x3a;
const CAPITAL_A = 0x41;
const CAPITAL_Z = 0x5a;

/** Slashes first: the fraction slash that NFKD makes of `½` is nobody's. */
function toPlain(text: string): string {
  return slashOut(text).normalize("NFKD").replace(MARKS, "");
}

/** Where Windows takes a name to end. Without a pattern: one that looks for an end takes the square of the length. */
function endOfName(name: string): number {
  // As in `admin::$INDEX_ALLOCATION`, which is the folder itself.
  const colon = name.indexOf(":", 1);
  let end = colon !== -1 && name.includes("$", colon) ? colon : name.length;
  while (end > 0 && (name.charAt(end - 1) === "." || name.charAt(end - 1) === " ")) end -= 1;
  return end;
}

/** Up and down again, letter by letter, since `ſ` and `K` are `s` and `k` to whoever compares in capitals; then as code pages have it. */
function foldCase(text: string): string {
  return Array.from(text, (letter) => {
    const upper = letter.toUpperCase();
    const lower = (upper.length === letter.length ? upper : letter).toLowerCase();
    return LIKENESSES.get(lower) ?? lower;
  }).join("");
}
