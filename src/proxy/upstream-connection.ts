import type { Socket } from "node:net";
import type { FieldLines } from "../http1/fields.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { ResponseReader, type ResponseSink } from "../http1/response-reader.ts";
import type { WriteText } from "./burst.ts";
import { READ_BUFFER, ReadBuffers } from "./read-buffers.ts";
import { type Entry, NOT_LISTED } from "./roster.ts";
import { openUpstreamSocket, type UpstreamAddress, type UpstreamSocket } from "./upstream-socket.ts";

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
export interface AnswerSink extends ResponseSink {
  /** The request's head is out, on a connection that stands. */
  readonly headSent: () => void;
  /** What was sent of the body has left, after a part that did not fit. */
  readonly bodyDrained: () => void;
  /** All that was read for now has been told; false asks to read no more until `resume`. */
  readonly answerRead: () => boolean;
  readonly answerEnd: (trailers: FieldLines) => void;
  /** What the request asks to switch to. */
  readonly protocol: string | undefined;
  /** The upstream did switch. Its socket, paused, is the sink's own now, and so is what came of the other protocol. */
  readonly switched: (head: ResponseHead, socket: Socket, first: Buffer) => void;
  /** Whether anything is held of the buffers that were told of. */
  readonly isHolding: boolean;
  /** `heard`: whether any byte of an answer had come. */
  readonly failed: (failure: ConnectionFailure, heard: boolean) => void;
}

export interface ConnectionOwner {
  readonly elapsed: () => number;
  readonly write: WriteText;
  /** The connection can carry another request. */
  readonly free: (connection: UpstreamConnection) => void;
  /** It carries no more. */
  readonly closed: (connection: UpstreamConnection) => void;
}

// Shorter than the five seconds after which most servers close an idle connection, so that a request seldom meets one
// that is being closed.
const KEPT_MS = 4_000;
const KEPT_MARGIN_SECONDS = 1;
const MAX_KEPT_SECONDS = 600;

/** One connection to the upstream: carries one request at a time. */
export class UpstreamConnection implements Entry {
  place = NOT_LISTED;
  readonly #owner: ConnectionOwner;
  readonly #times: ConnectionTimes;
  readonly socket: Socket;
  readonly #release: UpstreamSocket["release"];
  readonly #buffers = new ReadBuffers();
  /** The request it carries: who is told of its answer, and what reads it. */
  #sink: AnswerSink | undefined;
  #reader: ResponseReader | undefined;
  #isConnected = false;
  #isClosed = false;
  #requestSent = false;
  #heard = false;
  #paused = false;
  #error: Error | undefined;
  #deadlineMs: number;
  /** Requests it has carried before this one. */
  #served = 0;

