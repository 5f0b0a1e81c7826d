import type { Socket } from "node:net";
import type { ListenSettings } from "../config/settings.ts";
import { BodyReader } from "../http1/body-reader.ts";
import type { RequestHead } from "../http1/request-head.ts";
import { RequestHeadReader } from "../http1/request-reader.ts";
import type { DenialReason } from "../policy/decision.ts";
import type { WriteText } from "./burst.ts";
import type { Peer } from "./client-address.ts";
import type { BodyFailure, BodySink, ClientExchange, HandedOver } from "./client-exchange.ts";
import { type ExchangeConnection, HttpExchange } from "./http-exchange.ts";
import { READ_BUFFER, ReadBuffers } from "./read-buffers.ts";
import { type Entry, NOT_LISTED } from "./roster.ts";
import { readSocket, type SocketReads } from "./socket-reads.ts";
import { type Part, Unread } from "./unread.ts";

/** What a connection asks of the listener it belongs to. */
export interface ConnectionHost {
  readonly settings: () => ListenSettings;
  /** Milliseconds that only ever grow. */
  readonly elapsed: () => number;
  readonly write: WriteText;
  /** For the Date field of answers that have none. */
  readonly httpDate: () => string;
  /** The Connection lines of an answer after which the connection lives on. */
  readonly keepAliveLines: () => string;
  readonly request: (exchange: ClientExchange) => void;
  /** The bytes that answer what is no request; the connection ends with them. */
  readonly refusal: (reason: DenialReason, detail: string, peer: Peer) => string;
  readonly closed: (connection: ClientConnection) => void;
}

/**
 * - `head`: the next request, or a part of its head, is awaited
 * - `body`: a request is being answered, and bytes are its body's
 * - `answer`: a request has come whole and is being answered; bytes are those of the next
 * - `closing`: everything was said; bytes are read and forgotten until the client has read it
 */
type State = "head" | "body" | "answer" | "closing";

// What a client may send ahead of its answer before it has to wait.
const MAX_UNREAD_BYTES = 64 * 1024;
// A client that is refused may still be sending. Small remainders are read so that the refusal arrives and the
// connection lives on; past this the connection is cut.
const MAX_DISCARDED_BYTES = 1024 * 1024;
// However it comes: nobody waits for it, and byte by byte it would hold a connection for weeks.
const DISCARDING_MS = 10_000;
// For the client to read the last answer and end its side; a reset would destroy what it has not read yet.
const CLOSING_MS = 2_000;
// For the last of an answer to leave to a client that reads slowly: a few hundred kilobytes at most.
const LEAVING_MS = 60_000;

/** One client connection: reads its requests one after the other and gives each to the host. */
export class ClientConnection implements ExchangeConnection, Entry {
  place = NOT_LISTED;
  readonly socket: Socket;
  readonly peer: Peer;
  readonly write: WriteText;
  readonly httpDate: () => string;
  readonly keepAliveLines: () => string;
  readonly #host: ConnectionHost;
  #state: State = "head";
  readonly #unread = new Unread();
  readonly #buffers = new ReadBuffers();
  readonly #reads: SocketReads;
  readonly #heads = new RequestHeadReader();
  #exchange: HttpExchange | undefined;
  #sink: BodySink | undefined;
  #body: BodyReader | undefined;
  #bodyBytes = 0;
  #maxBodyBytes = Number.POSITIVE_INFINITY;
  #bodyPaused = false;
  #working = false;
  /** When the state it is in has lasted too long. */
  #deadlineMs: number;
  #requestDeadlineMs = Number.POSITIVE_INFINITY;
  /** What was answered may take until then to leave. */
  #leavingUntilMs = 0;

