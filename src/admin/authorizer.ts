import type { IncomingMessage, ServerResponse } from "node:http";
import type { AuthorizerSettings } from "../config/settings.ts";
import { toFieldLines } from "../http1/fields.ts";
import { findUrlCredentials } from "../policy/credential.ts";
import { type Allowed, type Denial, deny } from "../policy/decision.ts";
import { isPrefixedKey } from "../policy/key-format.ts";
import { denyBroken } from "../proxy/authorize.ts";
import type { Peer } from "../proxy/client-address.ts";
import type { DenialResponse } from "../proxy/denial-response.ts";
import { toForwardTarget } from "../proxy/forward-target.ts";
import type { Gateway, Settled } from "../proxy/gateway.ts";
import type { Generation } from "../proxy/generation.ts";
import { findOperation } from "../proxy/manage.ts";
import { toPeer } from "../proxy/request-facts.ts";
import { findRequestId } from "../proxy/request-headers.ts";
import { renderDenial } from "../proxy/respond.ts";
import { toAddedLines } from "../proxy/response-headers.ts";
import { decideTurn, denyAfter, findAssertion, record, type Turn, toResponseAdditions } from "../proxy/turn.ts";
import type { AccessRecord } from "../telemetry/access-record.ts";
import { findAbsent, toAllowedAnswer, toDeniedAnswer, toRemovals } from "./authorizer-answer.ts";
import { type Described, describeRequest, isCall } from "./described-request.ts";
import { respond } from "./respond.ts";
import { isToken } from "./token.ts";
import { TOKEN_HEADER, unremovableHeaders } from "./unremovable-headers.ts";

/** Why a call was not believed: nobody who may ask, or without the authoriser's token. */
export type RefusedCall = "peer" | "token";

/** Answers a request to the admin port if it is a call to the authoriser; false if it is none, or nobody may ask. */
export type Authorizer = (request: IncomingMessage, response: ServerResponse) => boolean;

/** A request that a gateway describes, while it is decided. */
interface DescribedTurn extends Turn {
  readonly described: Described;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/**
 * Decides requests for gateways that forward them themselves: the checks, the policy, the buckets and the
 * records are those of the data plane, so its gateway is all that this needs.
 */
export function createAuthorizer(gateway: Gateway, refused: (cause: RefusedCall, peer: Peer) => void): Authorizer {
  const marked: Gateway = {
    ...gateway,
    observer: { record: (ended) => gateway.observer.record({ ...ended, via: "authorizer" }) },
  };
  return (request, response) => {
    if (!isCall(request.url ?? "")) return false;
    try {
      const generation = marked.current();
      const settings = generation.configuration.settings.admin?.authorizer;
      if (settings === undefined) return false;
      const peer = toPeer(request.socket);
      const cause = findRefusal(request, peer, settings);
      if (cause === undefined) answerCall(request, response, peer, generation, marked);
      else {
        refused(cause, peer);
        respond(REFUSED_CALLS[cause], request, response, true);
      }
    } catch {
      respondBroken(response);
    }
    return true;
  };
}

function findRefusal(
  { rawHeaders }: IncomingMessage,
  peer: Peer,
  { trustedPeers, tokenSha256 }: AuthorizerSettings,
): RefusedCall | undefined {
  if (!trustedPeers.contains(peer.address)) return "peer";
  if (tokenSha256 === undefined) return undefined;
  const presented = rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === TOKEN_HEADER,
  );
  return presented.length === 1 && isToken(presented[0], tokenSha256) ? undefined : "token";
}

// 403 is a refusal to every gateway. For the log and for who sets a gateway up; it says nothing of any key.
const REFUSED_CALLS: Readonly<Record<RefusedCall, DenialResponse>> = {
  peer: toRefusedCall("this address is not one of admin.authorizer.trustedPeers\n"),
  token: toRefusedCall("the token of admin.authorizer is missing or wrong\n"),
};

function toRefusedCall(body: string): DenialResponse {
  const length = String(Buffer.byteLength(body));
  const headers = ["Content-Type", "text/plain; charset=utf-8", "Content-Length", length, "Cache-Control", "no-store"];
  return { status: 403, headers, body };
}

function answerCall(
  request: IncomingMessage,
  response: ServerResponse,
  peer: Peer,
  generation: Generation,
  gateway: Gateway,
): void {
  const turn = beginDescribed(request, response, peer, generation, gateway);
  try {
    const decision = decideDescribed(turn);
    if (decision instanceof Promise) {
      decision.then((settled) => conclude(turn, settled)).catch((error: unknown) => failClosed(turn, error));
    } else conclude(turn, decision);
  } catch (error) {
    failClosed(turn, error);
  }
}

