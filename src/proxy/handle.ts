import type { IncomingMessage, ServerResponse } from "node:http";
import { type Allowed, type Denial, deny } from "../policy/decision.ts";
import { redactKeys } from "../policy/key-format.ts";
import type { AccessRecord } from "../telemetry/access-record.ts";
import { authorize, holdBackMs } from "./authorize.ts";
import type { Outcome } from "./forward.ts";
import { toForwardTarget } from "./forward-target.ts";
import type { Gateway, Settled } from "./gateway.ts";
import type { Generation } from "./generation.ts";
import { toLimitHeaders } from "./limit-headers.ts";
import { findOperation, respondDone } from "./manage.ts";
import { type Arrival, findRequestProblem, readArrival } from "./request-facts.ts";
import { buildRequestHeaders, findRequestId } from "./request-headers.ts";
import { renderDenial, respond } from "./respond.ts";

/** A request being answered: what every later step needs of it. */
export interface Turn {
  readonly gateway: Gateway;
  /** The generation the request began with and ends with, whatever is reloaded meanwhile. */
  readonly generation: Generation;
  readonly arrival: Arrival;
  readonly requestId: string;
  readonly startedMs: number;
}

/** Answers one request: decides it, then forwards it or refuses it. Every request ends in one record. */
export function handle(request: IncomingMessage, response: ServerResponse, gateway: Gateway): void {
  const turn = beginTurn(request, gateway);
  const { peer } = turn.arrival;
  peer.inFlight += 1;
  response.on("close", () => {
    peer.inFlight -= 1;
  });
  const decision = decideTurn(turn, request);
  if (decision instanceof Promise) decision.then((settled) => conclude(turn, settled, request, response));
  else conclude(turn, decision, request, response);
}

export function beginTurn(request: IncomingMessage, gateway: Gateway): Turn {
  const generation = gateway.current();
  return {
    gateway,
    generation,
    arrival: readArrival(request, generation),
    requestId: findRequestId(request.rawHeaders) ?? gateway.createRequestId(),
    startedMs: gateway.clock.elapsed(),
  };
}

/** Decides a request; a refused credential may be held back so that its cost cannot be told. */
export function decideTurn(turn: Turn, request: IncomingMessage): Settled | Promise<Settled> {
  const { policy, settings } = turn.generation.configuration;
  const problem = findRequestProblem(request, settings.listen.maxHeaders);
  if (problem !== undefined) return deny(problem.reason, { detail: problem.detail });
  const decision = authorize(turn.arrival.facts, policy, turn.gateway);
  return decision instanceof Promise ? decision.then((settled) => holdBack(turn, settled)) : holdBack(turn, decision);
}

function holdBack(turn: Turn, decision: Settled): Settled | Promise<Settled> {
  const { clock } = turn.gateway;
  const delayMs = holdBackMs(decision, turn.generation.configuration.policy, clock.elapsed() - turn.startedMs);
  if (delayMs === 0) return decision;
  return new Promise((resolve) => clock.after(delayMs, () => resolve(decision)));
}

function conclude(turn: Turn, decision: Settled, request: IncomingMessage, response: ServerResponse): void {
  try {
    if (decision.kind === "deny") refuse(turn, decision, request, response);
    else answer(turn, decision, request, response);
  } catch (error) {
    // Fail closed: whatever broke, the upstream hears nothing more of this request.
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (response.headersSent) response.destroy();
    else refuse(turn, deny("internal_error", { detail }), request, response);
  }
}

/** An allowed request goes to the upstream, unless it is for an operation of Latchkey's own. */
function answer(turn: Turn, permit: Allowed, request: IncomingMessage, response: ServerResponse): void {
  const { operations } = turn.generation.configuration.settings;
  const asked = operations.size === 0 ? undefined : findOperation(permit, operations, turn.arrival.facts.target);
  if (asked === undefined) forward(turn, permit, request, response);
  else void operate(turn, permit, asked, request, response);
}

async function operate(
  turn: Turn,
  permit: Allowed,
  { operation, id, caller }: NonNullable<ReturnType<typeof findOperation>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { keyOperations, observer } = turn.gateway;
  try {
    const result = await keyOperations.run(operation, id, caller);
    if (result.kind === "refused") {
      refuse(
        turn,
        deny(result.reason, { ...contextOf(permit), detail: result.detail, scopes: result.scopes }),
        request,
        response,
      );
      return;
    }
    respondDone(result.body, toResponseHeaders(turn, permit), request, response);
    observer.record(toRecord(turn, permit, 200, "complete", `${operation} ${id}`));
  } catch (error) {
    refuse(turn, deny("internal_error", { ...contextOf(permit), detail: String(error) }), request, response);
  }
}

