import type { Socket } from "node:net";
import { type FieldLines, toFieldText } from "../http1/fields.ts";
import type { RequestHead } from "../http1/request-head.ts";
import type { WriteText } from "./burst.ts";
import type { Peer } from "./client-address.ts";
import type { AnswerHead, BodySink, ClientExchange, ClientWatcher, HandedOver } from "./client-exchange.ts";
import { READ_BUFFER } from "./read-buffers.ts";

/** What an exchange asks of the connection it came on. */
export interface ExchangeConnection {
  readonly socket: Socket;
  readonly peer: Peer;
  readonly write: WriteText;
  readonly httpDate: () => string;
  /** The Connection lines of an answer after which the connection lives on. */
  readonly keepAliveLines: () => string;
  /** The answer is whole. */
  readonly answered: (exchange: HttpExchange) => void;
  readonly readBody: (exchange: HttpExchange, sink: BodySink, maxBytes: number | undefined) => void;
  readonly pauseBody: (exchange: HttpExchange) => void;
  readonly resumeBody: (exchange: HttpExchange) => void;
  readonly discardBody: (exchange: HttpExchange) => void;
  readonly handOver: () => HandedOver;
}

// Up to here bytes are gathered as text and leave in one write with their head; more are written as they are.
const MAX_GATHERED_BYTES = 16 * 1024;

/** One request on a client connection, and its answer. Once that is over it does nothing but `abort`. */
export class HttpExchange implements ClientExchange {
  readonly head: RequestHead;
  readonly peer: Peer;
  readonly #connection: ExchangeConnection;
  #watcher: ClientWatcher | undefined;
  /** Latin1 text that is to be written next. */
  #gathered = "";
  #begun = false;
  #sent = false;
  #over = false;
  #ends: boolean;
  #chunked = false;
  #untilClose = false;
  #bodiless = false;
  #streamStatus: number | undefined;

  constructor(connection: ExchangeConnection, head: RequestHead) {
    this.#connection = connection;
    this.head = head;
    this.peer = connection.peer;
    this.#ends = !head.persistent;
  }

  get isBegun(): boolean {
    return this.#begun;
  }

  get isOver(): boolean {
    return this.#over;
  }

  get isFlushed(): boolean {
    return this.#connection.socket.writableLength === 0;
  }

  get endsConnection(): boolean {
    return this.#ends;
  }

  watch(watcher: ClientWatcher): void {
    this.#watcher = watcher;
  }

  endConnection(): void {
    this.#ends = true;
  }

  answer(status: number, reason: string, lines: readonly string[], body: string): void {
    this.begin({ status, reason, fields: toFieldText(lines), hasDate: false, hasLength: true, isStream: false });
    if (!this.#bodiless) this.#gathered += toLatin1(body);
    this.end([]);
  }

  inform(status: number, reason: string, lines: readonly string[]): void {
    if (this.#begun || this.#over || this.head.version === "1.0") return;
    this.#connection.socket.write(`HTTP/1.1 ${status} ${reason}\r\n${toFieldText(lines)}\r\n`, "latin1");
  }

  handOver(head: string): HandedOver {
    if (this.#begun || this.#over) throw new Error("a second answer to one request");
    this.#begun = true;
    this.#over = true;
    const handed = this.#connection.handOver();
    this.#connection.write(handed.socket, head);
    return handed;
  }

  begin({ status, reason, fields, hasDate, hasLength, isStream }: AnswerHead): void {
    if (this.#over) return;
    if (this.#begun) throw new Error("a second answer to one request");
    this.#begun = true;
    this.#streamStatus = isStream ? status : undefined;
    this.#bodiless = this.head.method === "HEAD" || status === 204 || status === 304;
    let framing = "";
    if (!hasLength && !this.#bodiless) {
      // RFC 9112 §6.1: HTTP/1.0 knows no chunks; there the end of the connection is the end of the body.
      if (this.head.version === "1.0") {
        this.#ends = true;
        this.#untilClose = true;
      } else {
        this.#chunked = true;
        framing = "Transfer-Encoding: chunked\r\n";
      }
    }
    const date = hasDate ? "" : `Date: ${this.#connection.httpDate()}\r\n`;
    const connection = this.#ends ? "Connection: close\r\n" : this.#connection.keepAliveLines();
    this.#gathered = `HTTP/1.1 ${status} ${reason}\r\n${fields}${date}${framing}${connection}\r\n`;
  }

  write(buffer: Buffer, from: number, to: number): void {
    if (this.#over || this.#bodiless || from === to) return;
    const length = to - from;
    if (this.#gathered.length + length <= MAX_GATHERED_BYTES) {
      const text = buffer.toString("latin1", from, to);
      this.#gathered += this.#chunked ? `${length.toString(16)}\r\n${text}\r\n` : text;
      return;
    }
    const { socket } = this.#connection;
    this.#sent = true;
    socket.cork();
    if (this.#chunked) this.#gathered += `${length.toString(16)}\r\n`;
    if (this.#gathered !== "") socket.write(this.#gathered, "latin1");
    const range = buffer.subarray(from, to);
    socket.write(buffer === READ_BUFFER ? Buffer.from(range) : range);
    this.#gathered = this.#chunked ? "\r\n" : "";
    socket.uncork();
  }

  end(trailers: FieldLines): void {
    if (this.#over) return;
    if (this.#chunked) this.#gathered += `0\r\n${toFieldText(trailers)}\r\n`;
    this.flush();
    this.#over = true;
    this.#connection.answered(this);
  }

  flush(): boolean {
    if (this.#over) return true;
    const { socket } = this.#connection;
    if (this.#gathered !== "") {
      this.#sent = true;
      this.#connection.write(socket, this.#gathered);
      this.#gathered = "";
    }
    return !socket.writableNeedDrain;
  }

  retract(): boolean {
    if (this.#sent || this.#over) return false;
    this.#begun = false;
    this.#chunked = false;
    this.#gathered = "";
    return true;
  }

  get streamStatus(): number | undefined {
    return this.#over ? undefined : this.#streamStatus;
  }

  finish(): void {
    if (this.#over) return;
    this.endConnection();
    this.end([]);
    this.#watcher?.clientGone();
  }

  abort(): void {
    const { socket } = this.#connection;
    // Where the end of the connection is the end of the body, only a reset does not look like it.
    if (this.#untilClose) socket.resetAndDestroy();
    else socket.destroy();
  }

  readBody(sink: BodySink, maxBytes: number | undefined): void {
    this.#connection.readBody(this, sink, maxBytes);
  }

  pauseBody(): void {
    this.#connection.pauseBody(this);
  }

  resumeBody(): void {
    this.#connection.resumeBody(this);
  }

  discardBody(): void {
    this.#connection.discardBody(this);
  }

  /** Called by the connection when it is closed. */
  gone(): void {
    if (this.#over) return;
    this.#over = true;
    this.#watcher?.clientGone();
  }

  /** Called by the connection when what was written has left. */
  drained(): void {
    if (!this.#over) this.#watcher?.clientDrained();
  }
}

/** UTF-8 bytes as latin1 text, so that head and body are one string and leave in one write. */
function toLatin1(body: string): string {
  const bytes = Buffer.from(body);
  return bytes.length === body.length ? body : bytes.toString("latin1");
}
