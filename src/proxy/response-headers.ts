/** An upstream's response head, ready for the client: hop-by-hop fields gone, ours added. */
export type BuiltResponseHead =
  | { readonly kind: "built"; readonly headers: string[]; readonly contentLength: number | undefined }
  | { readonly kind: "invalid"; readonly problem: string };

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
 * Builds the client's header lines from the upstream's. Framing is the listener's own: a length is
 * passed on only when there is exactly one valid one.
 */
export function buildResponseHeaders(
  status: number,
  upstreamLines: readonly (string | Buffer)[],
  added: readonly string[],
): BuiltResponseHead {
  const headers: string[] = [];
  let contentLength: number | undefined;
  let isCoded = false;
  let nominated: Set<string> | undefined;
  let hasLegacyLimits = false;
  for (let index = 0; index < upstreamLines.length; index += 2) {
    const name = toText(upstreamLines[index]);
    const value = toText(upstreamLines[index + 1]);
    const lower = name.toLowerCase();
    if (lower === "connection") {
      nominated ??= new Set();
      for (const option of value.split(",")) nominated.add(option.trim().toLowerCase());
    } else if (lower === "content-length") {
      if (!/^\d{1,15}$/.test(value) || contentLength !== undefined) {
        return { kind: "invalid", problem: "the upstream's Content-Length is not one number" };
      }
      contentLength = Number(value);
      // RFC 9110 §8.6: none in a 204, where a client may wait for the bytes it announces.
      if (status !== 204) headers.push(name, value);
    } else if (lower === "transfer-encoding") {
      // Another coding, or chunked twice, is still on the body that is passed on without this field.
      if (isCoded || value.toLowerCase() !== "chunked") {
        return { kind: "invalid", problem: "the upstream's transfer coding is not chunked alone" };
      }
      isCoded = true;
    } else if (!HOP_BY_HOP.has(lower)) {
      hasLegacyLimits ||= lower.startsWith("x-ratelimit-");
      headers.push(name, value);
    }
  }
  const kept = nominated === undefined ? headers : withoutNominated(headers, nominated);
  addOurs(kept, added, hasLegacyLimits);
  return { kind: "built", headers: kept, contentLength };
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
export function buildResponseTrailers(upstreamLines: readonly (string | Buffer)[]): [string, string][] {
  const trailers: [string, string][] = [];
  for (let index = 0; index < upstreamLines.length; index += 2) {
    const name = toText(upstreamLines[index]);
    if (!NOT_IN_TRAILERS.has(name.toLowerCase())) trailers.push([name, toText(upstreamLines[index + 1])]);
  }
  return trailers;
}

function toText(part: string | Buffer | undefined): string {
  return typeof part === "string" ? part : (part?.toString("latin1") ?? "");
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