function refuse(turn: Turn, denial: Denial, request: IncomingMessage, response: ServerResponse): void {
  const { gateway, generation, requestId } = turn;
  const answer = renderDenial(denial, requestId, generation, gateway.clock.now());
  let ending: AccessRecord["ending"] = "aborted";
  response.on("finish", () => {
    ending = "complete";
  });
  response.on("close", () => gateway.observer.record(toRecord(turn, denial, answer.status, ending, "")));
  if (response.destroyed || response.closed) {
    gateway.observer.record(toRecord(turn, denial, 0, "aborted", ""));
    return;
  }
  respond(answer, request, response, gateway.isDraining() || denial.reason === "request_invalid");
}

function forward(turn: Turn, permit: Allowed, request: IncomingMessage, response: ServerResponse): void {
  const { gateway, generation, arrival, requestId } = turn;
  const { policy, settings } = generation.configuration;
  const built = buildRequestHeaders(request.rawHeaders, permit, arrival.origin, arrival.peer, requestId, generation);
  if (built.kind === "invalid") {
    refuse(turn, deny("request_invalid", { ...contextOf(permit), detail: built.problem }), request, response);
    return;
  }
  const { maxBodyBytes } = settings.listen;
  if (built.framing.kind === "length" && maxBodyBytes !== undefined && built.framing.bytes > maxBodyBytes) {
    refuse(turn, deny("body_too_large", contextOf(permit)), request, response);
    return;
  }
  const send = (): void => {
    if (response.closed) {
      gateway.observer.record(toRecord(turn, permit, 0, "aborted", "the client went away before it was forwarded"));
      return;
    }
    gateway.forwarder().forward(
      {
        permit,
        request,
        response,
        method: arrival.facts.method,
        target: toForwardTarget(arrival.facts.target, permit.route, policy),
        headers: built.headers,
        framing: built.framing,
        maxBodyBytes,
        responseHeaders: toResponseHeaders(turn, permit),
      },
      (outcome) => finish(turn, permit, outcome, request, response),
    );
  };
  withAssertion(turn, permit, built.headers, send, (denial) => refuse(turn, denial, request, response));
}

/** Adds the signed assertion, where one is configured, before the request leaves; without it nothing leaves. */
export function withAssertion(
  turn: Turn,
  permit: Allowed,
  headers: string[],
  send: () => void,
  fail: (denial: Denial) => void,
): void {
  const { assertions } = turn.generation;
  if (assertions === undefined || permit.principal === undefined) {
    send();
    return;
  }
  const assertion = assertions.assertionFor(permit.principal, turn.gateway.clock);
  if (typeof assertion === "string") {
    headers.push(assertions.header, assertion);
    send();
  } else {
    assertion.then(
      (token) => {
        headers.push(assertions.header, token);
        send();
      },
      (error: unknown) => fail(deny("internal_error", { ...contextOf(permit), detail: `signing failed: ${error}` })),
    );
  }
}

export function toResponseHeaders(turn: Turn, permit: Allowed): readonly string[] {
  const { gateway, generation, requestId } = turn;
  const limits = toLimitHeaders(permit.quotas, generation.configuration.settings.limitHeaders, gateway.clock.now());
  const closing = gateway.isDraining() ? ["Connection", "close"] : [];
  return [...limits, "X-Request-Id", requestId, ...closing];
}

function finish(
  turn: Turn,
  permit: Allowed,
  outcome: Outcome,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { observer } = turn.gateway;
  switch (outcome.kind) {
    case "answered":
      observer.record(toRecord(turn, permit, outcome.status, "complete", ""));
      break;
    case "truncated":
      observer.record(toRecord(turn, permit, outcome.status, "truncated", outcome.detail));
      break;
    case "aborted":
      observer.record(toRecord(turn, permit, 0, "aborted", "the client went away"));
      break;
    case "failed":
      refuse(turn, deny(outcome.reason, { ...contextOf(permit), detail: outcome.detail }), request, response);
      break;
    default:
      outcome satisfies never;
  }
}

/** What a denial after an allowed decision still knows. */
export function contextOf(permit: Allowed): Partial<Denial> {
  return { route: permit.route, principal: permit.principal };
}

export function toRecord(
  turn: Turn,
  decision: Settled,
  status: number,
  ending: AccessRecord["ending"],
  detail: string,
): AccessRecord {
  const { gateway, generation, arrival, requestId, startedMs } = turn;
  const { facts } = arrival;
  const mark = facts.target.indexOf("?");
  const path = mark === -1 ? facts.target : facts.target.slice(0, mark);
  const denied = decision.kind === "deny";
  return {
    requestId,
    method: facts.method,
    path: redactKeys(path, generation.configuration.policy.keyFormats),
    route: decision.route?.match,
    keyId: decision.principal?.key.id,
    tenant: decision.principal?.key.tenant,
    clientAddress: facts.clientAddress.text,
    decision: decision.kind,
    reason: denied ? decision.reason : undefined,
    detail: denied ? decision.detail : detail,
    status,
    ending,
    durationMs: gateway.clock.elapsed() - startedMs,
    revision: generation.configuration.policy.revision,
  };
}
