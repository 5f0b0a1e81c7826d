import { ChunkedDecoder, type DataSink } from "./chunked-decoder.ts";
import type { BodyFraming } from "./framing.ts";

/** Reads one request's body, in pieces of any size. */
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

  /**
   * Reads from the beginning of a chunk; gives how far it came, which is less than the end only when the body is
   * done. A problem is given as text, and nothing more may be read then.
   */
  read(chunk: Buffer, sink: DataSink): number | string {
    if (this.#decoder !== undefined) return this.#decoder.decode(chunk, 0, chunk.length, sink);
    const length = Math.min(this.#left, chunk.length);
    this.#left -= length;
    if (length > 0) sink(chunk, 0, length);
    return length;
  }
}
