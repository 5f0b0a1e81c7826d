import type { FieldLines } from "../../src/http1/fields.ts";
import type { BodyFraming } from "../../src/http1/framing.ts";
import type { RequestHead } from "../../src/http1/request-head.ts";
import { parseAddress } from "../../src/policy/network.ts";
import type {
  AnswerHead,
  BodyFailure,
  BodySink,
  ClientExchange,
  ClientWatcher,
} from "../../src/proxy/client-exchange.ts";

/** What a client asks and how it behaves. */
export interface Behaviour {
  readonly method: string;
  readonly framing: BodyFraming;
  /** The request's body as it comes. */
  readonly parts: readonly string[];
  /** Why the body does not come to its end, after its parts. */
  readonly fails?: BodyFailure;
  /** Reads so slowly that it has to be waited for after every write. */
  readonly slow?: boolean;
  /** When it goes away. */
  readonly leaves?: "at once" | "at the head" | "in the body";
}

/** All that a client was told. */
export interface Told {
  readonly interim: readonly string[];
  readonly head: { readonly status: number; readonly reason: string; readonly lines: readonly string[] } | undefined;
  readonly hasLength: boolean;
  readonly body: string;
  readonly trailers: FieldLines;
  readonly ending: "whole" | "cut" | "gone" | "open";
}

const ADDRESS = parseAddress("127.0.0.1");

/** A client in memory: plays its part of an exchange and records the other's. */
export class Recorder implements ClientExchange {
  readonly head: RequestHead;
  readonly peer;
  readonly #behaviour: Behaviour;
  readonly #interim: string[] = [];
  #watcher: ClientWatcher | undefined;
  #answer: Told["head"];
  #hasLength = false;
  #body = "";
  #trailers: FieldLines = [];
  #ending: Told["ending"] = "open";
  #sent = false;
  #unflushed = false;
  #sink: BodySink | undefined;
  #parts: string[];
  #paused = false;

  constructor(behaviour: Behaviour) {
    if (ADDRESS === undefined) throw new Error("no address");
    this.#behaviour = behaviour;
    this.#parts = [...behaviour.parts];
    this.peer = { address: ADDRESS, encrypted: false };
    this.head = {
      ...{ method: behaviour.method, target: "/", version: "1.1" as const, rawHeaders: [] },
      ...{ framing: behaviour.framing, persistent: true, expectsContinue: false, upgrade: undefined },
    };
  }

  get isBegun(): boolean {
    return this.#answer !== undefined;
  }

  get isFlushed(): boolean {
    return true;
  }

  get isOver(): boolean {
    return this.#ending !== "open";
  }

  get streamStatus(): undefined {
    return undefined;
  }

  finish(): void {
    throw new Error("no stream is drained here");
  }

  told(): Told {
    return {
      ...{ interim: this.#interim, head: this.#answer, hasLength: this.#hasLength },
      ...{ body: this.#body, trailers: this.#trailers, ending: this.#ending },
    };
  }

  watch(watcher: ClientWatcher): void {
    this.#watcher = watcher;
    if (this.#behaviour.leaves === "at once") this.#leave();
  }

  endConnection(): void {}

  answer(): void {
    throw new Error("a forwarder answers with what the upstream said");
  }

  handOver(): never {
    throw new Error("nobody asked to switch");
  }

  inform(status: number, reason: string, lines: readonly string[]): void {
    this.#interim.push(`${status} ${reason} ${lines.join(":")}`);
  }

  begin({ status, reason, fields, hasLength }: AnswerHead): void {
    if (this.isOver) return;
    if (this.isBegun) throw new Error("a second answer");
    this.#answer = { status, reason, lines: takeApart(fields) };
    this.#hasLength = hasLength;
    if (this.#behaviour.leaves === "at the head") this.#leave();
  }

  write(buffer: Buffer, from: number, to: number): void {
    if (this.isOver) return;
    if (!this.isBegun) throw new Error("a body without a head");
    this.#body += buffer.toString("latin1", from, to);
    this.#unflushed = true;
    if (this.#behaviour.leaves === "in the body") this.#leave();
  }

  end(trailers: FieldLines): void {
    if (this.isOver) return;
    this.#trailers = trailers;
    this.#ending = "whole";
  }

  flush(): boolean {
    this.#sent ||= this.isBegun;
    if (!this.#unflushed || this.isOver || this.#behaviour.slow !== true) return true;
    this.#unflushed = false;
    setImmediate(() => {
      if (!this.isOver) this.#watcher?.clientDrained();
    });
    return false;
  }

  retract(): boolean {
    if (this.#sent || this.isOver) return false;
    this.#answer = undefined;
    this.#body = "";
    return true;
  }

  abort(): void {
    if (!this.isOver) this.#ending = "cut";
  }

  readBody(sink: BodySink): void {
    this.#sink = sink;
    setImmediate(() => this.#giveBody());
  }

  pauseBody(): void {
    this.#paused = true;
  }

  resumeBody(): void {
    if (!this.#paused) return;
    this.#paused = false;
    setImmediate(() => this.#giveBody());
  }

  discardBody(): void {
    this.#sink = undefined;
  }

  #giveBody(): void {
    const sink = this.#sink;
    if (this.#paused || sink === undefined || this.isOver) return;
    const part = this.#parts.shift();
    if (part !== undefined) {
      sink.bodyData(Buffer.from(part, "latin1"));
      setImmediate(() => this.#giveBody());
      return;
    }
    this.#sink = undefined;
    if (this.#behaviour.fails === undefined) sink.bodyEnd();
    else sink.bodyFailed(this.#behaviour.fails, "the body broke off");
  }

  #leave(): void {
    setImmediate(() => {
      if (this.isOver) return;
      this.#ending = "gone";
      this.#sink = undefined;
      this.#watcher?.clientGone();
    });
  }
}

/** Names and values as they stand, blanks included. */
function takeApart(fields: string): readonly string[] {
  const lines = fields.split("\r\n").slice(0, -1);
  return lines.flatMap((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]);
}
