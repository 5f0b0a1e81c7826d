import { Readable } from "node:stream";
import { buildConnector, type Dispatcher, Pool } from "undici";
import type { UpstreamSettings } from "../../src/config/settings.ts";
import { type FieldLines, type FieldText, toFieldLines, toFieldText } from "../../src/http1/fields.ts";
import { parseContentLength } from "../../src/http1/framing.ts";
import { parseResponseHead } from "../../src/http1/response-head.ts";
import type { BodyFailure, BodySink, ClientExchange, ClientWatcher } from "../../src/proxy/client-exchange.ts";
import type { Clock } from "../../src/proxy/clock.ts";
import type { Exchange, Forwarder, ForwardFailure, Outcome } from "../../src/proxy/forward.ts";
import { codeOf, describe, toFailure } from "../../src/proxy/forward-failure.ts";
import { buildResponseFields, buildResponseTrailers } from "../../src/proxy/response-headers.ts";
import { createSocketForwarder as createOwnForwarder } from "../../src/proxy/socket-forwarder.ts";

// RFC 9110 §9.2.2. Only these may be sent again, and only without a body.
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Forwards over undici: another reading of RFC 9112, by other people, to hold our own against. The program can be
 * built with it in the place of ours, so that every test can be run over both.
 */
export function createSocketForwarder(
  settings: UpstreamSettings,
  clock: Pick<Clock, "elapsed" | "after" | "afterPass">,
): Forwarder {
  // Of a switch of protocols there is one reading, ours.
  const switching = createOwnForwarder(settings, clock);
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
    forward: (exchange, fields) => {
      if (exchange.protocol !== undefined) {
        switching.forward(exchange, fields);
        return;
      }
      if (inFlight >= limit) {
        exchange.done({
          kind: "failed",
          reason: "overloaded",
          detail: "every upstream connection and queue place is taken",
        });
        return;
      }
      inFlight += 1;
      new UndiciRelay(pool, readBefore, exchange, fields, (outcome) => {
        inFlight -= 1;
        exchange.done(outcome);
      }).start();
    },
    close: async () => void (await Promise.all([pool.close(), switching.close()])),
    destroy: async () => void (await Promise.all([pool.destroy(), switching.destroy()])),
  };
}

/** A client's body that did not come to its end. */
class BrokenBody extends Error {
  readonly reason: BodyFailure;

