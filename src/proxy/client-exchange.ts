import type { Socket } from "node:net";
import type { FieldLines, FieldText } from "../http1/fields.ts";
import type { RequestHead } from "../http1/request-head.ts";
import type { DenialReason } from "../policy/decision.ts";
import type { Peer } from "./client-address.ts";

/** Why a request's body did not come to its end. */
export type BodyFailure = Extract<DenialReason, "request_invalid" | "request_timeout" | "body_too_large">;

/** Takes a request's body as it comes. */
export interface BodySink {
  /** Whether the chunk is held: if not, it may be another after the call. */
  readonly bodyData: (chunk: Buffer) => boolean;
  readonly bodyEnd: () => void;
  /** It will never end as it should; the client may still be told so. */
  readonly bodyFailed: (reason: BodyFailure, detail: string) => void;
}

/** Is told what the client's side does to an exchange after its head. */
export interface ClientWatcher {
  /** It went away, or was cut off; nothing can be told it any more. */
  readonly clientGone: () => void;
  /** What was written has left, after a `flush` that was false. */
  readonly clientDrained: () => void;
}

/** The head of an answer, but for what the connection adds to it. */
export interface AnswerHead {
  readonly status: number;
  readonly reason: string;
  readonly fields: FieldText;
  /** Without one the connection adds it. */
  readonly hasDate: boolean;
  /** Without one the connection frames the body. */
  readonly hasLength: boolean;
  readonly isStream: boolean;
}

/** A client's connection that is read by somebody else from now on. */
export interface HandedOver {
  /** Paused. */
  readonly socket: Socket;
  /** What the client sent behind its request. */
  readonly rest: Buffer;
}

/** One request and the way to answer it: all that the data plane knows of the client's connection. */
export interface ClientExchange {
  readonly head: RequestHead;
  readonly peer: Peer;
  /** Whether a final head has been written: there can be no other. */
  readonly isBegun: boolean;
  /** Whether nothing more can be written: the answer is whole, or the client is gone. */
  readonly isOver: boolean;
  readonly watch: (watcher: ClientWatcher) => void;
  /** Makes this answer the connection's last. */
  readonly endConnection: () => void;
  /** A whole answer at once. `lines` hold its Content-Length. */
  readonly answer: (status: number, reason: string, lines: readonly string[], body: string) => void;
  /** An interim answer (RFC 9110 §15.2); nothing to a client of HTTP/1.0, which knows none. */
  readonly inform: (status: number, reason: string, lines: readonly string[]) => void;
  /** Answers with this head alone, and gives the connection away: nothing of it is HTTP any more. */
  readonly handOver: (head: string) => HandedOver;
  /** The head of an answer whose body follows. */
  readonly begin: (head: AnswerHead) => void;
  /** Whether all that was written has left, so that nothing is held of the buffers that were given. */
  readonly isFlushed: boolean;
  /** A range of a buffer. That of `READ_BUFFER` is copied, another is held until all has left. */
  readonly write: (buffer: Buffer, from: number, to: number) => void;
  readonly end: (trailers: FieldLines) => void;
  /** Sends what was gathered; false asks to wait for `clientDrained`. */
  readonly flush: () => boolean;
  /** Takes back an answer of which nothing has left yet; false when it is too late for that. */
  readonly retract: () => boolean;
  /** The status of an answer under way that is a stream of events; undefined for every other. */
  readonly streamStatus: number | undefined;
  /** Ends an answer where it is as if it were whole, and the connection with it; the watcher is told that the client went away. */
  readonly finish: () => void;
  /** Cuts the connection, so that an answer that is not whole does not look whole. */
  readonly abort: () => void;
  /** Body bytes go to the sink from now on, at most so many; those that are there already before this returns. */
  readonly readBody: (sink: BodySink, maxBytes: number | undefined) => void;
  readonly pauseBody: () => void;
  readonly resumeBody: () => void;
  /** Nobody wants (the rest of) the body: little is read and forgotten, more ends the connection. */
  readonly discardBody: () => void;
}
