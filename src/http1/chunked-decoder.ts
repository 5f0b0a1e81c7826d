import { type FieldLines, parseFieldLines } from "./fields.ts";

/** Is given the data of chunks: a range of the buffer that is being decoded, valid during the call only. */
export type DataSink = (buffer: Buffer, from: number, to: number) => void;

type State = "size" | "extension" | "size-lf" | "data" | "data-cr" | "data-lf" | "trailer" | "done";

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
// Eight hex digits are 4 GiB a chunk; leading zeros count against the line.
const MAX_SIZE_DIGITS = 16;
const MAX_CHUNK_BYTES = 2 ** 48;
// Extensions mean nothing to anybody, so there is little to say in all of them together (RFC 9112 §7.1.1).
const MAX_EXTENSION_BYTES = 4096;

// RFC 9110 §6.5.1: what frames a message may not come after it.
const FRAMING: ReadonlySet<string> = new Set(["content-length", "transfer-encoding"]);

/**
 * Decodes one chunked body, in pieces of any size (RFC 9112 §7.1). Line ends are CRLF and nothing else: a decoder that
 * takes a bare LF reads other chunks than one that does not.
 */
export class ChunkedDecoder {
  readonly #maxTrailerBytes: number;
  #state: State = "size";
  #digits = 0;
  #left = 0;
  #extensionBytes = 0;
  #inQuotes = false;
  #trailer = "";
  #trailers: FieldLines = [];

  constructor(maxTrailerBytes: number) {
    this.#maxTrailerBytes = maxTrailerBytes;
  }

  get isDone(): boolean {
    return this.#state === "done";
  }

  /** The trailer lines, once it is done. */
  get trailers(): FieldLines {
    return this.#trailers;
  }

  /**
   * Decodes from one place to another; gives how far it came, which is less than the end only when the body is done.
   * A problem is given as text, and nothing more may be decoded then.
   */
  decode(buffer: Buffer, from: number, to: number, sink: DataSink): number | string {
    let at = from;
    while (at < to && this.#state !== "done") {
      if (this.#state === "data") {
        const end = Math.min(to, at + this.#left);
        sink(buffer, at, end);
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#state = "data-cr";
      } else if (this.#state === "trailer") {
        const end = this.#takeTrailer(buffer, at, to);
        if (typeof end === "string") return end;
        at = end;
      } else {
        const problem = this.#step(buffer[at] ?? 0);
        if (problem !== undefined) return problem;
        at += 1;
      }
    }
    return at;
  }

  #step(byte: number): string | undefined {
    switch (this.#state) {
      case "size":
        return this.#takeSize(byte);
      case "extension":
        return this.#takeExtension(byte);
      case "size-lf":
        if (byte !== LF) return "a chunk size that does not end in CRLF";
        this.#state = this.#left === 0 ? "trailer" : "data";
        return undefined;
      case "data-cr":
        if (byte !== CR) return "a chunk longer than its size";
        this.#state = "data-lf";
        return undefined;
      default:
        if (byte !== LF) return "chunk data that does not end in CRLF";
        this.#state = "size";
        this.#digits = 0;
        return undefined;
    }
  }

  #takeSize(byte: number): string | undefined {
    const digit = hexDigit(byte);
    if (digit !== undefined) {
      this.#left = this.#left * 16 + digit;
      this.#digits += 1;
      return this.#digits > MAX_SIZE_DIGITS || this.#left > MAX_CHUNK_BYTES
        ? "a chunk size beyond all bounds"
        : undefined;
    }
    if (this.#digits === 0) return "a chunk without a size";
    if (byte === CR) this.#state = "size-lf";
    else if (byte === SEMICOLON) this.#state = "extension";
    else return "a chunk size that is no hexadecimal number";
    return undefined;
  }

  #takeExtension(byte: number): string | undefined {
    this.#extensionBytes += 1;
    if (this.#extensionBytes > MAX_EXTENSION_BYTES) return "chunk extensions beyond all bounds";
    if (byte === 0x22) this.#inQuotes = !this.#inQuotes;
    if (byte === CR && !this.#inQuotes) this.#state = "size-lf";
    else if (byte !== 0x09 && (byte < 0x20 || byte === 0x7f)) return "a control byte in a chunk extension";
    return undefined;
  }

  /** Gathers trailers as text until their empty line. */
  #takeTrailer(buffer: Buffer, from: number, to: number): number | string {
    const before = this.#trailer.length;
    this.#trailer += buffer.toString("latin1", from, to);
    const isEmpty = this.#trailer.startsWith("\r\n");
    const end = isEmpty ? 0 : this.#trailer.indexOf("\r\n\r\n", Math.max(0, before - 3)) + 2;
    if (!isEmpty && end === 1) {
      // Its end may have begun with the last byte but one, and does not count.
      if (this.#trailer.length - 1 > this.#maxTrailerBytes) return "trailers beyond all bounds";
      return to;
    }
    if (end > this.#maxTrailerBytes) return "trailers beyond all bounds";
    const lines = parseFieldLines(this.#trailer.slice(0, end), 0);
    if (typeof lines === "string") return lines;
    if (lines.some((name, index) => index % 2 === 0 && FRAMING.has(name.toLowerCase()))) return "framing in a trailer";
    this.#trailers = lines;
    this.#trailer = "";
    this.#state = "done";
    return from + end + 2 - before;
  }
}

function hexDigit(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : undefined;
}
