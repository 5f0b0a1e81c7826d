import type { Socket } from "node:net";
import type { FieldText } from "../http1/fields.ts";
import type { BodyFraming } from "../http1/framing.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { type Allowed, type Denial, deny } from "../policy/decision.ts";
import type { Key } from "../policy/key.ts";
import { denyBroken } from "./authorize.ts";
import type { ClientExchange } from "./client-exchange.ts";
import type { Exchange, Outcome } from "./forward.ts";
import { toForwardTarget } from "./forward-target.ts";
import type { Gateway, Settled } from "./gateway.ts";
import { prepareToLeave } from "./leaving.ts";
import { findOperation, type Operation, respondDone } from "./manage.ts";
import type { OpenExchange } from "./open-exchanges.ts";
import { renderDenial, respond, respondBare } from "./respond.ts";
import { buildResponseFields, type ResponseAdditions } from "./response-headers.ts";
import { NOT_LISTED } from "./roster.ts";
import { findProtocol, openTunnel, type Tunnel } from "./tunnel.ts";
import { beginTurn, decideTurn, denyAfter, findAssertion, record, type Turn, toResponseAdditions } from "./turn.ts";

/** A turn that is answered over HTTP. */
interface HttpTurn extends Turn {
  readonly client: ClientExchange;
  /** What it asks to switch to. */
  readonly protocol: string | undefined;
}

/** Answers one request: decides it, then forwards it or refuses it. Every request ends in one record. */
export function handle(client: ClientExchange, gateway: Gateway): void {
  let turn: HttpTurn;
  try {
    const { generation, arrival, requestId, startedMs } = beginTurn(client.head, client.peer, gateway);
    const protocol = findProtocol(client.head);
    // Whatever follows an offer to switch may not be HTTP: where it is declined, nothing more is read.
    if (protocol !== undefined) client.endConnection();
    turn = { gateway, generation, arrival, requestId, startedMs, client, protocol };
  } catch {
    respondBare(client);
    return;
  }
  try {
    const decision = turn.protocol !== undefined && gateway.isDraining() ? deny("draining") : decideTurn(turn);
    if (decision instanceof Promise) {
      decision.then((settled) => conclude(turn, settled)).catch((error: unknown) => failClosed(turn, error));
    } else conclude(turn, decision);
  } catch (error) {
    failClosed(turn, error);
  }
}

function conclude(turn: HttpTurn, decision: Settled): void {
  try {
    if (decision.kind === "deny") refuse(turn, decision);
    else answer(turn, decision);
  } catch (error) {
    failClosed(turn, error);
  }
}

/** Refuses what broke, as far as the client can still be told. */
function failClosed(turn: HttpTurn, error: unknown): void {
  try {
    refuse(turn, denyBroken(error));
  } catch {
    respondBare(turn.client);
  }
}

function refuse(turn: HttpTurn, denial: Denial): void {
  const { gateway, generation, requestId, client } = turn;
  if (client.isOver || client.isBegun) {
    // A head that is out cannot be taken back: two answers to one request would answer the next one too.
    client.abort();
    record(turn, denial, 0, "aborted", "");
    return;
  }
  const answer = renderDenial(denial, requestId, generation, gateway.clock.now);
  respond(answer, client, gateway.isDraining() || ENDS_CONNECTION.has(denial.reason));
  record(turn, denial, answer.status, "complete", "");
}

// What follows on the connection cannot be told from this request, or will not come.
const ENDS_CONNECTION: ReadonlySet<Denial["reason"]> = new Set(["request_invalid", "request_timeout"]);

/** An allowed request goes to the upstream, unless it is for an operation of Latchkey's own. */
function answer(turn: HttpTurn, permit: Allowed): void {
  const { policy, settings } = turn.generation.configuration;
  const { facts, origin, peer } = turn.arrival;
  const operation = findOperation(permit, settings.operations, facts.target);
  if (operation !== undefined) {
    void operate(turn, permit, operation);
    return;
  }
  const leaving = prepareToLeave(turn.client.head, permit, origin, peer, turn.requestId, turn.generation);
  if (leaving.kind === "deny") {
    refuse(turn, leaving);
    return;
  }
  const { fields } = leaving;
  const target = toForwardTarget(facts.target, permit.route, policy);
  const assertion = findAssertion(turn, permit);
  if (assertion instanceof Promise) {
    // Without its assertion the request does not leave.
    assertion
      .then((field) => forward(turn, permit, target, fields + field))
      .catch((error: unknown) => failClosed(turn, error));
  } else forward(turn, permit, target, fields + assertion);
}

async function operate(turn: HttpTurn, permit: Allowed, { operation, id, caller }: Operation): Promise<void> {
  const { gateway, client } = turn;
  try {
    const result = await gateway.keyOperations.run(operation, id, caller);
    if (result.kind === "refused") {
      refuse(turn, denyAfter(permit, result.reason, result.detail, result.scopes));
      return;
    }
    if (gateway.isDraining()) client.endConnection();
    respondDone(result.body, toResponseAdditions(turn, permit), client);
    record(turn, permit, 200, "complete", `${operation} ${id}`);
  } catch (error) {
    failClosed(turn, error);
  }
}

