import { slashOut } from "./slashes.ts";

/** How the parts of a path that parsers disagree on are treated. The strict value is the default everywhere. */
export interface PathRules {
  readonly encodedSlash: "reject" | "allow";
  readonly encodedDelimiters: "reject" | "allow";
  readonly matrixParameters: "reject" | "allow";
  readonly emptySegments: "reject" | "allow";
  readonly caseSensitive: boolean;
}

/** A path as one kind of upstream would read it: decoded segments, `""` at the end for a trailing slash. */
export type Segments = readonly string[];

/** A target that is what it seems. */
export interface JudgedTarget {
  readonly kind: "target";
  /** The exact bytes before `?`, which the upstream receives unchanged. */
  readonly path: string;
  /** The exact bytes after `?`; undefined without one. */
  readonly query: string | undefined;
  /** Every reading an upstream may have. More than one only where the rules allow an ambiguity. */
  readonly readings: readonly Segments[];
  /** The same to an upstream that leaves encoded letters as they are; undefined where nothing is encoded needlessly. */
  readonly undecoded: readonly Segments[] | undefined;
}

export type Target = JudgedTarget | { readonly kind: "refused"; readonly problem: string };

// RFC 3986 §3.3: unreserved, sub-delims, ":" and "@", plus "/", "%" and ";" judged below.
const PLAIN_PATH = /^\/[A-Za-z0-9\-._~!$&'()*+,=:@/%;]*$/;
// Visible ASCII but "#": a fragment never travels in a request target (RFC 9112 §3.2.1).
const PLAIN_QUERY = /^[\x21\x22\x24-\x7e]*$/;
// The common case: nothing encoded, no parameters, no dot that could begin a dot segment, no "//".
const SIMPLE_PATH = /^(?:\/[A-Za-z0-9\-_~!$&'()*+,=:@][A-Za-z0-9\-._~!$&'()*+,=:@]*)+\/?$|^\/$/;
// C0 controls and DEL, after decoding. Assembled from numbers so that no control byte stands in this file.
const CONTROL = new RegExp(`[${String.fromCharCode(0)}-${String.fromCharCode(31)}${String.fromCharCode(127)}]`);

/**
 * Parses and judges a request target. A target that two parsers could read differently is refused,
 * or, where the rules allow that ambiguity, comes with every reading so that all can be checked.
 */
export function judgeTarget(target: string, rules: PathRules): Target {
  const mark = target.indexOf("?");
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? undefined : target.slice(mark + 1);
  if (query !== undefined && !PLAIN_QUERY.test(query)) {
    return refuse("the query holds a fragment, a control byte or a byte outside ASCII");
  }
  if (SIMPLE_PATH.test(path)) {
    return { kind: "target", path, query, readings: [fold(splitPath(path), rules)], undecoded: undefined };
  }
  if (!path.startsWith("/")) return refuse("the target is not an absolute path (RFC 9112 origin-form)");
  if (!PLAIN_PATH.test(path)) return refuse("the path holds a byte that RFC 3986 does not allow in a path");
  if (path.length > MAX_READ_CHARACTERS && MANIFOLD.test(path)) return refuse(TOO_MANY_READINGS);

  const segments: string[] = [];
  const undecoded: string[] = [];
  for (const raw of path.slice(1).split("/")) {
    const decoded = decodeSegment(raw);
    if (decoded === undefined) return refuse("the path holds a percent-encoding that is not valid UTF-8");
    const problem = judgeSegment(decoded, rules);
    if (problem !== undefined) return refuse(problem);
    segments.push(decoded);
    undecoded.push(decodeNeeded(raw));
  }
  if (rules.emptySegments === "reject" && segments.slice(0, -1).includes("")) {
    return refuse("the path holds an empty segment (//)");
  }
  const differs = undecoded.some((segment, index) => segment !== segments[index]);
  const readings = toReadings(fold(segments, rules));
  const readUndecoded = differs ? toReadings(fold(undecoded, rules)) : undefined;
  if (readings === "too many" || readUndecoded === "too many") return refuse(TOO_MANY_READINGS);
  return { kind: "target", path, query, readings, undecoded: readUndecoded };
}

/** As `split`, which V8 does outside of compiled code. */
function splitPath(path: string): string[] {
  const segments: string[] = [];
  let start = 1;
  for (let end = path.indexOf("/", start); end !== -1; end = path.indexOf("/", start)) {
    segments.push(path.slice(start, end));
    start = end + 1;
  }
  segments.push(path.slice(start));
  return segments;
}

// What all readings of one path may have together. Some 3 ms are spent on so many, before anybody has shown a key.
const MAX_READ_CHARACTERS = 32 * 1024;
const TOO_MANY_READINGS = "the path can be read in several ways and is too long to be read in all of them";
// What may have more than one reading: see `toReadings`.
const MANIFOLD = /\/\/|;|%(?:2[3F]|3[BF])/i;

function refuse(problem: string): Target {
  return { kind: "refused", problem };
}

function fold(segments: string[], rules: PathRules): Segments {
  return rules.caseSensitive ? segments : segments.map((segment) => segment.toLowerCase());
}

function decodeSegment(raw: string): string | undefined {
  if (!raw.includes("%")) return raw;
  try {
    // Throws for a bad escape and for overlong or otherwise invalid UTF-8.
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

// What may stand in a path as it is: routers that match before they decode (Express) see `%61dmin` and `admin` as two.
const NEEDLESS = /^%(?:2[146-9A-E]|3[0-9AD]|4[0-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])$/i;

/** Decodes only what cannot travel undecoded: an upstream has to, or its routes spell it encoded. */
function decodeNeeded(raw: string): string {
  if (!raw.includes("%")) return raw;
  return decodeURIComponent(
    raw.replace(/%[0-9A-Fa-f]{2}/g, (octet) => (NEEDLESS.test(octet) ? `%25${octet.slice(1)}` : octet)),
  );
}

// Tomcat and others cut parameters off before they resolve dots, so `..;x=1` is a dot segment too. What
// splits at %2F or ends the path at %3F sees one in `a%2F..` and `..%3F`, even where the rules allow these.
// Windows ignores blanks and the name of a stream after it, as in `..%20` and `..::$DATA`.
const DOT_SEGMENT = /(?:^|[/\\])\.{1,2} *(?:[/\\;?#:]|$)/;

function judgeSegment(decoded: string, rules: PathRules): string | undefined {
  if (decoded.includes("\\")) return "the path holds a backslash";
  // Best-fit code pages make plain dots and slashes of U+FF0E, U+2025 and U+FF0F, as NFKC does.
  if (DOT_SEGMENT.test(slashOut(decoded).normalize("NFKC"))) return "the path holds a dot segment";
  if (CONTROL.test(decoded)) return "the path holds an encoded control byte";
  // Judged after decoding: `%25%32%65` and `%252e` are both `%2e` to whoever decodes once more.
  if (/%[0-9A-Fa-f]{2}/.test(decoded)) return "the path holds a doubly encoded byte";
  if (rules.matrixParameters === "reject" && decoded.includes(";")) return "the path holds a matrix parameter (;)";
  if (rules.encodedSlash === "reject" && decoded.includes("/")) return "the path holds an encoded slash (%2F)";
  if (rules.encodedDelimiters === "reject" && /[?#]/.test(decoded)) {
    return "the path holds an encoded ? or #";
  }
  return undefined;
}

// What upstreams do to a path, in the order in which they do it; any of them may leave any step out.
const STEPS: readonly ((path: Segments) => Segments)[] = [
  (path) => path.flatMap((segment) => segment.split("/")),
  (path) => endAt(path, "?"),
  (path) => endAt(path, "#"),
  (path) => path.map((segment) => segment.split(";", 1)[0] ?? ""),
  dropAuthority,
  (path) => path.filter((segment, index) => segment !== "" || index === path.length - 1),
];

/** The literal reading first, then every other that some upstream would see. */
function toReadings(segments: Segments): readonly Segments[] | "too many" {
  const isPlain = segments.every((segment, index) => {
    return segment === "" ? index === segments.length - 1 : !/[/?#;]/.test(segment);
  });
  if (isPlain) return [segments];
  const readings = new Map([[JSON.stringify(segments), segments]]);
  let characters = countCharacters(segments);
  for (const step of STEPS) {
    for (const reading of [...readings.values()]) {
      const stepped = step(reading);
      const name = JSON.stringify(stepped);
      if (readings.has(name)) continue;
      characters += countCharacters(stepped);
      if (characters > MAX_READ_CHARACTERS) return "too many";
      readings.set(name, stepped);
    }
  }
  return [...readings.values()];
}

/** With the slash before each segment. */
function countCharacters(segments: Segments): number {
  let characters = segments.length;
  for (const segment of segments) characters += segment.length;
  return characters;
}

function endAt(path: Segments, delimiter: string): Segments {
  const at = path.findIndex((segment) => segment.includes(delimiter));
  return at === -1 ? path : [...path.slice(0, at), path[at]?.split(delimiter, 1)[0] ?? ""];
}

/** RFC 3986 §4.2: resolved as a reference, as by `new URL(target, base)`, `//host/path` names a host first. */
function dropAuthority(path: Segments): Segments {
  const host = path.findIndex((segment) => segment !== "");
  if (host <= 0) return path;
  return host === path.length - 1 ? [""] : path.slice(host + 1);
}
