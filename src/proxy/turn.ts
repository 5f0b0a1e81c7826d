import { type FieldText, toFieldText } from "../http1/fields.ts";
import type { RequestHead } from "../http1/request-head.ts";
import { type Allowed, type Denial, deny } from "../policy/decision.ts";
import { type KeyFormat, redactKeys } from "../policy/key-format.ts";
import type { AccessRecord } from "../telemetry/access-record.ts";
import { authorize, holdBackMs } from "./authorize.ts";
import type { Peer } from "./client-address.ts";
import type { Gateway, Settled } from "./gateway.ts";
import type { Generation } from "./generation.ts";
import { toLimitFields } from "./limit-headers.ts";
import { type Arrival, findRequestProblem, readArrival } from "./request-facts.ts";
import { findRequestId } from "./request-headers.ts";
import type { ResponseAdditions } from "./response-headers.ts";

/** A request being answered: what every later step needs of it, upgrade or not. */
export interface Turn {
  readonly gateway: Gateway;
  /** The generation the request began with and ends with, whatever is reloaded meanwhile. */
  readonly generation: Generation;
  readonly arrival: Arrival;
  readonly requestId: string;
  readonly startedMs: number;
}

export function beginTurn(head: RequestHead, peer: Peer, gateway: Gateway): Turn {
  const generation = gateway.current();
  return {
    gateway,
    generation,
    arrival: readArrival(head, peer, generation),
    requestId: findRequestId(head.rawHeaders, generation.configuration.policy.keyFormats) ?? gateway.createRequestId(),
    startedMs: gateway.clock.elapsed(),
  };
}

/** Decides a request; a refused credential may be held back so that its cost cannot be told. */
export function decideTurn(turn: Turn): Settled | Promise<Settled> {
  const { policy, settings } = turn.generation.configuration;
  const problem = findRequestProblem(turn.arrival.facts, settings.listen.maxHeaders);
  if (problem !== undefined) return deny(problem.reason, { detail: problem.detail });
  const decision = authorize(turn.arrival.facts, policy, turn.gateway);
  return decision instanceof Promise ? decision.then((settled) => follow(turn, settled)) : follow(turn, decision);
}

function follow(turn: Turn, decision: Settled): Settled | Promise<Settled> {
  const { gateway, generation, arrival, requestId } = turn;
  try {
    gateway.shadow()?.observe({
      facts: arrival.facts,
      live: generation.configuration.policy,
      decision,
      requestId,
      nowMs: gateway.clock.now(),
    });
  } catch {
    // What enforces nothing may refuse nothing either.
  }
  return holdBack(turn, decision);
}

function holdBack(turn: Turn, decision: Settled): Settled | Promise<Settled> {
  if (decision.kind === "allow") return decision;
  const { clock } = turn.gateway;
  const delayMs = holdBackMs(decision, turn.generation.configuration.policy, clock.elapsed() - turn.startedMs);
  if (delayMs === 0) return decision;
  return new Promise((resolve) => clock.after(delayMs, () => resolve(decision)));
}

/** The signed assertion's field, where one is configured and there is somebody to assert. */
export function findAssertion(turn: Turn, permit: Allowed): FieldText | Promise<FieldText> {
  const { assertions } = turn.generation;
  if (assertions === undefined || permit.principal === undefined) return "";
  const { header } = assertions;
  const assertion = assertions.assertionFor(permit.principal, turn.gateway.clock);
  if (typeof assertion === "string") return toFieldText([header, assertion]);
  return assertion.then((token) => toFieldText([header, token]));
}

/** What every answer to an allowed request carries. */
export function toResponseAdditions({ gateway, generation, requestId }: Turn, permit: Allowed): ResponseAdditions {
  const { limitHeaders } = generation.configuration.settings;
  const { ietf, legacy } = toLimitFields(permit.quotas, limitHeaders, gateway.clock.now);
  return { ietf, legacy, requestId };
}

/** A refusal after an allowed decision, with what is still known. */
export function denyAfter(
  permit: Allowed,
  reason: Denial["reason"],
  detail = "",
  scopes: readonly string[] = [],
): Denial {
  return deny(reason, { route: permit.route, principal: permit.principal, detail, scopes });
}

/** Tells the log and the metrics of a turn that ended. What becomes of that, a full disk included, changes no answer. */
export function record(
  turn: Turn,
  decision: Settled,
  status: number,
  ending: AccessRecord["ending"],
  detail: string,
): void {
  try {
    turn.gateway.observer.record(toRecord(turn, decision, status, ending, detail));
  } catch {
    // There is nobody left to tell.
  }
}

function toRecord(
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
    path: redactPath(path, generation.configuration.policy.keyFormats),
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

/** As it came, unless it holds a key, in part or as a whole percent-encoded: then decoded and without it. */
function redactPath(path: string, formats: readonly KeyFormat[]): string {
  const redacted = redactKeys(path, formats);
  if (!path.includes("%")) return redacted;
  const decoded = redacted.replace(/%([2-7][0-9A-Fa-f])/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  const once = redactKeys(decoded, formats);
  return once === decoded ? redacted : once;
}
