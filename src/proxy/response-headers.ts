import { type FieldLines, lowerFieldName } from "../http1/fields.ts";

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "transfer-encoding",
  "upgrade",
  // Ours is the one the access log knows.
  "x-request-id",
]);

/**
 * Builds the client's header lines from the upstream's: hop-by-hop fields gone, ours added. Of the framing only a
 * length is passed on; the rest is the listener's own.
 */
export function buildResponseHeaders(status: number, lines: FieldLines, added: readonly string[]): string[] {
  const headers: string[] = [];
  let nominated: Set<string> | undefined;
  let hasLegacyLimits = false;
  for (let index = 0; index < lines.length; index += 2) {
    const name = lines[index] ?? "";
    const value = lines[index + 1] ?? "";
    const lower = lowerFieldName(name) ?? name;
    if (lower === "connection") {
      // What most servers write, and nothing that is not dropped anyway.
      if (value === "keep-alive" || value === "close") continue;
      nominated ??= new Set();
      for (const option of value.split(",")) nominated.add(option.trim().toLowerCase());
    } else if (lower === "content-length") {
      // RFC 9110 §8.6: none in a 204, where a client may wait for the bytes it announces.
      if (status !== 204) headers.push(name, value);
    } else if (!HOP_BY_HOP.has(lower)) {
      hasLegacyLimits ||= lower.startsWith("x-ratelimit-");
      headers.push(name, value);
    }
  }
  const kept = nominated === undefined ? headers : withoutNominated(headers, nominated);
  addOurs(kept, added, hasLegacyLimits);
  return kept;
}

// RFC 9110 §6.5.1: framing, routing, control data and cookies may not come after the body.
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  "content-length",
  "content-encoding",
  "content-type",
  "content-range",
  "host",
  "trailer",
  "te",
  "set-cookie",
  "www-authenticate",
  "location",
  "cache-control",
]);

/** The upstream's trailers without those that may not be any. */
export function buildResponseTrailers(lines: FieldLines): FieldLines {
  return lines.filter((_, index) => !NOT_IN_TRAILERS.has((lines[index - (index % 2)] ?? "").toLowerCase()));
}

function withoutNominated(headers: readonly string[], nominated: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? "";
    const lower = name.toLowerCase();
    if (lower === "content-length" || !nominated.has(lower)) kept.push(name, headers[index + 1] ?? "");
  }
  return kept;
}

/** `RateLimit` is a list and takes our items beside the app's; `X-RateLimit-*` is not, and the app's stays. */
function addOurs(headers: string[], added: readonly string[], hasLegacyLimits: boolean): void {
  for (let index = 0; index < added.length; index += 2) {
    const name = added[index] ?? "";
    if (hasLegacyLimits && name.startsWith("X-RateLimit-")) continue;
    headers.push(name, added[index + 1] ?? "");
  }
}
