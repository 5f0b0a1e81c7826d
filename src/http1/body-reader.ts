import { ChunkedDecoder, type DataSink } from "./chunked-decoder.ts";
import type { FieldLines } from "./fields.ts";
import type { BodyFraming } from "./framing.ts";

const NO_TRAILERS: FieldLines = [];

/** Reads one body that is measured or chunked, in pieces of any size. */
export class BodyReader {
  readonly #decoder: ChunkedDecoder | undefined;
  #left: number;

  constructor(framing: BodyFraming, maxTrailerBytes: number) {
    this.#decoder = framing.kind === "chunked" ? new ChunkedDecoder(maxTrailerBytes) : undefined;
    this.#left = framing.kind === "length" ? framing.bytes : 0;
  }

  get isDone(): boolean {
    return this.#decoder === undefined ? this.#left === 0 : this.#decoder.isDone;
  }

  /** The trailer lines of a chunked body, once it is done. */
  get trailers(): FieldLines {
    return this.#decoder?.trailers ?? NO_TRAILERS;
  }

  /**
   * Reads from one place to another; gives how far it came, which is less than the end only when the body is done. A
   * problem is given as text, and nothing more may be read then.
   */
  read(buffer: Buffer, from: number, to: number, sink: DataSink): number | string {
    if (this.#decoder !== undefined) return this.#decoder.decode(buffer, from, to, sink);
    const end = Math.min(to, from + this.#left);
    this.#left -= end - from;
    if (end > from) sink(buffer, from, end);
    return end;
  }
}
