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

export type Target =
  | {
      readonly kind: "target";
      /** The exact bytes before `?`, which the upstream receives unchanged. */
      readonly path: string;
      /** The exact bytes after `?`; undefined without one. */
      readonly query: string | undefined;
      /** Every reading an upstream may have. More than one only where the rules allow an ambiguity. */
      readonly readings: readonly Segments[];
    }
  | { readonly kind: "refused"; readonly problem: string };

// RFC 3986 §3.3: unreserved, sub-delims, ":" and "@", plus "/", "%" and ";" judged below.
const PLAIN_PATH = /^\/[A-Za-z0-9\-._~!$&'()*+,=:@/%;]*$/;
// Visible ASCII but "#": a fragment never travels in a request target (RFC 9112 §3.2.1).
const PLAIN_QUERY = /^[\x21\x22\x24-\x7e]*$/;
// The common case: nothing encoded, no parameters, no dot that could begin a dot segment, no "//".
const SIMPLE_PATH = /^(?:\/[A-Za-z0-9\-_~!$&'()*+,=:@][A-Za-z0-9\-._~!$&'()*+,=:@]*)*\/?$/;
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
    return { kind: "target", path, query, readings: [fold(path.slice(1).split("/"), rules)] };
  }
  if (!path.startsWith("/")) return refuse("the target is not an absolute path (RFC 9112 origin-form)");
  if (!PLAIN_PATH.test(path)) return refuse("the path holds a byte that RFC 3986 does not allow in a path");

  const segments: string[] = [];
  for (const raw of path.slice(1).split("/")) {
    const decoded = decodeSegment(raw);
    if (decoded === undefined) return refuse("the path holds a percent-encoding that is not valid UTF-8");
    const problem = judgeSegment(raw, decoded, rules);
    if (problem !== undefined) return refuse(problem);
    segments.push(decoded);
  }
  if (rules.emptySegments === "reject" && segments.slice(0, -1).includes("")) {
    return refuse("the path holds an empty segment (//)");
  }
  return { kind: "target", path, query, readings: toReadings(fold(segments, rules), path) };
}

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

function judgeSegment(raw: string, decoded: string, rules: PathRules): string | undefined {
  // Tomcat and others cut parameters off before they resolve dots, so `..;x=1` is a dot segment too.
  const bare = decoded.split(";", 1)[0];
  if (bare === "." || bare === "..") return "the path holds a dot segment";
  if (decoded.includes("\\")) return "the path holds a backslash";
  if (CONTROL.test(decoded)) return "the path holds an encoded control byte";
  if (/%25[0-9A-Fa-f]{2}/.test(raw)) return "the path holds a doubly encoded byte";
  if (rules.matrixParameters === "reject" && decoded.includes(";")) return "the path holds a matrix parameter (;)";
  if (rules.encodedSlash === "reject" && decoded.includes("/")) return "the path holds an encoded slash (%2F)";
  if (rules.encodedDelimiters === "reject" && /[?#]/.test(decoded)) {
    return "the path holds an encoded ? or #";
  }
  return undefined;
}

/** The literal reading, then what upstreams that split at %2F, cut parameters or merge slashes would see. */
function toReadings(segments: Segments, path: string): readonly Segments[] {
  const readings: Segments[] = [segments];
  const split = segments.flatMap((segment) => segment.split("/"));
  const cut = (list: Segments) => list.map((segment) => segment.split(";", 1)[0] ?? "");
  const merge = (list: Segments) => list.filter((segment, index) => segment !== "" || index === list.length - 1);
  const beforeDelimiter = /[?#]/.test(segments.join("")) ? splitBeforeDelimiter(segments) : segments;
  for (const base of [segments, split, beforeDelimiter]) {
    for (const reading of [base, cut(base), merge(base), merge(cut(base))]) readings.push(reading);
  }
  const seen = new Set<string>();
  return readings.filter((reading) => {
    const key = JSON.stringify(reading);
    return path !== "" && !seen.has(key) && seen.add(key).size > 0;
  });
}

function splitBeforeDelimiter(segments: Segments): Segments {
  const at = segments.findIndex((segment) => /[?#]/.test(segment));
  return [...segments.slice(0, at), segments[at]?.split(/[?#]/, 1)[0] ?? ""];
}
