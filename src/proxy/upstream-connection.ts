import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { ChunkedDecoder } from "../http1/chunked-decoder.ts";
import type { FieldLines } from "../http1/fields.ts";
import { parseResponseHead, type ResponseHead } from "../http1/response-head.ts";

/** Where connections to the upstream lead. */
export type UpstreamAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "tls"; readonly host: string; readonly port: number; readonly ca: string | undefined };

export interface ConnectionTimes {
  readonly connectMs: number;
  readonly responseMs: number;
  readonly idleMs: number;
}

/** How a connection failed the request it carried. */
export type ConnectionFailure =
  | { readonly kind: "connect"; readonly error: Error }
  | { readonly kind: "connect-timeout" }
  | { readonly kind: "response-timeout" }
  /** Nothing moved for too long: the client's body, or whatever waits for the upstream. */
  | { readonly kind: "stalled"; readonly by: "client" | "upstream" }
  /** The upstream ended or reset the connection before its answer was whole. */
  | { readonly kind: "broken"; readonly error: Error | undefined }
  | { readonly kind: "malformed"; readonly problem: string };

/** Is told of the answer to the request a connection carries. */
export interface AnswerSink {
  /** The request's head is out, on a connection that stands. */
  readonly headSent: () => void;
  /** What was sent of the body has left, after a part that did not fit. */
  readonly bodyDrained: () => void;
  readonly interim: (head: ResponseHead) => void;
  /** The final head; a problem it gives back makes the answer malformed. */
  readonly answerHead: (head: ResponseHead) => string | undefined;
  /** A range of a buffer that is only valid during the call. */
  readonly answerData: (buffer: Buffer, from: number, to: number) => void;
  /** All that was read for now has been told; false asks to read no more until `resume`. */
  readonly answerRead: () => boolean;
  readonly answerEnd: (trailers: FieldLines) => void;
  /** `heard`: whether any byte of an answer had come. */
  readonly failed: (failure: ConnectionFailure, heard: boolean) => void;
}

export interface ConnectionOwner {
  readonly elapsed: () => number;
  /** The connection can carry another request. */
  readonly free: (connection: UpstreamConnection) => void;
  readonly closed: (connection: UpstreamConnection) => void;
}

/** - `idle`: carries nothing - `head`: its request is out - `length`, `chunked`, `close`: inside a body of that framing */
type State = "idle" | "head" | "length" | "chunked" | "close" | "closed";

// As much as an answer's head may be, trailers included: what other clients of HTTP take.
const MAX_HEAD_BYTES = 16 * 1024;
// Interim answers before the final one. A storm of them is no answer.
const MAX_INTERIM = 1000;
const READ_BYTES = 64 * 1024;
// Shorter than the five seconds after which most servers close an idle connection, so that a request seldom meets one
// that is being closed.
const KEPT_MS = 4_000;
const KEPT_MARGIN_SECONDS = 1;
const MAX_KEPT_SECONDS = 600;

// A part of a head that can still become a sound one: what cannot need not be waited for.
const MAY_BEGIN = /^H[^\n]*$|^HTTP\/[^\n]*\r\n(?:[^\n]*\r\n)*[^\n]*$/;

/** Bytes of all plain connections are read into here: each is done with them before the next is read. */
const SHARED = Buffer.allocUnsafeSlow(READ_BYTES);

/** One connection to the upstream: carries one request at a time and parses its answer. */
export class UpstreamConnection {
  readonly #owner: ConnectionOwner;
  readonly #times: ConnectionTimes;
  readonly socket: Socket;
  #state: State = "idle";
  #sink: AnswerSink | undefined;
  #isConnected = false;
  #isHead = false;
  #requestSent = false;
  #heard = false;
  #partial = "";
  #left = 0;
  #interims = 0;
  #decoder: ChunkedDecoder | undefined;
  #persistent = true;
  #keptMs = KEPT_MS;
  #paused = false;
  #error: Error | undefined;
  #deadlineMs: number;
  /** Requests it has carried before this one. */
  #served = 0;

