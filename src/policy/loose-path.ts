import type { Segments } from "./target.ts";

// A segment of lower-case ASCII that no file system trims is its own loose form.
const TIGHT_SEGMENT = /^(?:[^A-Z\u0080-\uffff:]*[^A-Z\u0080-\uffff:. ])?$/;

/**
 * A path as the loosest upstream reads it: case ignored (Express, ASP.NET), no difference between
 * `/a` and `/a/` (Express, Django), compatibility characters for plain ones (best-fit code pages),
 * and the ends that Windows ignores in file names. Used to find routes it must not be mistaken for.
 */
export function loosen(segments: Segments): Segments {
  const loose = segments.every((segment) => TIGHT_SEGMENT.test(segment)) ? segments : segments.flatMap(loosenSegment);
  return loose.at(-1) === "" ? loose.slice(0, -1) : loose;
}

function loosenSegment(segment: string): readonly string[] {
  return segment.normalize("NFKC").split("/").map(loosenName);
}

// Names of streams, as in `admin::$INDEX_ALLOCATION`, and trailing dots and blanks name the same file to Windows.
const IGNORED_END = /:[^/]*\$.*$|[. ]+$/;

function loosenName(name: string): string {
  const trimmed = foldCase(name).replace(IGNORED_END, "");
  return trimmed === "" ? name : trimmed;
}

/** Up and down again, letter by letter: `ſ` and `K` are `s` and `k` to whoever compares in capitals. */
function foldCase(text: string): string {
  return Array.from(text, (letter) => {
    const upper = letter.toUpperCase();
    return (upper.length === letter.length ? upper : letter).toLowerCase();
  }).join("");
}
