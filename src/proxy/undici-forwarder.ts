import { buildConnector, type Dispatcher, Pool } from "undici";
import type { UpstreamSettings } from "../config/settings.ts";
import type { Exchange, Forwarder, Outcome } from "./forward.ts";
import { codeOf, describe, toFailure } from "./forward-failure.ts";
import { RequestBody } from "./request-body.ts";
import { buildResponseHeaders, buildResponseTrailers } from "./response-headers.ts";

// RFC 9110 §9.2.2. Only these may be sent again, and only without a body.
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Forwards over a pool of HTTP/1.1 connections, one request at a time on each. */
export function createUndiciForwarder(settings: UpstreamSettings): Forwarder {
  // What a socket that broke had read by then; undici tells it only of some of the ways to break.
  const readBefore = new WeakMap<object, number>();
  const connect = buildConnector({
    timeout: settings.connectTimeoutMs,
    ...(settings.socketPath === undefined ? {} : { socketPath: settings.socketPath }),
    ...(settings.ca === undefined ? {} : { ca: settings.ca }),
  });
  const pool = new Pool(settings.origin, {
    connections: settings.maxConnections,
    pipelining: 1,
    allowH2: false,
    headersTimeout: settings.responseTimeoutMs,
    bodyTimeout: settings.idleTimeoutMs,
    connect: (options, done) =>
      connect(options, (...outcome) => {
        const [, socket] = outcome;
        socket?.on("error", (error: Error) => readBefore.set(error, socket.bytesRead));
        done(...outcome);
      }),
  });
  const limit = settings.maxConnections + settings.maxQueue;
  let inFlight = 0;
  return {
    forward: (exchange, done) => {
      if (inFlight >= limit) {
        done({ kind: "failed", reason: "overloaded", detail: "every upstream connection and queue place is taken" });
        return;
      }
      inFlight += 1;
      new Relay(pool, readBefore, exchange, (outcome) => {
        inFlight -= 1;
        done(outcome);
      }).start();
    },
    close: () => pool.close(),
    destroy: () => pool.destroy(),
  };
}

/** Carries one exchange: relays the response as it comes, pausing the upstream while the client is slower. */
class Relay implements Dispatcher.DispatchHandler {
  readonly #pool: Pool;
  readonly #readBefore: WeakMap<object, number>;
  readonly #exchange: Exchange;
  readonly #done: (outcome: Outcome) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #contentLength: number | undefined;
  #status = 0;
  /** Whether any byte of an answer came, interim ones included. */
  #heard = false;
  #retried = false;
  #clientGone = false;
  #settled = false;

  constructor(pool: Pool, readBefore: WeakMap<object, number>, exchange: Exchange, done: (outcome: Outcome) => void) {
    this.#pool = pool;
    this.#readBefore = readBefore;
    this.#exchange = exchange;
    this.#done = done;
  }

  start(): void {
    const { request, response } = this.#exchange;
    response.on("close", this.#onClientClose);
    if (response.socket !== null || !this.#asksToContinue()) {
      this.#dispatch();
      return;
    }
    // Behind another answer, where Node would put our 100 after the head of ours, into what the client reads as
    // the body. It waits for that 100 anyway.
    const gone = (): void => this.#settle({ kind: "aborted" });
    request.once("close", gone);
    response.once("socket", () => {
      request.off("close", gone);
      this.#dispatch();
    });
  }

  /** RFC 9110 §10.1.1: a client of HTTP/1.0 waits for nothing. */
  #asksToContinue(): boolean {
    const { request, framing } = this.#exchange;
    return framing.kind !== "none" && request.headers.expect !== undefined && request.httpVersion === "1.1";
  }

  #dispatch(): void {
    const { method, target, headers, framing } = this.#exchange;
    const body = framing.kind === "none" ? null : new RequestBody(this.#exchange);
    const lines = framing.kind === "length" ? [...headers, "content-length", String(framing.bytes)] : headers;
    try {
      this.#pool.dispatch({ path: target, method, headers: lines, body }, this);
    } catch (error) {
      this.#settle({ kind: "failed", reason: "upstream_invalid", detail: describe(error) });
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#clientGone) controller.abort(new Error("the client went away"));
    else if (this.#asksToContinue()) this.#exchange.response.writeContinue();
  }

  onResponseStarted(): void {
    this.#heard = true;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, statusText?: string): void {
    const { response, responseHeaders } = this.#exchange;
    // Interim responses are this hop's own affair but for hints, which Node writes only as links.
    if (status < 200) return;
    const head = buildResponseHeaders(status, toLines(controller.rawHeaders), responseHeaders);
    if (head.kind === "invalid") throw new Error(head.problem);
    this.#contentLength = head.contentLength;
    // Throws for a reason phrase or a value that could split the head; undici hands that to onResponseError.
    response.writeHead(status, statusText ?? "", head.headers);
    this.#status = status;
    // A head and a body that arrive together leave in one write; a head that waits for its body leaves now.
    queueMicrotask(this.#flushHead);
  }

  readonly #flushHead = (): void => {
    const { response } = this.#exchange;
    if (!this.#settled && !response.writableEnded) response.flushHeaders();
  };

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response } = this.#exchange;
    if (chunk.length === this.#contentLength) {
      response.end(chunk);
    } else if (!response.write(chunk)) {
      controller.pause();
      response.once("drain", () => controller.resume());
    }
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    const { response } = this.#exchange;
    if (!response.writableEnded) {
      const trailers = buildResponseTrailers(toLines(controller.rawTrailers));
      if (trailers.length > 0) response.addTrailers(trailers);
      response.end();
    }
    this.#settle({ kind: "answered", status: this.#status });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#settled) return;
    if (this.#status !== 0) {
      // Ending it would make a truncated body look complete (RFC 9112 §8).
      this.#exchange.response.destroy();
      this.#settle({ kind: "truncated", status: this.#status, detail: describe(error) });
    } else if (this.#clientGone) {
      this.#settle({ kind: "aborted" });
    } else if (this.#mayRetry(error)) {
      this.#retried = true;
      this.#controller = undefined;
      this.#dispatch();
    } else {
      this.#settle({ kind: "failed", reason: toFailure(error), detail: describe(error) });
    }
  }

  /** A kept connection that the upstream closed while the request was on its way to it. */
  #mayRetry(error: Error): boolean {
    const { method, framing } = this.#exchange;
    if (this.#heard || this.#retried || framing.kind !== "none" || !IDEMPOTENT.has(method)) return false;
    // A connection that had read something had served before; on a new one the upstream may be at work.
    return this.#bytesRead(error) > 0;
  }

  /** What a connection that the other side closed had read in its life; 0 for any other error. */
  #bytesRead(error: Error): number {
    const code = codeOf(error);
    if (code === "ECONNRESET" || code === "EPIPE") return this.#readBefore.get(error) ?? 0;
    if (code !== "UND_ERR_SOCKET" || !("socket" in error)) return 0;
    const { socket } = error;
    return typeof socket === "object" && socket !== null && "bytesRead" in socket ? Number(socket.bytesRead) : 0;
  }

  readonly #onClientClose = (): void => {
    if (this.#settled) return;
    this.#clientGone = true;
    this.#controller?.abort(new Error("the client went away"));
    if (this.#status !== 0) this.#settle({ kind: "aborted" });
  };

  #settle(outcome: Outcome): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#exchange.response.off("close", this.#onClientClose);
    this.#done(outcome);
  }
}

function toLines(raw: Dispatcher.DispatchController["rawHeaders"]): readonly (string | Buffer)[] {
  return Array.isArray(raw) ? raw.flat() : [];
}
