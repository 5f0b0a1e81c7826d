import { isDeepStrictEqual } from "node:util";
import type { Result } from "./both.ts";

/** A way in which ours is meant to differ from undici. */
interface Difference {
  readonly name: string;
  readonly why: string;
  /** What both results are but for it; undefined where it has no part. */
  readonly without: (ours: Result, theirs: Result, answer: string) => readonly [Result, Result] | undefined;
}

/** Every difference there may be. All else is equal. */
export const DIFFERENCES: readonly Difference[] = [
  {
    name: "the reason phrase",
    why: "undici forgets the part of it that came in an earlier read, and decodes as UTF-8 what is latin1",
    without: (ours, theirs) => {
      const ourHead = ours.told?.head;
      const theirHead = theirs.told?.head;
      if (ours.told === undefined || ourHead === undefined || theirHead === undefined) return undefined;
      const isPart = ourHead.reason.endsWith(theirHead.reason) || theirHead.reason.includes("\ufffd");
      return isPart
        ? [{ ...ours, told: { ...ours.told, head: { ...ourHead, reason: theirHead.reason } } }, theirs]
        : undefined;
    },
  },
  {
    name: "blanks behind a value",
    why: "undici keeps them; RFC 9112 §5.1 has them outside of the value",
    without: (ours, theirs) => {
      const head = theirs.told?.head;
      if (theirs.told === undefined || head === undefined) return undefined;
      const trim = (lines: readonly string[]) => lines.map((text) => text.replace(/[ \t]+$/, ""));
      const told = { ...theirs.told, head: { ...head, lines: trim(head.lines) }, trailers: trim(theirs.told.trailers) };
      return [ours, { ...theirs, told }];
    },
  },
  {
    name: "early hints",
    why: "undici hands none to a caller of dispatch(); ours pass on their links (RFC 8297)",
    without: (ours, theirs, answer) => {
      if (ours.told === undefined || !answer.includes("103")) return undefined;
      return [{ ...ours, told: { ...ours.told, interim: [] } }, theirs];
    },
  },
  {
    name: "the framing of a request's body that is empty",
    why: "undici leaves a length of nothing out, or makes one of no chunks; ours frames as the client did",
    without: (ours, theirs) => {
      const [request] = ours.heard;
      const [other] = theirs.heard;
      if (request?.body !== "" || other === undefined) return undefined;
      return [{ ...ours, heard: [{ ...request, framing: other.framing }] }, theirs];
    },
  },
  {
    name: "a 100 that nobody asked for",
    why: "RFC 9110 §15.2: a client ignores interim answers it did not expect; undici breaks the exchange off",
    without: (ours, theirs, answer) =>
      /^HTTP\/1\.1 100/m.test(answer) && theirs.outcome === "broken" ? [ours, ours] : undefined,
  },
  {
    name: "a body to the end of the connection that ends in a reset",
    why: "RFC 9112 §8: it is not whole; undici takes it for whole",
    without: (ours, theirs, answer) =>
      ours.outcome === "broken" && theirs.told?.hasLength === false && !/chunked/i.test(answer)
        ? [ours, ours]
        : undefined,
  },
  {
    name: "an answer that is not as RFC 9112 wants it",
    why: "two parsers could read it in two ways: ours takes none of them",
    without: (ours, _, answer) => (ours.outcome === "broken" && !isSound(answer) ? [ours, ours] : undefined),
  },
];

/** Whether two results are equal but for differences that are meant; says which those are. */
export function explain(ours: Result, theirs: Result, answer: string): readonly string[] | undefined {
  let results: readonly [Result, Result] = [ours, theirs];
  const names: string[] = [];
  for (const { name, without } of DIFFERENCES) {
    if (isDeepStrictEqual(...results)) return names;
    const next = without(...results, answer);
    if (next === undefined || isDeepStrictEqual(next, results)) continue;
    results = next;
    names.push(name);
  }
  return isDeepStrictEqual(...results) ? names : undefined;
}

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const FIELDS = `(?:${TOKEN}:[\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n)*`;
const HEADS = new RegExp(`^(?:HTTP/1\\.[01] [1-9]\\d\\d(?: [\\t\\x20-\\x7e\\x80-\\xff]*)?\\r\\n${FIELDS}\\r\\n)+`);
const CHUNKED_BODY = new RegExp(
  `^(?:[0-9a-f]{1,16}(?:;[^\\r\\n]*)?\\r\\n|[^]*?\\r\\n)*0+(?:;[^\\r\\n]*)?\\r\\n${FIELDS}\\r\\n`,
  "i",
);

/** Whether its heads are written as they should be and its body is framed once. Wanting in chunks it is not sound either. */
function isSound(answer: string): boolean {
  const [heads] = HEADS.exec(answer) ?? [];
  if (heads === undefined) return false;
  const framings = heads.match(/^(?:content-length|transfer-encoding):.*$/gim) ?? [];
  const codings = framings.filter((line) => line.startsWith("T") || line.startsWith("t"));
  if (codings.length > 0) {
    return (
      framings.length === 1 &&
      /:[ \t]*chunked[ \t]*$/i.test(framings[0] ?? "") &&
      CHUNKED_BODY.test(answer.slice(heads.length))
    );
  }
  return framings.length === 0 || (framings.length === 1 && /:[ \t]*\d{1,15}[ \t]*$/.test(framings[0] ?? ""));
}
