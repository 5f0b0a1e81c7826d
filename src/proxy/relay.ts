import type { Socket } from "node:net";
import type { FieldLines, FieldText } from "../http1/fields.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import type { BodyFailure, BodySink, ClientWatcher } from "./client-exchange.ts";
import type { Exchange, ForwardFailure, Outcome } from "./forward.ts";
import { describe, toFailure } from "./forward-failure.ts";
import { buildResponseFields, buildResponseTrailers } from "./response-headers.ts";
import type { AnswerSink, ConnectionFailure, UpstreamConnection } from "./upstream-connection.ts";
import type { Applicant, UpstreamPool } from "./upstream-pool.ts";

// RFC 9110 §9.2.2. Only these may be sent again, and only without a body.
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

// An upstream that sends more hints than anybody follows means no good.
const MAX_HINTS = 8;

/** Carries one exchange: the request to a connection, the answer back, each side waiting for the slower other. */
export class Relay implements Applicant, AnswerSink, BodySink, ClientWatcher {
  readonly #pool: UpstreamPool;
  readonly #exchange: Exchange;
  readonly #requestHead: string;
  ahead: Applicant | undefined;
  behind: Applicant | undefined;
  isWaiting = false;
  waitingSinceMs = 0;
  #connection: UpstreamConnection | undefined;
  #status = 0;
  #settled = false;
  #retried = false;
  #hints = 0;

  constructor(pool: UpstreamPool, exchange: Exchange, fields: FieldText) {
    this.#pool = pool;
    this.#exchange = exchange;
    this.#requestHead = toRequestHead(exchange, fields);
  }

  start(): void {
    this.#exchange.client.watch(this);
    this.#acquire(false);
  }

  #acquire(mustBeNew: boolean): void {
    if (!this.#pool.acquire(this, mustBeNew)) this.turnAway("every upstream connection and queue place is taken");
  }

  turnAway(detail: string): void {
    this.#settle({ kind: "failed", reason: "overloaded", detail });
  }

