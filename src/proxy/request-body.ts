import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { Timer } from "./clock.ts";
import type { Exchange } from "./forward.ts";

/** The body grew past its limit; the upstream saw it end in an abort, never as complete. */
export class BodyTooLarge extends Error {
  override readonly name = "BodyTooLarge";
}

/** The client sent nothing of its body for too long. */
export class BodySilent extends Error {
  override readonly name = "BodySilent";
}

/**
 * The client's body as a stream of its own: an upstream that fails destroys this one, and the client's
 * connection stays whole to carry the refusal. Back-pressure reaches the client's socket.
 */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #maxBytes: number;
  readonly #exchange: Pick<Exchange, "response" | "clock" | "bodyIdleTimeoutMs">;
  #bytes = 0;
  /** Since when the next byte is the client's to send; undefined while it is held back. */
  #waitingSinceMs: number | undefined;
  #timer: Timer | undefined;

  constructor(exchange: Pick<Exchange, "request" | "response" | "maxBodyBytes" | "bodyIdleTimeoutMs" | "clock">) {
    super();
    this.#request = exchange.request;
    this.#maxBytes = exchange.maxBodyBytes ?? Number.POSITIVE_INFINITY;
    this.#exchange = exchange;
    this.#request.on("data", this.#onData);
    this.#request.on("end", this.#onEnd);
    this.#request.on("error", this.#onError);
    this.#request.on("close", this.#onClose);
    this.#request.pause();
  }

  override _read(): void {
    const { clock, bodyIdleTimeoutMs } = this.#exchange;
    this.#waitingSinceMs ??= clock.elapsed();
    if (bodyIdleTimeoutMs > 0) this.#timer ??= clock.after(bodyIdleTimeoutMs, this.#onTime);
    this.#request.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#timer?.cancel();
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
    this.#waitingSinceMs = this.#exchange.clock.elapsed();
    if (this.#bytes > this.#maxBytes) this.destroy(new BodyTooLarge("the request body is too large"));
    else if (!this.push(chunk)) {
      this.#waitingSinceMs = undefined;
      this.#request.pause();
    }
  };

  /** One timer for a whole body, set again for what is left: not one for each chunk. */
  readonly #onTime = (): void => {
    const { response, clock, bodyIdleTimeoutMs } = this.#exchange;
    const silentMs = this.#waitingSinceMs === undefined ? 0 : clock.elapsed() - this.#waitingSinceMs;
    // An app that answers before it has heard all may talk with its client as long as its own silence lets it.
    if (silentMs >= bodyIdleTimeoutMs && !response.headersSent) {
      this.destroy(new BodySilent(`nothing of the request body came for ${bodyIdleTimeoutMs} ms`));
    } else {
      const leftMs = bodyIdleTimeoutMs - silentMs;
      this.#timer = clock.after(leftMs > 0 ? Math.ceil(leftMs) : bodyIdleTimeoutMs, this.#onTime);
    }
  };

  readonly #onEnd = (): void => {
    this.#timer?.cancel();
    this.push(null);
  };

  readonly #onError = (error: Error): void => {
    this.destroy(error);
  };

  readonly #onClose = (): void => {
    if (!this.#request.complete) this.destroy(new Error("the client went away inside its body"));
  };
}