function forward(turn: HttpTurn, permit: Allowed, target: string, fields: FieldText): void {
  const { gateway, client } = turn;
  if (client.isOver) {
    finish(turn, permit, { kind: "aborted" });
    return;
  }
  if (gateway.isDraining()) client.endConnection();
  new Forwarding(turn, permit, target).begin(fields);
}

/** An allowed request on its way; it ends when its key may no longer be used. */
class Forwarding implements Exchange, OpenExchange {
  place = NOT_LISTED;
  readonly permit: Allowed;
  readonly client: ClientExchange;
  readonly method: string;
  readonly target: string;
  readonly framing: BodyFraming;
  readonly maxBodyBytes: number | undefined;
  readonly additions: ResponseAdditions;
  readonly key: Key | undefined;
  readonly startedMs: number;
  readonly protocol: string | undefined;
  readonly #turn: HttpTurn;
  #tunnel: Tunnel | undefined;
  #ended = false;
  #drainedStatus: number | undefined;

  constructor(turn: HttpTurn, permit: Allowed, target: string) {
    this.permit = permit;
    this.client = turn.client;
    this.method = turn.arrival.facts.method;
    this.target = target;
    this.framing = turn.client.head.framing;
    this.maxBodyBytes = turn.generation.configuration.settings.listen.maxBodyBytes;
    this.additions = toResponseAdditions(turn, permit);
    this.key = permit.principal?.key;
    this.startedMs = turn.startedMs;
    this.protocol = turn.protocol;
    this.#turn = turn;
  }

  begin(fields: FieldText): void {
    const { gateway } = this.#turn;
    gateway.openExchanges.add(this);
    try {
      gateway.forwarder().forward(this, fields);
    } catch (error) {
      gateway.openExchanges.remove(this);
      throw error;
    }
  }

  done(outcome: Outcome): void {
    try {
      this.#turn.gateway.openExchanges.remove(this);
      finish(this.#turn, this.permit, this.#toEnding(outcome));
    } catch (error) {
      failClosed(this.#turn, error);
    }
  }

  #toEnding(outcome: Outcome): Ending {
    if (this.#drainedStatus !== undefined) return { kind: "drained", status: this.#drainedStatus };
    return this.#ended ? { kind: "ended" } : outcome;
  }

  get finishStream(): (() => void) | undefined {
    const { streamStatus } = this.client;
    if (streamStatus === undefined) return undefined;
    return () => {
      this.#drainedStatus = streamStatus;
      this.client.finish();
    };
  }

  switched({ lines }: ResponseHead, upstream: Socket, first: Buffer): void {
    const { gateway, generation } = this.#turn;
    try {
      const { text } = buildResponseFields(101, lines, this.additions);
      const offered = `Connection: Upgrade\r\nUpgrade: ${this.protocol}\r\n`;
      const client = this.client.handOver(`HTTP/1.1 101 Switching Protocols\r\n${text}${offered}\r\n`);
      const idleMs = generation.configuration.settings.upstream.idleTimeoutMs;
      const times = { idleMs, after: gateway.clock.after };
      this.#tunnel = openTunnel(client, { socket: upstream, first }, times, () => this.#closed());
      gateway.tunnels.add(this.#tunnel);
    } catch (error) {
      upstream.destroy();
      gateway.openExchanges.remove(this);
      failClosed(this.#turn, error);
    }
  }

  #closed(): void {
    const { gateway } = this.#turn;
    if (this.#tunnel === undefined) return;
    record(this.#turn, this.permit, 101, this.#ended ? "ended" : "complete", "");
    gateway.tunnels.delete(this.#tunnel);
    try {
      gateway.openExchanges.remove(this);
    } catch {
      // There is nobody left to tell.
    }
  }

  /** Cutting it off is the only way to tell a client that has its head already; a WebSocket can be told why. */
  end(): void {
    this.#ended = true;
    if (this.#tunnel === undefined) this.client.abort();
    else this.#tunnel.end();
  }
}

/** How a forwarded request ended, by the upstream, the client or Latchkey itself. */
type Ending = Outcome | { readonly kind: "ended" } | { readonly kind: "drained"; readonly status: number };

function finish(turn: HttpTurn, permit: Allowed, outcome: Ending): void {
  switch (outcome.kind) {
    case "answered":
      record(turn, permit, outcome.status, "complete", "");
      break;
    case "truncated":
      record(turn, permit, outcome.status, "truncated", outcome.detail);
      break;
    case "aborted":
      record(turn, permit, 0, "aborted", "the client went away");
      break;
    case "ended":
      record(turn, permit, 0, "ended", "the key may no longer be used");
      break;
    case "drained":
      record(turn, permit, outcome.status, "drained", "");
      break;
    case "failed":
      refuse(turn, denyAfter(permit, outcome.reason, outcome.detail));
      break;
    default:
      outcome satisfies never;
  }
}