  constructor(socket: Socket, peer: Peer, host: ConnectionHost) {
    this.socket = socket;
    this.peer = peer;
    this.#host = host;
    this.write = host.write;
    this.httpDate = host.httpDate;
    this.keepAliveLines = host.keepAliveLines;
    this.#deadlineMs = host.elapsed() + host.settings().headersTimeoutMs;
    socket.setNoDelay(true);
    this.#reads = readSocket(socket, this.#buffers, this.#onRead);
    socket.on("end", this.#onEnd);
    socket.on("drain", this.#onDrain);
    socket.on("close", this.#onClose);
    // Reported by "close" as well; unheard it would end the process.
    socket.on("error", ignore);
  }

  /** Whether it waits for a request of which nothing has come, and everything that was answered has left. */
  get isIdle(): boolean {
    return this.#isBetween() && this.#unread.length === 0 && this.socket.writableLength === 0;
  }

  #isBetween(): boolean {
    return this.#state === "head" && !this.#heads.isPartial;
  }

  /** Ends what took too long. */
  sweep(nowMs: number): void {
    const isLate = nowMs >= this.#deadlineMs && !this.#isTalking();
    if (!isLate && nowMs < this.#requestDeadlineMs) return;
    if (this.#isLeaving(nowMs)) return;
    switch (this.#state) {
      case "head":
        if (this.#isBetween()) this.socket.destroy();
        else this.#refuse("request_timeout", "the head did not come in time");
        break;
      case "body":
        this.#failBody(
          "request_timeout",
          nowMs < this.#requestDeadlineMs ? "nothing of the body came for too long" : "the body did not come in time",
        );
        break;
      case "closing":
        this.socket.destroy();
        break;
      case "answer":
        // The upstream's time is the forwarder's to measure.
        break;
      default:
        this.#state satisfies never;
    }
  }

  /** Whether an answer that was given is still on its way out, and may be. Its client has its time afterwards. */
  #isLeaving(nowMs: number): boolean {
    if (this.#state !== "closing" && !this.#isBetween()) return false;
    if (this.socket.writableLength === 0 || nowMs >= this.#leavingUntilMs) return false;
    this.#deadlineMs = nowMs + (this.#state === "closing" ? CLOSING_MS : this.#host.settings().idleTimeoutMs);
    return true;
  }

  /** An app that answers before it has heard all may talk with its client as long as its own silence lets it. */
  #isTalking(): boolean {
    const exchange = this.#exchange;
    return exchange?.isBegun === true && !exchange.isOver;
  }

  readonly #onRead = (buffer: Buffer, length: number): void => {
    if (this.#state === "closing") {
      this.#discard(length);
      return;
    }
    this.#unread.add(buffer, length);
    this.#work();
    this.#unread.keep();
  };

  /** Takes up what has come as far as it can be; answers given meanwhile come back here and find it at work. */
  #work(): void {
    if (this.#working) return;
    this.#working = true;
    try {
      while (this.#unread.length > 0 && this.#step());
    } catch {
      // Whatever broke, and was not answered for: nothing more is read from this client.
      this.socket.destroy();
    } finally {
      this.#working = false;
    }
    if ((this.#unread.length > MAX_UNREAD_BYTES || this.#bodyPaused) && !this.socket.isPaused()) this.socket.pause();
  }

  /** Whether anything was taken up. */
  #step(): boolean {
    switch (this.#state) {
      case "head":
        // Answers that are not read may not pile up.
        return !this.socket.writableNeedDrain && this.#takeHead();
      case "body":
        return this.#takeBody();
      case "closing":
        this.#discard(this.#unread.length);
        this.#unread.clear();
        return false;
      case "answer":
        return false;
      default:
        return this.#state satisfies never;
    }
  }

  #takeHead(): boolean {
    if (this.#heads.isEmpty) this.#beginHead();
    const { maxHeaderBytes } = this.#host.settings();
    const { buffer, from, to } = this.#unread;
    const read = this.#heads.read(buffer, from, to, maxHeaderBytes);
    switch (read.kind) {
      case "partial":
        this.#unread.clear();
        return false;
      case "malformed":
        return this.#refuse("request_invalid", read.problem);
      case "too-large":
        return this.#refuse("headers_too_large", `a head of more than ${maxHeaderBytes} bytes`);
      case "head":
        this.#unread.advance(read.next);
        this.#begin(read.head);
        return true;
      default:
        return read satisfies never;
    }
  }

  /** The first byte of a head has come. */
  #beginHead(): void {
    const { headersTimeoutMs, requestTimeoutMs } = this.#host.settings();
    const nowMs = this.#host.elapsed();
    this.#deadlineMs = nowMs + headersTimeoutMs;
    this.#requestDeadlineMs = requestTimeoutMs === 0 ? Number.POSITIVE_INFINITY : nowMs + requestTimeoutMs;
  }

  #begin(head: RequestHead): void {
    const { framing } = head;
    const hasBody = framing.kind === "chunked" || (framing.kind === "length" && framing.bytes > 0);
    this.#body = hasBody ? new BodyReader(framing, this.#host.settings().maxHeaderBytes) : undefined;
    this.#sink = undefined;
    this.#bodyBytes = 0;
    this.#bodyPaused = false;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    if (!hasBody) this.#requestDeadlineMs = Number.POSITIVE_INFINITY;
    this.#state = hasBody ? "body" : "answer";
    this.#exchange = new HttpExchange(this, head);
    this.#host.request(this.#exchange);
  }

  /** Gives the socket to the exchange that is being answered, and what was read behind its request. */
  handOver(): HandedOver {
    const { buffer, from, to } = this.#unread.take();
    const rest = Buffer.from(buffer.subarray(from, to));
    this.#exchange = undefined;
    this.#state = "closing";
    this.#reads.release();
    this.socket.off("end", this.#onEnd);
    this.socket.off("drain", this.#onDrain);
    this.socket.off("close", this.#onClose);
    // What comes before its new owner reads would be lost in a stream that flows.
    this.socket.pause();
    this.#host.closed(this);
    return { socket: this.socket, rest };
  }

  #takeBody(): boolean {
    const body = this.#body;
    if (body === undefined || this.#sink === undefined || this.#bodyPaused) return false;
    this.#awaitBody();
    const part = this.#unread.take();
    const end = body.read(part.buffer, part.from, part.to, (_, from, to) => this.#give(part, from, to));
    // It may have failed by what it gave, or its client be gone.
    if (this.#body !== body || this.#state !== "body") return true;
    if (typeof end === "string") {
      this.#failBody("request_invalid", end);
      return true;
    }
    if (end < part.to) this.#unread.putBack(part, end);
    if (body.isDone) this.#endBody();
    return true;
  }

  /** From now on the next byte of the body is the client's to send. */
  #awaitBody(): void {
    const { bodyIdleTimeoutMs } = this.#host.settings();
    this.#deadlineMs = bodyIdleTimeoutMs === 0 ? Number.POSITIVE_INFINITY : this.#host.elapsed() + bodyIdleTimeoutMs;
  }

  #give({ buffer }: Part, from: number, to: number): void {
    if (this.#state !== "body") return;
    this.#bodyBytes += to - from;
    if (this.#bodyBytes > this.#maxBodyBytes) {
      this.#failBody("body_too_large", `more than ${this.#maxBodyBytes} bytes`);
      return;
    }
    const chunk = buffer.subarray(from, to);
    const isHeld = this.#sink?.bodyData(buffer === READ_BUFFER ? Buffer.from(chunk) : chunk);
    if (isHeld === true) this.#buffers.giveAway();
  }

  #endBody(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#requestDeadlineMs = Number.POSITIVE_INFINITY;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    this.#state = "answer";
    sink?.bodyEnd();
    if (this.#exchange?.isOver === true) this.#next();
  }

  /** The rest of the body is lost, and with it the place where the next request would begin. */
  #failBody(reason: BodyFailure, detail: string): void {
    const sink = this.#sink;
    const exchange = this.#exchange;
    this.#sink = undefined;
    this.#unread.clear();
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    this.#requestDeadlineMs = Number.POSITIVE_INFINITY;
    exchange?.endConnection();
    this.#state = "answer";
    if (exchange === undefined || exchange.isOver) this.#close();
    else if (sink === undefined) exchange.abort();
    else sink.bodyFailed(reason, detail);
  }

  /** Answers what is no request and ends the connection; what followed it is never read. Always false. */
  #refuse(reason: DenialReason, detail: string): false {
    this.#unread.clear();
    try {
      this.socket.write(this.#host.refusal(reason, detail, this.peer), "latin1");
      this.#close();
    } catch {
      // Whatever broke, the connection ends: half an answer, or none, but nothing more is read from it.
      this.socket.destroy();
    }
    return false;
  }

  /** Called by the exchange when its answer is whole. */
  answered(exchange: HttpExchange): void {
    if (this.#exchange !== exchange) return;
    if (exchange.endsConnection && this.#state !== "closing") {
      this.#close();
    } else if (this.#state === "answer") {
      this.#next();
    } else if (this.#state === "body") {
      this.discardBody(exchange);
    }
  }

  #next(): void {
    const nowMs = this.#host.elapsed();
    this.#exchange = undefined;
    this.#state = "head";
    // Whoever paused the body may never have been told that its last part has left.
    this.#bodyPaused = false;
    this.#deadlineMs = nowMs + this.#host.settings().idleTimeoutMs;
    this.#leavingUntilMs = nowMs + LEAVING_MS;
    if (this.socket.isPaused()) this.socket.resume();
    if (this.#unread.length > 0) this.#work();
  }

  #close(): void {
    this.#state = "closing";
    this.#exchange = undefined;
    this.#unread.clear();
    this.#bodyBytes = 0;
    const nowMs = this.#host.elapsed();
    this.#requestDeadlineMs = Number.POSITIVE_INFINITY;
    this.#deadlineMs = nowMs + CLOSING_MS;
    this.#leavingUntilMs = nowMs + LEAVING_MS;
    this.socket.end();
    if (this.socket.isPaused()) this.socket.resume();
  }

  readBody(exchange: HttpExchange, sink: BodySink, maxBytes: number | undefined): void {
    if (this.#exchange !== exchange || this.#state !== "body") return;
    this.#sink = sink;
    this.#awaitBody();
    this.#maxBodyBytes = maxBytes ?? Number.POSITIVE_INFINITY;
    // From within `#work` its loop goes on with the body by itself.
    if (this.#unread.length > 0) this.#work();
    if (this.#unread.length === 0 && this.socket.isPaused()) this.socket.resume();
  }

  pauseBody(exchange: HttpExchange): void {
    if (this.#exchange !== exchange || this.#state !== "body") return;
    this.#bodyPaused = true;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    this.socket.pause();
  }

  resumeBody(exchange: HttpExchange): void {
    if (this.#exchange !== exchange || !this.#bodyPaused) return;
    this.#bodyPaused = false;
    this.#awaitBody();
    if (this.#unread.length > 0) this.#work();
    if (!this.#bodyPaused && this.socket.isPaused()) this.socket.resume();
  }

  discardBody(exchange: HttpExchange): void {
    this.#bodyPaused = false;
    this.#bodyBytes = 0;
    this.#requestDeadlineMs = Math.min(this.#requestDeadlineMs, this.#host.elapsed() + DISCARDING_MS);
    this.readBody(
      exchange,
      { bodyData: () => false, bodyEnd: ignore, bodyFailed: () => exchange.abort() },
      MAX_DISCARDED_BYTES,
    );
  }

  #discard(bytes: number): void {
    this.#bodyBytes += bytes;
    if (this.#bodyBytes > MAX_DISCARDED_BYTES) this.socket.destroy();
  }

  readonly #onDrain = (): void => {
    try {
      if (this.#exchange !== undefined) this.#exchange.drained();
    } catch {
      this.socket.destroy();
    }
    if (this.#exchange !== undefined || this.#unread.length === 0) return;
    if (this.socket.isPaused()) this.socket.resume();
    this.#work();
  };

  /** A client that ends its side is taken to be gone, as other proxies do: it cannot be told from one that is. */
  readonly #onEnd = (): void => {
    if (this.#state === "head" && this.#heads.isPartial) this.#refuse("request_invalid", "the head broke off");
    else if (this.#state !== "closing") this.socket.destroy();
  };

  readonly #onClose = (): void => {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#sink = undefined;
    this.#unread.clear();
    this.#state = "closing";
    this.#host.closed(this);
    try {
      exchange?.gone();
    } catch {
      // There is nobody left to tell.
    }
  };
}

function ignore(): void {}
