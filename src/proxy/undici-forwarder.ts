import { type Dispatcher, Pool } from "undici";
import type { UpstreamSettings } from "../config/settings.ts";
import type { Exchange, Forwarder, ForwardFailure, Outcome } from "./forward.ts";
import { BodyTooLarge, RequestBody } from "./request-body.ts";
import { buildResponseHeaders } from "./response-headers.ts";

// RFC 9110 §9.2.2. Only these may be sent again, and only without a body.
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Forwards over a pool of HTTP/1.1 connections, one request at a time on each. */
export function createUndiciForwarder(settings: UpstreamSettings): Forwarder {
  const pool = new Pool(settings.origin, {
    connections: settings.maxConnections,
    pipelining: 1,
    allowH2: false,
    headersTimeout: settings.responseTimeoutMs,
    bodyTimeout: settings.idleTimeoutMs,
    connect: {
      timeout: settings.connectTimeoutMs,
      ...(settings.socketPath === undefined ? {} : { socketPath: settings.socketPath }),
      ...(settings.ca === undefined ? {} : { ca: settings.ca }),
    },
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
      new Relay(pool, exchange, (outcome) => {
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
  readonly #exchange: Exchange;
  readonly #done: (outcome: Outcome) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #contentLength: number | undefined;
  #status = 0;
  #retried = false;
  #clientGone = false;
  #settled = false;

  constructor(pool: Pool, exchange: Exchange, done: (outcome: Outcome) => void) {
    this.#pool = pool;
    this.#exchange = exchange;
    this.#done = done;
  }

  start(): void {
    this.#exchange.response.on("close", this.#onClientClose);
    this.#dispatch();
  }

  #dispatch(): void {
    const { request, method, target, headers, framing, maxBodyBytes } = this.#exchange;
    const body = framing.kind === "none" ? null : new RequestBody(request, maxBodyBytes);
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
    else if (this.#exchange.framing.kind !== "none") this.#sendContinue();
  }

  /** RFC 9110 §10.1.1: the client holds its body back until it is wanted, which is now. */
  #sendContinue(): void {
    const { request, response } = this.#exchange;
    if (request.headers.expect !== undefined) response.writeContinue();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, statusText?: string): void {
    const { response, responseHeaders } = this.#exchange;
    // Interim responses are this hop's own affair but for hints, which Node writes only as links.
    if (status < 200) return;
    const head = buildResponseHeaders(toLines(controller.rawHeaders), responseHeaders);
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
      const trailers = toLines(controller.rawTrailers);
      if (trailers.length > 0) response.addTrailers(toPairs(trailers));
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
    if (this.#retried || framing.kind !== "none" || !IDEMPOTENT.has(method)) return false;
    return wasReusedAndClosed(error);
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

function toPairs(lines: readonly (string | Buffer)[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index < lines.length; index += 2) {
    pairs.push([String(lines[index]), String(lines[index + 1])]);
  }
  return pairs;
}

const FAILURES: ReadonlyMap<string, ForwardFailure> = new Map([
  ["UND_ERR_CONNECT_TIMEOUT", "upstream_timeout"],
  ["UND_ERR_HEADERS_TIMEOUT", "upstream_timeout"],
  ["ETIMEDOUT", "upstream_timeout"],
  ["ECONNREFUSED", "upstream_unreachable"],
  ["ENOTFOUND", "upstream_unreachable"],
  ["EAI_AGAIN", "upstream_unreachable"],
  ["EHOSTUNREACH", "upstream_unreachable"],
  ["ENETUNREACH", "upstream_unreachable"],
  ["ENOENT", "upstream_unreachable"],
  ["EACCES", "upstream_unreachable"],
]);

function toFailure(error: Error): ForwardFailure {
  if (error instanceof BodyTooLarge) return "body_too_large";
  return FAILURES.get(codeOf(error)) ?? "upstream_invalid";
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** undici tells of a closed socket how much it had read: more than nothing means it had served before. */
function wasReusedAndClosed(error: Error): boolean {
  const code = codeOf(error);
  if (code === "ECONNRESET" || code === "EPIPE") return true;
  if (code !== "UND_ERR_SOCKET" || !("socket" in error)) return false;
  const { socket } = error;
  return typeof socket === "object" && socket !== null && "bytesRead" in socket && Number(socket.bytesRead) > 0;
}

function describe(error: unknown): string {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  return code === "" || message.includes(code) ? message : `${message} (${code})`;
}