  constructor(address: UpstreamAddress, times: ConnectionTimes, owner: ConnectionOwner) {
    this.#owner = owner;
    this.#times = times;
    this.#deadlineMs = owner.elapsed() + times.connectMs;
    this.socket = open(address, (buffer, from, to) => this.#read(buffer, from, to));
    this.socket.on(address.kind === "tls" ? "secureConnect" : "connect", this.#onConnect);
    this.socket.on("drain", this.#onDrain);
    this.socket.on("end", this.#onEnd);
    this.socket.on("error", this.#onError);
    this.socket.on("close", this.#onClose);
  }

  /** Whether it has carried a request before, so that the upstream may be closing it just now. */
  get wasUsed(): boolean {
    return this.#served > 0;
  }

  get isFree(): boolean {
    return this.#state === "idle";
  }

  /** Sends a request's head. `isWhole`: no body follows. */
  send(text: string, method: string, isWhole: boolean, sink: AnswerSink): void {
    this.#sink = sink;
    this.#state = "head";
    this.#isHead = method === "HEAD";
    this.#requestSent = isWhole;
    this.#heard = false;
    this.#interims = 0;
    if (this.#isConnected) this.#await(isWhole ? this.#times.responseMs : this.#times.idleMs);
    if (isWhole) {
      this.socket.write(text, "latin1");
      return;
    }
    // What has come of the body leaves with the head.
    this.socket.cork();
    this.socket.write(text, "latin1");
    if (this.#isConnected) sink.headSent();
    this.socket.uncork();
  }

  /** Sends a part of the body as it stands; false asks to wait for `bodyDrained`. */
  sendBody(chunk: Buffer): boolean {
    this.#await(this.#times.idleMs);
    return this.socket.write(chunk);
  }

  /** The same as one chunk (RFC 9112 §7.1). */
  sendChunk(chunk: Buffer): boolean {
    this.#await(this.#times.idleMs);
    this.socket.cork();
    this.socket.write(`${chunk.length.toString(16)}\r\n`, "latin1");
    this.socket.write(chunk);
    const fits = this.socket.write("\r\n", "latin1");
    this.socket.uncork();
    return fits;
  }

  endBody(text: string): void {
    if (text !== "") this.socket.write(text, "latin1");
    this.#requestSent = true;
    if (this.#state === "head") this.#await(this.#times.responseMs);
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#await(this.#times.idleMs);
    this.socket.resume();
  }

  /** Ends it at once; its request hears nothing more. */
  destroy(): void {
    this.#sink = undefined;
    this.socket.destroy();
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#owner.closed(this);
  }

  /** Ends it at once; its request is told. */
  breakOff(): void {
    this.#guard(() => this.#fail({ kind: "broken", error: undefined }));
  }

  sweep(nowMs: number): void {
    this.#guard(() => this.#judge(nowMs));
  }

  #judge(nowMs: number): void {
    if (nowMs < this.#deadlineMs) return;
    if (!this.#isConnected) this.#fail({ kind: "connect-timeout" });
    else if (this.#state === "idle") this.destroy();
    else if (this.#state === "head" && this.#requestSent) this.#fail({ kind: "response-timeout" });
    else this.#fail({ kind: "stalled", by: this.#isAwaitingBody() ? "client" : "upstream" });
  }

  #isAwaitingBody(): boolean {
    return this.#state === "head" && !this.#requestSent && !this.socket.writableNeedDrain;
  }

  #await(timeMs: number): void {
    this.#deadlineMs = this.#owner.elapsed() + timeMs;
  }

  readonly #onConnect = (): void => {
    this.#isConnected = true;
    this.#await(this.#requestSent ? this.#times.responseMs : this.#times.idleMs);
    this.#guard(() => this.#sink?.headSent());
  };

  readonly #onDrain = (): void => {
    this.#guard(() => this.#sink?.bodyDrained());
  };

  /** What an event calls has no caller to catch what it throws: the request fails, and the process goes on. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failBroken(error);
    }
  }

  #failBroken(error: unknown): void {
    try {
      this.#fail({ kind: "broken", error: error instanceof Error ? error : undefined });
    } catch {
      this.destroy();
    }
  }

  #read(buffer: Buffer, from: number, to: number): boolean {
    try {
      return this.#readAll(buffer, from, to);
    } catch (error) {
      this.#failBroken(error);
      return false;
    }
  }

  /** Gives back whether to go on reading. */
  #readAll(buffer: Buffer, from: number, to: number): boolean {
    if (this.#state === "idle" || this.#state === "closed") {
      // Bytes nobody asked for would be taken for the next request's answer.
      this.destroy();
      return false;
    }
    this.#heard = true;
    const sink = this.#sink;
    let at = from;
    while (at < to && this.#sink === sink && this.#isReading()) at = this.#take(buffer, at, to);
    if (this.#sink !== sink || sink === undefined) return true;
    if (!this.#isReading()) {
      this.#finish(at < to);
      return true;
    }
    this.#await(this.#state === "head" ? this.#times.responseMs : this.#times.idleMs);
    if (sink.answerRead()) return true;
    this.#paused = true;
    this.socket.pause();
    return false;
  }

  #isReading(): boolean {
    return this.#state !== "idle" && this.#state !== "closed";
  }

  #take(buffer: Buffer, from: number, to: number): number {
    switch (this.#state) {
      case "head":
        return this.#takeHead(buffer, from, to);
      case "length": {
        const end = Math.min(to, from + this.#left);
        this.#left -= end - from;
        this.#sink?.answerData(buffer, from, end);
        if (this.#left === 0) this.#state = "idle";
        return end;
      }
      case "chunked":
        return this.#takeChunks(buffer, from, to);
      default:
        this.#sink?.answerData(buffer, from, to);
        return to;
    }
  }

  #takeHead(buffer: Buffer, from: number, to: number): number {
    const before = this.#partial.length;
    // A body that came with its head is not looked at as text.
    const limit = Math.min(to, from + MAX_HEAD_BYTES + 4 - before);
    const text = this.#partial + buffer.toString("latin1", from, limit);
    const end = text.indexOf("\r\n\r\n", Math.max(0, before - 3));
    if (end === -1) {
      if (text.length >= MAX_HEAD_BYTES + 4) this.#fail({ kind: "malformed", problem: "a head beyond all bounds" });
      else if (!MAY_BEGIN.test(text)) this.#fail({ kind: "malformed", problem: "a line does not end in CRLF" });
      this.#partial = text;
      return to;
    }
    this.#partial = "";
    const next = from + end + 4 - before;
    const parsed = parseResponseHead(text.slice(0, end + 2));
    if (parsed.kind === "malformed") this.#fail(parsed);
    else if (parsed.head.status < 200) this.#takeInterim(parsed.head);
    else this.#begin(parsed.head);
    return next;
  }

  #takeInterim(head: ResponseHead): void {
    this.#interims += 1;
    if (head.status === 101) this.#fail({ kind: "malformed", problem: "a switch of protocols nobody asked for" });
    else if (this.#interims > MAX_INTERIM) this.#fail({ kind: "malformed", problem: "interim answers without end" });
    else this.#sink?.interim(head);
  }

  #begin(head: ResponseHead): void {
    this.#persistent = head.persistent;
    this.#keptMs =
      head.keepAliveSeconds === undefined
        ? KEPT_MS
        : (Math.min(head.keepAliveSeconds, MAX_KEPT_SECONDS) - KEPT_MARGIN_SECONDS) * 1000;
    const problem = this.#sink?.answerHead(head);
    if (problem !== undefined) {
      this.#fail({ kind: "malformed", problem });
      return;
    }
    // RFC 9110 §8.6, §15.3.5: one that announces a body may be about to send it, before the next answer.
    if (head.status === 204 && (head.framing.kind === "chunked" || isLong(head.framing))) this.#persistent = false;
    // RFC 9112 §6.3: these have no body, whatever their fields say.
    if (this.#isHead || head.status === 204 || head.status === 304) {
      this.#state = "idle";
      return;
    }
    const { framing } = head;
    if (framing.kind === "length") {
      this.#left = framing.bytes;
      this.#state = framing.bytes === 0 ? "idle" : "length";
      return;
    }
    this.#state = framing.kind;
    if (framing.kind === "chunked") this.#decoder = new ChunkedDecoder(MAX_HEAD_BYTES);
    else this.#persistent = false;
  }

  #takeChunks(buffer: Buffer, from: number, to: number): number {
    const { decoder, sink } = { decoder: this.#decoder, sink: this.#sink };
    if (decoder === undefined || sink === undefined) return to;
    const end = decoder.decode(buffer, from, to, (...range) => sink.answerData(...range));
    if (typeof end === "string") {
      this.#fail({ kind: "malformed", problem: end });
      return to;
    }
    if (decoder.isDone) this.#state = "idle";
    return end;
  }

  /** The answer is whole. `more`: bytes behind it, which are nobody's answer. */
  #finish(more: boolean): void {
    const sink = this.#sink;
    const trailers = this.#decoder?.trailers ?? [];
    const reusable = this.#persistent && this.#requestSent && !more && this.#keptMs > 0;
    this.#sink = undefined;
    this.#decoder = undefined;
    this.#served += 1;
    if (reusable) this.#await(this.#keptMs);
    else this.destroy();
    if (reusable) this.#owner.free(this);
    sink?.answerEnd(trailers);
  }

  #fail(failure: ConnectionFailure): void {
    const sink = this.#sink;
    const heard = this.#heard;
    this.destroy();
    sink?.failed(failure, heard);
  }

  readonly #onEnd = (): void => {
    this.#guard(() => {
      if (this.#state !== "close") {
        this.#fail({ kind: "broken", error: undefined });
        return;
      }
      this.#state = "idle";
      this.#finish(false);
    });
  };

  readonly #onError = (error: Error): void => {
    this.#error = error;
  };

  readonly #onClose = (): void => {
    const error = this.#error;
    this.#guard(() =>
      this.#fail(this.#isConnected || error === undefined ? { kind: "broken", error } : { kind: "connect", error }),
    );
  };
}

function isLong(framing: ResponseHead["framing"]): boolean {
  return framing.kind === "length" && framing.bytes > 0;
}

function open(address: UpstreamAddress, read: (buffer: Buffer, from: number, to: number) => boolean): Socket {
  if (address.kind === "tls") {
    const { host, port, ca } = address;
    const socket = connectTls({
      ...{ host, port, ALPNProtocols: ["http/1.1"] },
      // RFC 6066 §3: an address is no server name.
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
      ...(ca === undefined ? {} : { ca }),
    });
    socket.on("data", (chunk: Buffer) => read(chunk, 0, chunk.length));
    socket.setNoDelay(true);
    return socket;
  }
  const onread = {
    buffer: SHARED,
    callback: (length: number, buffer: Uint8Array) => read(buffer === SHARED ? SHARED : Buffer.from(buffer), 0, length),
  };
  const where = address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
  return connectPlain({ ...where, noDelay: true, onread });
}
