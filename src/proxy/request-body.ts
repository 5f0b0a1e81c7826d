import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/** The body grew past its limit; the upstream saw it end in an abort, never as complete. */
export class BodyTooLarge extends Error {
  override readonly name = "BodyTooLarge";
}

/**
 * The client's body as a stream of its own: an upstream that fails destroys this one, and the client's
 * connection stays whole to carry the refusal. Back-pressure reaches the client's socket.
 */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(request: IncomingMessage, maxBytes: number | undefined) {
    super();
    this.#request = request;
    this.#maxBytes = maxBytes ?? Number.POSITIVE_INFINITY;
    request.on("data", this.#onData);
    request.on("end", this.#onEnd);
    request.on("error", this.#onError);
    request.on("close", this.#onClose);
    request.pause();
  }

  override _read(): void {
    this.#request.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#request.off("data", this.#onData);
    this.#request.off("end", this.#onEnd);
    this.#request.off("error", this.#onError);
    this.#request.off("close", this.#onClose);
    // Somebody must listen, or a client that goes away now would end the process.
    this.#request.on("error", () => {});
    done(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) this.destroy(new BodyTooLarge("the request body is too large"));
    else if (!this.push(chunk)) this.#request.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };

  readonly #onError = (error: Error): void => {
    this.destroy(error);
  };

  readonly #onClose = (): void => {
    if (!this.#request.complete) this.destroy(new Error("the client went away inside its body"));
  };
}