  use(connection: UpstreamConnection): void {
    this.#connection = connection;
    const { method, framing } = this.#exchange;
    connection.send(this.#requestHead, method, framing.kind === "none", this);
  }

  /** Only now is the body asked for: what cannot be sent on need not be sent here. */
  headSent(): void {
    const { client, framing, maxBodyBytes } = this.#exchange;
    if (framing.kind === "none") return;
    if (framing.kind === "length" && framing.bytes === 0) {
      this.bodyEnd();
      return;
    }
    if (client.head.expectsContinue) client.inform(100, "Continue", []);
    client.readBody(this, maxBodyBytes);
  }

  bodyData(chunk: Buffer): boolean {
    const connection = this.#connection;
    if (connection === undefined || this.#settled) return false;
    const fits = this.#exchange.framing.kind === "chunked" ? connection.sendChunk(chunk) : connection.sendBody(chunk);
    if (!fits) this.#exchange.client.pauseBody();
    return connection.socket.writableLength > 0;
  }

  bodyDrained(): void {
    this.#exchange.client.resumeBody();
  }

  bodyEnd(): void {
    this.#connection?.endBody(this.#exchange.framing.kind === "chunked" ? "0\r\n\r\n" : "");
  }

  /** The upstream must not take what it has for the whole: its connection ends. */
  bodyFailed(reason: BodyFailure, detail: string): void {
    this.#connection?.destroy();
    if (this.#status === 0 || this.#exchange.client.retract()) this.#settle({ kind: "failed", reason, detail });
    else this.#breakOff(`${reason}: ${detail}`);
  }

  interim({ status, reason, lines }: ResponseHead): void {
    // RFC 8297 §2: hints are for the client, and nothing else of an interim answer is.
    if (status !== 103 || this.#hints >= MAX_HINTS) return;
    this.#hints += 1;
    const links = lines.filter((_, index) => lines[index - (index % 2)]?.toLowerCase() === "link");
    if (links.length > 0) this.#exchange.client.inform(status, reason, links);
  }

  answerHead({ status, reason, lines, framing }: ResponseHead): void {
    const { text, hasDate, isStream } = buildResponseFields(status, lines, this.#exchange.additions);
    this.#status = status;
    const hasLength = framing.kind === "length";
    this.#exchange.client.begin({ status, reason, fields: text, hasDate, hasLength, isStream });
  }

  answerData(buffer: Buffer, from: number, to: number): void {
    this.#exchange.client.write(buffer, from, to);
  }

  get protocol(): string | undefined {
    return this.#exchange.protocol;
  }

  switched(head: ResponseHead, socket: Socket, first: Buffer): void {
    if (this.#settled) {
      socket.destroy();
      return;
    }
    this.#settled = true;
    this.#exchange.switched(head, socket, first);
  }

  get isHolding(): boolean {
    return !this.#exchange.client.isFlushed;
  }

  answerRead(): boolean {
    return this.#exchange.client.flush();
  }

  answerEnd(trailers: FieldLines): void {
    this.#exchange.client.end(trailers.length === 0 ? trailers : buildResponseTrailers(trailers));
    this.#settle({ kind: "answered", status: this.#status });
  }

  clientDrained(): void {
    this.#connection?.resume();
  }

  clientGone(): void {
    if (this.#settled) return;
    this.#pool.withdraw(this);
    this.#connection?.destroy();
    this.#settle({ kind: "aborted" });
  }

  failed(failure: ConnectionFailure, heard: boolean): void {
    if (this.#settled) return;
    if (this.#status !== 0 && !this.#exchange.client.retract()) {
      this.#breakOff(toDetail(failure));
    } else if (this.#mayRetry(failure, heard)) {
      this.#retried = true;
      this.#acquire(true);
    } else {
      this.#settle({ kind: "failed", reason: toReason(failure), detail: toDetail(failure) });
    }
  }

  /** A kept connection that the upstream closed while the request was on its way to it. */
  #mayRetry(failure: ConnectionFailure, heard: boolean): boolean {
    const { method, framing } = this.#exchange;
    if (failure.kind !== "broken" || heard || this.#retried) return false;
    // On a new connection the upstream may be at work already.
    return framing.kind === "none" && IDEMPOTENT.has(method) && this.#connection?.wasUsed === true;
  }

  /** Ending the answer would make a truncated body look complete (RFC 9112 §8). */
  #breakOff(detail: string): void {
    this.#settle({ kind: "truncated", status: this.#status, detail });
    this.#exchange.client.abort();
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#exchange.done(outcome);
  }
}

// Announced to be without content only where an app may wait for some (RFC 9110 §8.6).
const CONTENT_EXPECTED: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH", "QUERY", "PROPFIND", "PROPPATCH"]);

/** The request's head, framed by us. */
function toRequestHead(exchange: Exchange, fields: FieldText): string {
  const { method, target } = exchange;
  return `${method} ${target} HTTP/1.1\r\n${fields}${toUpgradeFields(exchange)}${toFramingField(exchange)}\r\n`;
}

/** What the upstream is asked to switch to. */
export function toUpgradeFields({ protocol }: Pick<Exchange, "protocol">): FieldText {
  return protocol === undefined ? "" : `connection: Upgrade\r\nupgrade: ${protocol}\r\n`;
}

/** How the upstream is told where the body ends. */
export function toFramingField({ method, framing }: Pick<Exchange, "method" | "framing">): FieldText {
  switch (framing.kind) {
    case "none":
      return CONTENT_EXPECTED.has(method) ? "content-length: 0\r\n" : "";
    case "length":
      return `content-length: ${framing.bytes}\r\n`;
    case "chunked":
      return "transfer-encoding: chunked\r\n";
    default:
      return framing satisfies never;
  }
}

function toReason(failure: ConnectionFailure): ForwardFailure {
  switch (failure.kind) {
    case "connect":
      return toFailure(failure.error);
    case "connect-timeout":
    case "response-timeout":
      return "upstream_timeout";
    case "stalled":
      return failure.by === "client" ? "request_timeout" : "upstream_timeout";
    case "broken":
    case "malformed":
      return "upstream_invalid";
    default:
      return failure satisfies never;
  }
}

function toDetail(failure: ConnectionFailure): string {
  switch (failure.kind) {
    case "connect":
      return describe(failure.error);
    case "connect-timeout":
      return "no connection in time";
    case "response-timeout":
      return "no answer in time";
    case "stalled":
      return "nothing moved for too long";
    case "broken":
      return failure.error === undefined ? "the upstream closed the connection" : describe(failure.error);
    case "malformed":
      return failure.problem;
    default:
      return failure satisfies never;
  }
}