/** The turn of the request that is described; headers and request id are those the gateway hands on. */
function beginDescribed(
  request: IncomingMessage,
  response: ServerResponse,
  peer: Peer,
  generation: Generation,
  gateway: Gateway,
): DescribedTurn {
  const { rawHeaders, method = "", url = "" } = request;
  const { policy, settings } = generation.configuration;
  const described = describeRequest({ method, url, rawHeaders }, peer.address, settings.listen.trustedProxies.address);
  const { clientAddress, secure, ...said } =
    described.kind === "described" ? described : { clientAddress: peer.address, secure: false, method: "", target: "" };
  return {
    gateway,
    generation,
    request,
    response,
    described,
    arrival: {
      peer,
      origin: { clientAddress, secure, forwardedFor: undefined, forwardedHost: undefined },
      facts: { method: said.method, target: said.target, rawHeaders, clientAddress, secure },
    },
    requestId: findRequestId(rawHeaders, policy.keyFormats) ?? gateway.createRequestId(),
    startedMs: gateway.clock.elapsed(),
  };
}

function decideDescribed(turn: DescribedTurn): Settled | Promise<Settled> {
  const { described, generation, request } = turn;
  if (described.kind === "unclear") return deny("request_invalid", { detail: described.problem });
  const unremovable = unremovableHeaders(generation).find(request.rawHeaders);
  if (unremovable !== undefined) return deny("request_invalid", { detail: unremovable });
  return decideTurn(turn);
}

function conclude(turn: DescribedTurn, decision: Settled): void {
  try {
    const denial = decision.kind === "deny" ? decision : findLateProblem(turn, decision);
    if (denial !== undefined) refuse(turn, denial);
    else if (decision.kind === "allow") allow(turn, decision);
  } catch (error) {
    failClosed(turn, error);
  }
}

/** What the data plane takes out of an allowed request, or does with it, and an authoriser cannot. */
function findLateProblem(turn: DescribedTurn, permit: Allowed): Denial | undefined {
  const { policy, settings } = turn.generation.configuration;
  const { target, rawHeaders } = turn.arrival.facts;
  if (findOperation(permit, settings.operations, target) !== undefined) {
    return denyAfter(permit, "route_unknown", "an operation of Latchkey's own, which only its listener carries out");
  }
  if (!permit.route.allowMethodOverride) {
    const override = unremovableHeaders(turn.generation).findOverride(rawHeaders);
    if (override !== undefined) return denyAfter(permit, "request_invalid", override);
  }
  if (toForwardTarget(target, permit.route, policy) === target) return undefined;
  const query = target.slice(target.indexOf("?") + 1);
  const isKey = (text: string) => isPrefixedKey(text, policy.keyFormats);
  return findUrlCredentials(query, policy.credentials, isKey).size > 0
    ? denyAfter(permit, "credential_in_url", "a key in the query, which an authoriser cannot take out")
    : denyAfter(permit, "request_invalid", "a method override in the query");
}

function allow(turn: DescribedTurn, permit: Allowed): void {
  const { generation } = turn;
  const identity = permit.principal === undefined ? [] : generation.identity(permit.principal).lines;
  const assertion = findAssertion(turn, permit);
  if (assertion instanceof Promise) {
    assertion
      .then((field) => admit(turn, permit, [...identity, ...toFieldLines(field)]))
      .catch((error: unknown) => failClosed(turn, error));
  } else admit(turn, permit, [...identity, ...toFieldLines(assertion)]);
}

function admit(turn: DescribedTurn, permit: Allowed, identity: readonly string[]): void {
  const { described, generation, request } = turn;
  const absent = findAbsent(identity, generation);
  const removals =
    described.contract === "envoy"
      ? toRemovals(absent, request.rawHeaders, permit.route.allowMethodOverride, generation)
      : absent.flatMap((name) => [name, ""]);
  const added = toAddedLines(toResponseAdditions(turn, permit));
  const answer = toAllowedAnswer([...identity, ...removals, ...added]);
  send(turn, permit, answer, answer.status);
}

function refuse(turn: DescribedTurn, denial: Denial): void {
  const { described, gateway, generation, requestId } = turn;
  const rendered = renderDenial(denial, requestId, generation, gateway.clock.now);
  const { answer, clientStatus } = toDeniedAnswer(rendered, described.contract, described.compat);
  send(turn, denial, answer, clientStatus);
}

function send(turn: DescribedTurn, decision: Settled, answer: DenialResponse, clientStatus: number): void {
  const { request, response } = turn;
  if (response.closed || response.headersSent) {
    response.destroy();
    record(turn, decision, 0, "aborted", "");
    return;
  }
  let ending: AccessRecord["ending"] = "aborted";
  response.on("finish", () => {
    ending = "complete";
  });
  response.on("close", () => record(turn, decision, clientStatus, ending, ""));
  respond(answer, request, response, false);
}

/** Refuses what broke, as far as the gateway can still be told. */
function failClosed(turn: DescribedTurn, error: unknown): void {
  try {
    if (turn.response.headersSent) turn.response.destroy();
    else refuse(turn, denyBroken(error));
  } catch {
    respondBroken(turn.response);
  }
}

/** The answer when even a refusal cannot be made. Not 500, with which Envoy may let the request pass. */
function respondBroken(response: ServerResponse): void {
  if (response.headersSent || response.destroyed) response.destroy();
  else response.writeHead(403, { "Content-Length": "0", Connection: "close" }).end();
}
