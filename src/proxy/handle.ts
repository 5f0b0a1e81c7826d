import type { BodyFraming } from "../http1/framing.ts";
import type { Allowed, Denial } from "../policy/decision.ts";
import type { Key } from "../policy/key.ts";
import { denyBroken } from "./authorize.ts";
import type { ClientExchange } from "./client-exchange.ts";
import type { Outcome } from "./forward.ts";
import { toForwardTarget } from "./forward-target.ts";
import type { Gateway, Settled } from "./gateway.ts";
import { findOperation, type Operation, respondDone } from "./manage.ts";
import type { OpenExchange } from "./open-exchanges.ts";
import { buildRequestHeaders, type HeaderList } from "./request-headers.ts";
import { renderDenial, respond, respondBare } from "./respond.ts";
import { NOT_LISTED } from "./roster.ts";
import { beginTurn, decideTurn, denyAfter, findAssertion, record, type Turn, toResponseHeaders } from "./turn.ts";

/** A turn that is answered over HTTP. */
interface HttpTurn extends Turn {
  readonly client: ClientExchange;
}

/** Answers one request: decides it, then forwards it or refuses it. Every request ends in one record. */
export function handle(client: ClientExchange, gateway: Gateway): void {
  let turn: HttpTurn;
  try {
    turn = { ...beginTurn(client.head, client.peer, gateway), client };
  } catch {
    respondBare(client);
    return;
  }
  try {
    const decision = decideTurn(turn);
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
  const answer = renderDenial(denial, requestId, generation, gateway.clock.now());
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
  const built = buildRequestHeaders(facts.rawHeaders, permit, origin, peer, turn.requestId, turn.generation);
  if (built.kind === "invalid") {
    refuse(turn, denyAfter(permit, "request_invalid", built.problem));
    return;
  }
  const { headers } = built;
  const { framing } = turn.client.head;
  const { maxBodyBytes } = settings.listen;
  if (framing.kind === "length" && maxBodyBytes !== undefined && framing.bytes > maxBodyBytes) {
    refuse(turn, denyAfter(permit, "body_too_large"));
    return;
  }
  const target = toForwardTarget(facts.target, permit.route, policy);
  const assertion = findAssertion(turn, permit);
  if (assertion instanceof Promise) {
    // Without its assertion the request does not leave.
    assertion
      .then((lines) => forward(turn, permit, target, [...headers, ...lines], framing))
      .catch((error: unknown) => failClosed(turn, error));
  } else {
    if (assertion.length > 0) headers.push(...assertion);
    forward(turn, permit, target, headers, framing);
  }
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
    respondDone(result.body, toResponseHeaders(turn, permit), client);
    record(turn, permit, 200, "complete", `${operation} ${id}`);
  } catch (error) {
    failClosed(turn, error);
  }
}

function forward(turn: HttpTurn, permit: Allowed, target: string, headers: HeaderList, framing: BodyFraming): void {
  const { gateway, generation, client } = turn;
  if (client.isOver) {
    finish(turn, permit, { kind: "aborted" });
    return;
  }
  if (gateway.isDraining()) client.endConnection();
  const exchange = {
    permit,
    client,
    method: turn.arrival.facts.method,
    target,
    headers,
    framing,
    maxBodyBytes: generation.configuration.settings.listen.maxBodyBytes,
    responseHeaders: toResponseHeaders(turn, permit),
  };
  const open = permit.principal === undefined ? undefined : watch(turn, permit.principal.key);
  const release = (): void => {
    if (open !== undefined) gateway.openExchanges.remove(open);
  };
  try {
    gateway.forwarder().forward(exchange, (outcome) => {
      try {
        release();
        finish(turn, permit, open?.ended === true ? { kind: "ended" } : outcome);
      } catch (error) {
        failClosed(turn, error);
      }
    });
  } catch (error) {
    release();
    throw error;
  }
}

/** Registers an exchange, so that it ends when its key may no longer be used. */
function watch({ gateway, client, startedMs }: HttpTurn, key: Key): OpenExchange & { readonly ended: boolean } {
  const open = {
    key,
    startedMs,
    place: NOT_LISTED,
    ended: false,
    end: () => {
      open.ended = true;
      // Cutting it off is the only way to tell a client that has its head already.
      client.abort();
    },
  };
  gateway.openExchanges.add(open);
  return open;
}

function finish(turn: HttpTurn, permit: Allowed, outcome: Outcome | { readonly kind: "ended" }): void {
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
    case "failed":
      refuse(turn, denyAfter(permit, outcome.reason, outcome.detail));
      break;
    default:
      outcome satisfies never;
  }
}
