import { type FieldKind, type FieldLines, type FieldText, toFieldLines, toFieldName } from "../http1/fields.ts";
import type { LimitFields } from "./limit-headers.ts";
import { withoutNominated } from "./nominated.ts";

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

/** What Latchkey adds to the answers of the upstream. */
export interface ResponseAdditions extends LimitFields {
  readonly requestId: string;
}

/** The same, line by line. */
export function toAddedLines({ ietf, legacy, requestId }: ResponseAdditions): FieldLines {
  return [...toFieldLines(ietf + legacy), "X-Request-Id", requestId];
}

/** The field lines of an answer to the client. */
export interface ResponseFields {
  readonly text: FieldText;
  /** Whether there is a Date among them: whoever sends without one adds it (RFC 9110 §6.6.1). */
  readonly hasDate: boolean;
  /** Whether it is a stream of events, which ends by itself only by chance. */
  readonly isStream: boolean;
}

// The one type of a stream of events (HTML Living Standard, 9.2.3).
const EVENT_STREAM = /^text\/event-stream(?:$|[;\s])/i;

/**
 * Builds the client's field lines from the upstream's: hop-by-hop fields gone, ours added. Of the framing only a
 * length is passed on; the rest is the listener's own.
 */
export function buildResponseFields(status: number, lines: FieldLines, added: ResponseAdditions): ResponseFields {
  let text = "";
  let hasDate = false;
  let isStream = false;
  let hasLegacyLimits = false;
  for (let index = 0; index < lines.length; index += 2) {
    const name = lines[index] ?? "";
    const value = lines[index + 1] ?? "";
    const { lower, kind } = toFieldName(name);
    if (kind === "connection") {
      // Most servers write one of these, and name nothing by it.
      if (value !== "keep-alive" && value !== "close") {
        return buildResponseFields(status, withoutNominated(lines, KEPT_WHEN_NOMINATED), added);
      }
      continue;
    }
    // RFC 9110 §8.6: no length in a 101 or 204, where a client may wait for the bytes it announces.
    if (kind === "content-length" ? status === 204 || status === 101 : HOP_BY_HOP.has(lower)) continue;
    hasDate ||= kind === "date";
    isStream ||= lower === "content-type" && EVENT_STREAM.test(value);
    hasLegacyLimits ||= lower.startsWith("x-ratelimit-");
    // Piece by piece at its end: so V8 writes it out going along, where lines put together first would each be a tree.
    text = `${text}${name}: ${value}\r\n`;
  }
  // `RateLimit` is a list and takes our items beside the app's; `X-RateLimit-*` is not, and the app's stays.
  const legacy = hasLegacyLimits ? "" : added.legacy;
  return { text: `${text}${added.ietf}${legacy}X-Request-Id: ${added.requestId}\r\n`, hasDate, isStream };
}

// The framing is read before, and is no option of a connection.
const KEPT_WHEN_NOMINATED: ReadonlySet<FieldKind> = new Set(["content-length"]);

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
