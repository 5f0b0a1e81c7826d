import type { Segments } from "./target.ts";

// A segment of lower-case ASCII that no file system trims is its own loose form.
const TIGHT_SEGMENT = /^[^A-Z\u0080-\uffff:]*[^A-Z\u0080-\uffff:. ]$/;

// A plain slash divides nothing further: where a reading may hold one, another is divided at it already.
const ASCII = /^[^\u0080-\uffff]*$/;

/**
 * A path as the loosest upstream reads it: case ignored (Express, ASP.NET), no difference between
 * `/a` and `/a/` (Express, Django), compatibility characters for plain ones (best-fit code pages),
 * and the ends that Windows ignores in file names. Used to find routes it must not be mistaken for.
 */
export function loosen(segments: Segments): readonly Segments[] {
  if (segments.every((segment) => TIGHT_SEGMENT.test(segment))) return [segments];
  const loose = segments.map(loosenSegment).filter((segment) => segment !== "");
  if (segments.every((segment) => ASCII.test(segment))) return [loose];
  const divided = segments.flatMap((segment) => segment.normalize("NFKC").split("/"));
  if (divided.length === segments.length) return [loose];
  // A slash that comes out of a compatibility character divides the path for some, and for others does not.
  return [loose, divided.map(loosenSegment).filter((segment) => segment !== "")];
}

/** One segment, or one literal of a route, in its loose form. */
export function loosenSegment(segment: string): string {
  if (TIGHT_SEGMENT.test(segment)) return segment;
  const name = ASCII.test(segment) ? segment.toLowerCase() : foldCase(segment.normalize("NFKC"));
  const trimmed = name.slice(0, endOfName(name));
  return trimmed === "" ? name : trimmed;
}

/** Where Windows takes a name to end. Without a pattern: one that looks for an end takes the square of the length. */
function endOfName(name: string): number {
  // As in `admin::$INDEX_ALLOCATION`, which is the folder itself.
  const colon = name.indexOf(":", 1);
  let end = colon !== -1 && name.includes("$", colon) ? colon : name.length;
  while (end > 0 && (name.charAt(end - 1) === "." || name.charAt(end - 1) === " ")) end -= 1;
  return end;
}

/** Up and down again, letter by letter: `ſ` and `K` are `s` and `k` to whoever compares in capitals. */
function foldCase(text: string): string {
  return Array.from(text, (letter) => {
    const upper = letter.toUpperCase();
    return (upper.length === letter.length ? upper : letter).toLowerCase();
  }).join("");
}