  constructor(reason: BodyFailure, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** The client's body as a stream. */
class ClientBody extends Readable implements BodySink {
  readonly #client: ClientExchange;
  readonly #maxBytes: number | undefined;
  #reading = false;

  constructor(client: ClientExchange, maxBytes: number | undefined) {
    super();
    this.#client = client;
    this.#maxBytes = maxBytes;
  }

  override _read(): void {
    if (this.#reading) this.#client.resumeBody();
    else {
      this.#reading = true;
      this.#client.readBody(this, this.#maxBytes);
    }
  }

  bodyData(chunk: Buffer): boolean {
    if (!this.push(chunk)) this.#client.pauseBody();
    return true;
  }

  bodyEnd(): void {
    this.push(null);
  }

  bodyFailed(reason: BodyFailure, detail: string): void {
    this.destroy(new BrokenBody(reason, detail));
  }
}

class UndiciRelay implements Dispatcher.DispatchHandler, ClientWatcher {
  readonly #pool: Pool;
  readonly #readBefore: WeakMap<object, number>;
  readonly #exchange: Exchange;
  readonly #lines: FieldLines;
  readonly #done: (outcome: Outcome) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #heard = false;
  #retried = false;
  #clientGone = false;
  #settled = false;

  constructor(
    pool: Pool,
    readBefore: WeakMap<object, number>,
    exchange: Exchange,
    fields: FieldText,
    done: (outcome: Outcome) => void,
  ) {
    this.#pool = pool;
    this.#readBefore = readBefore;
    this.#exchange = exchange;
    this.#lines = toFieldLines(fields);
    this.#done = done;
  }

  start(): void {
    this.#exchange.client.watch(this);
    this.#dispatch();
  }

  #dispatch(): void {
    const { client, method, target, framing, maxBodyBytes } = this.#exchange;
    const headers = this.#lines;
    const hasBody = framing.kind === "chunked" || (framing.kind === "length" && framing.bytes > 0);
    const body = hasBody ? new ClientBody(client, maxBodyBytes) : null;
    const lines = framing.kind === "length" ? [...headers, "content-length", String(framing.bytes)] : headers;
    try {
      this.#pool.dispatch({ path: target, method, headers: lines, body }, this);
    } catch (error) {
      this.#settle({ kind: "failed", reason: "upstream_invalid", detail: describe(error) });
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    const { client } = this.#exchange;
    if (this.#clientGone) controller.abort(new Error("the client went away"));
    else if (client.head.expectsContinue) client.inform(100, "Continue", []);
  }

  onResponseStarted(): void {
    this.#heard = true;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, statusText?: string): void {
    const { client } = this.#exchange;
    if (status < 200) return;
    const lines = toLines(controller.rawHeaders);
    const parsed = parseResponseHead(`HTTP/1.1 ${status} \r\n${toFieldText(lines)}`);
    if (parsed.kind === "malformed") throw new Error(parsed.problem);
    const hasLength = lines.some(
      (name, index) =>
        index % 2 === 0 &&
        name.toLowerCase() === "content-length" &&
        parseContentLength(lines[index + 1] ?? "") !== undefined,
    );
    this.#status = status;
    const { text, hasDate, isStream } = buildResponseFields(status, lines, this.#exchange.additions);
    client.begin({ status, reason: statusText ?? "", fields: text, hasDate, hasLength, isStream });
    queueMicrotask(() => {
      if (!this.#settled) client.flush();
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { client } = this.#exchange;
    client.write(chunk, 0, chunk.length);
    if (!client.flush()) controller.pause();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#exchange.client.end(buildResponseTrailers(toLines(controller.rawTrailers)));
    this.#settle({ kind: "answered", status: this.#status });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#settled) return;
    const { client } = this.#exchange;
    if (this.#clientGone) {
      this.#settle({ kind: "aborted" });
    } else if (this.#status !== 0 && !client.retract()) {
      this.#settle({ kind: "truncated", status: this.#status, detail: describe(error) });
      client.abort();
    } else if (this.#mayRetry(error)) {
      this.#retried = true;
      this.#controller = undefined;
      this.#dispatch();
    } else {
      this.#settle({ kind: "failed", reason: toReason(error), detail: describe(error) });
    }
  }

  clientDrained(): void {
    this.#controller?.resume();
  }

  clientGone(): void {
    if (this.#settled) return;
    this.#clientGone = true;
    this.#controller?.abort(new Error("the client went away"));
    this.#settle({ kind: "aborted" });
  }

  #mayRetry(error: Error): boolean {
    const { method, framing } = this.#exchange;
    if (this.#heard || this.#retried || framing.kind !== "none" || !IDEMPOTENT.has(method)) return false;
    // A connection that had read something had served before; on a new one the upstream may be at work.
    return this.#bytesRead(error) > 0;
  }

  #bytesRead(error: Error): number {
    const code = codeOf(error);
    if (code === "ECONNRESET" || code === "EPIPE") return this.#readBefore.get(error) ?? 0;
    if (code !== "UND_ERR_SOCKET" || !("socket" in error)) return 0;
    const { socket } = error;
    return typeof socket === "object" && socket !== null && "bytesRead" in socket ? Number(socket.bytesRead) : 0;
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#done(outcome);
  }
}

function toReason(error: Error): ForwardFailure {
  if (error instanceof BrokenBody) return error.reason;
  return /^UND_ERR_(?:CONNECT|HEADERS)_TIMEOUT$/.test(codeOf(error)) ? "upstream_timeout" : toFailure(error);
}

function toLines(raw: Dispatcher.DispatchController["rawHeaders"]): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.flat().map((part) => (typeof part === "string" ? part : part.toString("latin1")));
}
