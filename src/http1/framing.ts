/** How a message's body is delimited (RFC 9112 §6). */
export type BodyFraming =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" };

export const NO_BODY: BodyFraming = { kind: "none" };
export const CHUNKED: BodyFraming = { kind: "chunked" };

// Fifteen digits are exact as a double, and a petabyte.
const LENGTH = /^\d{1,15}$/;

/** A Content-Length as one plain number; undefined for a list, a sign, or more digits than anybody sends. */
export function parseContentLength(value: string): number | undefined {
  return LENGTH.test(value) ? Number(value) : undefined;
}

/** Whether a Transfer-Encoding is chunked and nothing else: another coding would still be on a body passed on. */
export function isChunkedAlone(value: string): boolean {
  return value === "chunked" || value.toLowerCase() === "chunked";
}
