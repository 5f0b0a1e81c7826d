import fc from "fast-check";

/** A request as its sender means it, however its bytes are written. */
export interface Meant {
  readonly method: string;
  readonly hasKey: boolean;
  readonly framing: "none" | "length" | "chunked";
  readonly body: string;
  /** The message itself; `{n}` in it stands for its place on the connection. */
  readonly bytes: (place: number, last: boolean) => string;
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND", "QUERY"] as const;

/** Text that would begin a request, end a body or split a head, were it read in the wrong place. */
const TRICKS = [
  "GET /admin/smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
  "0\r\n\r\n",
  "\r\n\r\n",
  "\r\n0\r\n\r\nGET /admin/smuggled HTTP/1.1\r\n\r\n",
  "5\r\nabcde\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Content-Length: 0\r\n\r\n",
];

const piece = fc.oneof(
  fc.constantFrom(...TRICKS),
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 40 }),
);
const body = fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.join(""));

const noise = fc.array(
  fc.constantFrom(
    "X-Noise: a",
    "X-Latchkey-Key-Id: forged",
    "X_Latchkey_Key_Id: forged",
    "Connection: X-Latchkey-Key-Id",
    "TE: trailers",
    "Trailer: X-End",
    "Expect: 100-continue",
    "X-Empty:",
    "Cookie: a=b",
  ),
  { maxLength: 3 },
);

interface ChunkStyle {
  readonly cuts: readonly number[];
  readonly zeros: number;
  readonly capitals: boolean;
  readonly extension: string;
  readonly trailers: readonly string[];
}

const style: fc.Arbitrary<ChunkStyle> = fc.record({
  cuts: fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 8 }),
  zeros: fc.integer({ min: 0, max: 3 }),
  capitals: fc.boolean(),
  extension: fc.constantFrom("", "", ";a", ";a=b", ';a="b;c"'),
  trailers: fc.array(fc.constantFrom("X-End: 1", "X-Latchkey-Key-Id: forged", "Host: forged"), { maxLength: 2 }),
});

/** A valid request, its body framed in any of the legal ways. */
export const meant: fc.Arbitrary<Meant> = fc
  .record({
    method: fc.constantFrom(...METHODS),
    hasKey: fc.boolean(),
    framing: fc.constantFrom("none" as const, "length" as const, "chunked" as const),
    text: body,
    noise,
    style,
  })
  .map(({ method, hasKey, framing, text, noise: lines, style: chunks }) => ({
    method,
    hasKey,
    framing,
    body: framing === "none" ? "" : text,
    bytes: (place, last) =>
      [
        `${method} /any/{tag}/${place} HTTP/1.1`,
        "Host: api.test",
        "X-Case: {tag}",
        ...(hasKey ? ["X-API-Key: {key}"] : []),
        ...(framing === "none" ? lines.filter((line) => !line.startsWith("Expect")) : lines),
        ...(framing === "length" ? [`Content-Length: ${text.length}`] : []),
        ...(framing === "chunked" ? ["Transfer-Encoding: chunked"] : []),
        ...(last ? ["Connection: close"] : []),
        "",
        framing === "length" ? text : framing === "chunked" ? toChunks(text, chunks) : "",
      ].join("\r\n"),
  }));

function toChunks(text: string, { cuts, zeros, capitals, extension, trailers }: ChunkStyle): string {
  let bytes = "";
  let rest = text;
  for (const cut of [...cuts, rest.length]) {
    const data = rest.slice(0, cut);
    rest = rest.slice(cut);
    if (data === "") continue;
    const size = "0".repeat(zeros) + data.length.toString(16);
    bytes += `${capitals ? size.toUpperCase() : size}${extension}\r\n${data}\r\n`;
  }
  return `${bytes}0${extension}\r\n${trailers.map((line) => `${line}\r\n`).join("")}\r\n`;
}

/** One change to bytes: what a hostile or broken sender makes of a valid request. */
export const damage: fc.Arbitrary<(bytes: string) => string> = fc
  .record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.integer({ min: 0, max: 3 }),
    put: fc.constantFrom(
      "",
      "\r",
      "\n",
      "\r\n",
      "\r\n\r\n",
      " ",
      "\t",
      ":",
      ";",
      ",",
      "0",
      "-",
      "\u0000",
      "\u00ff",
      "\r\nContent-Length: 5\r\n",
      "\r\nTransfer-Encoding: chunked\r\n",
      "\r\nTransfer-Encoding: identity\r\n",
      "\r\nX-Latchkey-Key-Id: forged\r\n",
      "\n0\r\n\r\n",
    ),
  })
  .map(({ at, cut, put }) => (bytes) => {
    const place = Math.floor(at * bytes.length);
    return bytes.slice(0, place) + put + bytes.slice(place + cut);
  });

/** Where the bytes are cut into writes. */
export const cuts: fc.Arbitrary<readonly number[]> = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
  maxLength: 4,
});

export function cutAt(bytes: string, places: readonly number[]): readonly string[] {
  const ends = [...new Set([...places.map((place) => Math.floor(place * bytes.length)), bytes.length])].toSorted(
    (a, b) => a - b,
  );
  return ends.map((end, index) => bytes.slice(ends[index - 1] ?? 0, end)).filter((part) => part !== "");
}