  constructor(address: UpstreamAddress, times: ConnectionTimes, owner: ConnectionOwner) {
    this.#owner = owner;
    this.#times = times;
    this.#deadlineMs = owner.elapsed() + times.connectMs;
    const opened = openUpstreamSocket(address, this.#buffers, (buffer, from, to) => this.#read(buffer, from, to));
    this.socket = opened.socket;
    this.#release = opened.release;
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
    return this.#sink === undefined && !this.#isClosed;
  }

  /** Sends a request's head. `isWhole`: no body follows. */
  send(text: string, method: string, isWhole: boolean, sink: AnswerSink): void {
    this.#sink = sink;
    this.#reader = new ResponseReader(method === "HEAD", sink.protocol);
    this.#requestSent = isWhole;
    this.#heard = false;
    if (this.#isConnected) this.#await(isWhole ? this.#times.responseMs : this.#times.idleMs);
    this.#owner.write(this.socket, text);
    // What has come of the body leaves with the head.
    if (!isWhole && this.#isConnected) sink.headSent();
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
    if (this.#reader?.isAwaitingHead === true) this.#await(this.#times.responseMs);
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#reader !== undefined) this.#moved(this.#reader);
    this.socket.resume();
  }

  /** Ends it at once; its request hears nothing more. */
  destroy(): void {
    this.#sink = undefined;
    this.#reader = undefined;
    this.socket.destroy();
    if (this.#isClosed) return;
    this.#isClosed = true;
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
    else if (this.#reader === undefined) this.destroy();
    else if (!this.#reader.isAwaitingHead) this.#fail({ kind: "stalled", by: "upstream" });
    else if (this.#requestSent) this.#fail({ kind: "response-timeout" });
    else this.#fail({ kind: "stalled", by: this.socket.writableNeedDrain ? "upstream" : "client" });
  }

  #await(timeMs: number): void {
    this.#deadlineMs = this.#owner.elapsed() + timeMs;
  }

  /** The upstream has so long for the final head: neither a part of it nor an interim answer gives it more. */
  #moved(reader: ResponseReader): void {
    if (!reader.isAwaitingHead) this.#await(this.#times.idleMs);
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
    const sink = this.#sink;
    try {
      return this.#readAll(buffer, from, to);
    } catch (error) {
      this.#failBroken(error);
      return false;
    } finally {
      if (buffer !== READ_BUFFER && sink?.isHolding === true) this.#buffers.giveAway();
    }
  }

  /** Gives back whether to go on reading. */
  #readAll(buffer: Buffer, from: number, to: number): boolean {
    const { reader, sink } = { reader: this.#reader, sink: this.#sink };
    if (reader === undefined || sink === undefined) {
      // Bytes nobody asked for would be taken for the next request's answer.
      this.destroy();
      return false;
    }
    this.#heard = true;
    const end = reader.read(buffer, from, to, sink);
    // What it told may have ended the request.
    if (this.#reader !== reader) return true;
    if (typeof end === "string") {
      this.#fail({ kind: "malformed", problem: end });
      return false;
    }
    if (reader.isDone) {
      this.#finish(reader, end < to);
      return true;
    }
    if (reader.switched !== undefined) {
      this.#handOver(reader.switched, sink, Buffer.from(buffer.subarray(end, to)));
      return false;
    }
    this.#moved(reader);
    if (sink.answerRead()) return true;
    this.#paused = true;
    this.socket.pause();
    return false;
  }

  /** The answer is whole. `more`: bytes behind it, which are nobody's answer. */
  #finish(reader: ResponseReader, more: boolean): void {
    const sink = this.#sink;
    const keptMs = toKeptMs(reader.keepAliveSeconds);
    this.#sink = undefined;
    this.#reader = undefined;
    this.#served += 1;
    try {
      if (reader.isPersistent && this.#requestSent && !more && keptMs > 0) {
        this.#await(keptMs);
        this.#owner.free(this);
      } else this.destroy();
    } finally {
      // Whoever is next on this connection may break it, and not the answer that is whole.
      sink?.answerEnd(reader.trailers);
    }
  }

  /** The upstream speaks another protocol now, which is no affair of a connection that carries requests. */
  #handOver(head: ResponseHead, sink: AnswerSink, first: Buffer): void {
    this.#sink = undefined;
    this.#reader = undefined;
    this.#isClosed = true;
    this.#release();
    this.socket.pause();
    for (const [event, listener] of [
      ["drain", this.#onDrain],
      ["end", this.#onEnd],
      ["close", this.#onClose],
    ] as const) {
      this.socket.off(event, listener);
    }
    try {
      this.#owner.closed(this);
    } finally {
      sink.switched(head, this.socket, first);
    }
  }

  #fail(failure: ConnectionFailure): void {
    const sink = this.#sink;
    const heard = this.#heard;
    this.destroy();
    sink?.failed(failure, heard);
  }

  readonly #onEnd = (): void => {
    this.#guard(() => {
      if (this.#reader?.end() === true) this.#finish(this.#reader, false);
      else this.#fail({ kind: "broken", error: undefined });
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

function toKeptMs(keepAliveSeconds: number | undefined): number {
  if (keepAliveSeconds === undefined) return KEPT_MS;
  return (Math.min(keepAliveSeconds, MAX_KEPT_SECONDS) - KEPT_MARGIN_SECONDS) * 1000;
}
