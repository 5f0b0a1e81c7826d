import { BodyReader } from "./body-reader.ts";
import type { FieldLines } from "./fields.ts";
import { parseResponseHead, type ResponseHead } from "./response-head.ts";

/** Is told of an answer as it is read. */
export interface ResponseSink {
  readonly interim: (head: ResponseHead) => void;
  /** The final head. */
  readonly answerHead: (head: ResponseHead) => void;
  /** A range of a buffer that is only valid during the call. */
  readonly answerData: (buffer: Buffer, from: number, to: number) => void;
}

/**
 * - `body`: inside one that says itself where it ends
 * - `close`: inside one that the connection's end ends
 * - `switched`: what comes is no HTTP any more
 */
type State = "head" | "body" | "close" | "done" | "switched";

// As much as an answer's head may be, trailers included: what other clients of HTTP take.
const MAX_HEAD_BYTES = 16 * 1024;
// Interim answers before the final one. A storm of them is no answer.
const MAX_INTERIM = 1000;
// A part of a head that can still become a sound one: what cannot need not be waited for.
const MAY_BEGIN = /^H[^\n]*$|^HTTP\/[^\n]*\r\n(?:[^\n]*\r\n)*[^\n]*$/;
const NO_TRAILERS: FieldLines = [];

/** Reads the answer to one request, in pieces of any size. */
export class ResponseReader {
  readonly #isHead: boolean;
  readonly #protocol: string | undefined;
  #state: State = "head";
  #partial = "";
  #interims = 0;
  #body: BodyReader | undefined;
  #switched: ResponseHead | undefined;
  #persistent = true;
  #keepAliveSeconds: number | undefined;

  /** `isHead`: the request was a HEAD, whose answer has no body. `protocol`: it asked to switch to this one. */
  constructor(isHead: boolean, protocol?: string) {
    this.#isHead = isHead;
    this.#protocol = protocol;
  }

  /** The head of the 101 after which the other side speaks what it was asked to; undefined while it speaks HTTP. */
  get switched(): ResponseHead | undefined {
    return this.#switched;
  }

  get isDone(): boolean {
    return this.#state === "done";
  }

  /** Whether the final head is still to come. */
  get isAwaitingHead(): boolean {
    return this.#state === "head";
  }

  /** Whether the connection may carry another message after this one. */
  get isPersistent(): boolean {
    return this.#persistent;
  }

  /** Seconds the other side keeps an idle connection, where it says so. */
  get keepAliveSeconds(): number | undefined {
    return this.#keepAliveSeconds;
  }

  get trailers(): FieldLines {
    return this.#body?.trailers ?? NO_TRAILERS;
  }

  /**
   * Reads from one place to another; gives how far it came, which is less than the end only when the answer is whole, or no HTTP follows.
   * A problem is given as text, and nothing more may be read then.
   */
  read(buffer: Buffer, from: number, to: number, sink: ResponseSink): number | string {
    let at = from;
    while (at < to && this.#state !== "done" && this.#state !== "switched") {
      const next = this.#take(buffer, at, to, sink);
      if (typeof next === "string") return next;
      at = next;
    }
    return at;
  }

  /** The connection has ended; whether the answer is whole by that. */
  end(): boolean {
    if (this.#state === "close") this.#state = "done";
    return this.#state === "done";
  }

  #take(buffer: Buffer, from: number, to: number, sink: ResponseSink): number | string {
    switch (this.#state) {
      case "head":
        return this.#takeHead(buffer, from, to, sink);
      case "body":
        return this.#takeBody(buffer, from, to, sink);
      default:
        sink.answerData(buffer, from, to);
        return to;
    }
  }

  #takeHead(buffer: Buffer, from: number, to: number, sink: ResponseSink): number | string {
    const before = this.#partial.length;
    // A body that came with its head is not looked at as text.
    const limit = Math.min(to, from + MAX_HEAD_BYTES + 4 - before);
    const text = this.#partial + buffer.toString("latin1", from, limit);
    const end = text.indexOf("\r\n\r\n", Math.max(0, before - 3));
    if (end === -1) {
      if (text.length >= MAX_HEAD_BYTES + 4) return "a head beyond all bounds";
      if (!MAY_BEGIN.test(text)) return "a line does not end in CRLF";
      this.#partial = text;
      return to;
    }
    this.#partial = "";
    const parsed = parseResponseHead(text.slice(0, end + 2));
    const problem = parsed.kind === "malformed" ? parsed.problem : this.#begin(parsed.head, sink);
    return problem ?? from + end + 4 - before;
  }

  #begin(head: ResponseHead, sink: ResponseSink): string | undefined {
    if (head.status === 101) return this.#switch(head);
    if (head.status < 200) {
      this.#interims += 1;
      if (this.#interims > MAX_INTERIM) return "interim answers without end";
      sink.interim(head);
      return undefined;
    }
    this.#frame(head);
    sink.answerHead(head);
    return undefined;
  }

  #switch(head: ResponseHead): string | undefined {
    if (this.#protocol === undefined) return "a switch of protocols nobody asked for";
    const named = head.lines.filter((_, at) => at % 2 === 1 && head.lines[at - 1]?.toLowerCase() === "upgrade");
    if (named.length !== 1 || named[0]?.toLowerCase() !== this.#protocol) return "a switch to another protocol";
    this.#switched = head;
    this.#state = "switched";
    return undefined;
  }

  #frame({ status, framing, persistent, keepAliveSeconds }: ResponseHead): void {
    this.#persistent = persistent;
    this.#keepAliveSeconds = keepAliveSeconds;
    // RFC 9110 §8.6, §15.3.5: one that announces a body may be about to send it, before the next answer.
    if (status === 204 && (framing.kind === "chunked" || (framing.kind === "length" && framing.bytes > 0))) {
      this.#persistent = false;
    }
    // RFC 9112 §6.3: these have no body, whatever their fields say.
    if (this.#isHead || status === 204 || status === 304) this.#state = "done";
    else if (framing.kind === "close") {
      this.#state = "close";
      this.#persistent = false;
    } else {
      this.#body = new BodyReader(framing, MAX_HEAD_BYTES);
      this.#state = this.#body.isDone ? "done" : "body";
    }
  }

  #takeBody(buffer: Buffer, from: number, to: number, sink: ResponseSink): number | string {
    const body = this.#body;
    if (body === undefined) return "no body to read";
    const end = body.read(buffer, from, to, (data, start, stop) => sink.answerData(data, start, stop));
    if (body.isDone) this.#state = "done";
    return end;
  }
}
