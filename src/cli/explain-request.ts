import { STATUS_CODES } from "node:http";
import type { Configuration, KeyOperation } from "../config/settings.ts";
import { toFieldLines } from "../http1/fields.ts";
import type { RequestHead } from "../http1/request-head.ts";
import { createBucketTable } from "../policy/bucket-table.ts";
import { type CredentialLocation, findUrlCredentials } from "../policy/credential.ts";
import { decide } from "../policy/decide.ts";
import { type Allowed, deny, type NeedsVerification } from "../policy/decision.ts";
import type { Verification } from "../policy/key.ts";
import { redactKeys } from "../policy/key-format.ts";
import type { Address } from "../policy/network.ts";
import type { Policy, PolicyState } from "../policy/policy.ts";
import { findOrigin, type Origin, type Peer } from "../proxy/client-address.ts";
import { toForwardTarget } from "../proxy/forward-target.ts";
import type { Settled } from "../proxy/gateway.ts";
import { createGeneration, type Generation } from "../proxy/generation.ts";
import { prepareToLeave } from "../proxy/leaving.ts";
import { toLimitFields } from "../proxy/limit-headers.ts";
import { findOperation } from "../proxy/manage.ts";
import { toFramingField, toUpgradeFields } from "../proxy/relay.ts";
import { carriesCredential, findRequestId } from "../proxy/request-headers.ts";
import { renderDenial } from "../proxy/respond.ts";
import { findProtocol } from "../proxy/tunnel.ts";
import { CHECK_OF, type Check, type CheckResult } from "./checks.ts";
import { readDescribedHead } from "./described-head.ts";
import { traceChecks } from "./explain-checks.ts";
import type { Sources } from "./explain-sources.ts";
import { createStandIn } from "./stand-in.ts";

/** A request as somebody describes it. */
export interface Question {
  readonly method: string;
  readonly target: string;
  readonly key: QuestionKey;
  readonly address: Address;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly https: boolean;
  readonly atMs: number;
  /** Which of so many equal requests at that instant is meant, counting from 1; limits tell them apart. */
  readonly times: number;
}

export type QuestionKey =
  | { readonly kind: "none" }
  | { readonly kind: "credential"; readonly credential: string }
  | { readonly kind: "id"; readonly id: string };

export interface Explanation {
  readonly decision: Settled;
  readonly checks: readonly CheckResult[];
  readonly outcome: Outcome;
  /** Things worth knowing that are no check. */
  readonly notes: readonly string[];
}

/** Never holds a credential: wherever one would stand, it says so. */
export type Outcome =
  | {
      readonly kind: "refused";
      readonly status: number;
      readonly statusText: string;
      readonly headers: readonly string[];
      readonly body: string;
    }
  | {
      readonly kind: "forwarded";
      readonly method: string;
      readonly target: string;
      /** What the upstream receives, as flat header lines. */
      readonly headers: readonly string[];
      /** What is added to the upstream's answer. */
      readonly responseHeaders: readonly string[];
    }
  /** Answered by Latchkey itself: what the holder of a scope may do to a key over HTTP. */
  | { readonly kind: "operation"; readonly operation: KeyOperation; readonly id: string };

export type Explained =
  | { readonly kind: "explained"; readonly explanation: Explanation }
  | { readonly kind: "unknown-key"; readonly id: string };

/** Checks a bcrypt digest, as the running proxy would in its worker. */
export type Verify = (credential: string, digest: string) => Promise<boolean>;

const EXAMPLE_REQUEST_ID = "example-request-id";
const WITHHELD = "(the key, withheld)";
const NO_REQUEST_ID: readonly string[] = [];

/** Answers what would become of a request, by running the real checks on it against nothing spent. */
export async function explainRequest(
  question: Question,
  configuration: Configuration,
  sources: Sources,
  verify: Verify,
): Promise<Explained> {
  const presented = toPresented(question.key, configuration.policy);
  if (presented === undefined) return { kind: "unknown-key", id: question.key.kind === "id" ? question.key.id : "" };
  const { policy, credential } = presented;
  const generation = createGeneration({ ...configuration, policy });
  const rawHeaders = toRawHeaders(question, credential, policy);
  const peer: Peer = { address: question.address, encrypted: question.https };
  const origin = findOrigin(peer, rawHeaders, configuration.settings.listen.trustedProxies);
  const facts = {
    method: question.method,
    target: question.target,
    rawHeaders,
    clientAddress: origin.clientAddress,
    secure: origin.secure,
  };

  const read = readDescribedHead(question, rawHeaders, configuration.settings.listen);
  const decided = read.kind === "head" ? await decideRepeatedly(facts, policy, question, verify) : read.denial;
  const requestId = findRequestId(rawHeaders, policy.keyFormats) ?? EXAMPLE_REQUEST_ID;
  const { decision, outcome } =
    read.kind === "head" && decided.kind === "allow"
      ? carryOut(question, decided, read.head, { origin, peer, requestId, generation })
      : { decision: decided, outcome: toRefused(decided, requestId, generation, question.atMs) };
  const refusedBy = decision.kind === "allow" ? undefined : refusingCheck(decision, decided.kind === "allow");
  const capitals = question.method.toUpperCase();
  return {
    kind: "explained",
    explanation: {
      decision,
      checks: traceChecks(facts, policy, decision, refusedBy, sources),
      outcome,
      notes: [
        ...(presented.assumption === "" ? [] : [presented.assumption]),
        ...(question.method === capitals ? [] : [`methods are written in capitals: ${capitals}`]),
      ],
    },
  };
}

/** How an allowed request goes on. */
interface Onward {
  readonly origin: Origin;
  readonly peer: Peer;
  readonly requestId: string;
  readonly generation: Generation;
}

/** What becomes of an allowed request: it is forwarded or carried out, unless its head forbids that. */
function carryOut(
  question: Question,
  permit: Allowed,
  head: RequestHead,
  { origin, peer, requestId, generation }: Onward,
): { readonly decision: Settled; readonly outcome: Outcome } {
  const { settings } = generation.configuration;
  const asked = findOperation(permit, settings.operations, question.target);
  if (asked !== undefined) {
    return { decision: permit, outcome: { kind: "operation", operation: asked.operation, id: asked.id } };
  }
  const leaving = prepareToLeave(head, permit, origin, peer, requestId, generation);
  if (leaving.kind === "deny") {
    return { decision: leaving, outcome: toRefused(leaving, requestId, generation, question.atMs) };
  }
  const ending = toUpgradeFields({ protocol: findProtocol(head) }) + toFramingField(head);
  return {
    decision: permit,
    outcome: toForwarded(question, permit, toFieldLines(leaving.fields + ending), requestId, generation),
  };
}

function toPresented(key: QuestionKey, policy: Policy) {
  switch (key.kind) {
    case "none":
      return { policy, credential: undefined, assumption: "" };
    case "credential":
      return { policy, credential: key.credential, assumption: "" };
    case "id": {
      const record = policy.keys.findById(key.id);
      return record === undefined ? undefined : createStandIn(record, policy);
    }
    default:
      return key satisfies never;
  }
}

function toRawHeaders(question: Question, credential: string | undefined, policy: Policy): readonly string[] {
  const written = question.headers.flat();
  const host = question.headers.some(([name]) => name.toLowerCase() === "host") ? [] : ["Host", "localhost"];
  const location = policy.credentials.locations[0];
  const presented = credential === undefined || location === undefined ? [] : toCredentialLine(credential, location);
  return [...host, ...presented, ...written];
}

function toCredentialLine(credential: string, { name, scheme }: CredentialLocation): readonly string[] {
  return [
    name,
    scheme === undefined ? credential : `${scheme.charAt(0).toUpperCase()}${scheme.slice(1)} ${credential}`,
  ];
}

/** The last of so many equal requests: what the earlier ones spent is spent. */
async function decideRepeatedly(
  facts: Parameters<typeof decide>[0],
  policy: Policy,
  question: Question,
  verify: Verify,
): Promise<Settled> {
  const state: PolicyState = {
    buckets: createBucketTable(),
    failures: createBucketTable(),
    verified: { find: () => undefined },
    slowHashes: { isUnderWay: () => false },
  };
  let verification: Verification | undefined;
  for (let time = 1; ; time += 1) {
    let decision = decide(facts, policy, state, question.atMs, verification);
    if (decision.kind === "verify") {
      const { isCounted } = decision;
      verification = await verifySlowly(decision, verify);
      decision = decide(facts, policy, state, question.atMs, { ...verification, isCounted });
    }
    if (decision.kind === "verify") throw new Error("a verified credential asked for verification");
    if (time >= question.times) return decision;
  }
}

async function verifySlowly({ credential, candidates }: NeedsVerification, verify: Verify): Promise<Verification> {
  for (const key of candidates) {
    if (key.digest.kind === "bcrypt" && (await verify(credential, key.digest.text))) return { kind: "matched", key };
  }
  return { kind: "unmatched" };
}

/** A head that cannot be rebuilt is found out while forwarding, not before the checks. */
function refusingCheck(denial: Exclude<Settled, Allowed>, late: boolean): Check {
  return late ? "forward" : CHECK_OF[denial.reason];
}

function toRefused(decision: Settled, requestId: string, generation: Generation, nowMs: number): Outcome {
  const denial = decision.kind === "deny" ? decision : deny("internal_error");
  const { status, headers, body } = renderDenial(denial, requestId, generation, () => nowMs);
  return { kind: "refused", status, statusText: STATUS_CODES[status] ?? "", headers, body };
}

function toForwarded(
  question: Question,
  permit: Allowed,
  headers: readonly string[],
  requestId: string,
  generation: Generation,
): Outcome {
  const { policy, settings } = generation.configuration;
  const assertion = settings.identity.assertion;
  const signed =
    assertion === undefined || permit.principal === undefined
      ? []
      : [assertion.header, "(a JWT, signed when it is sent)"];
  const { ietf, legacy } = toLimitFields(permit.quotas, settings.limitHeaders, () => question.atMs);
  return {
    kind: "forwarded",
    method: question.method,
    target: withholdKeys(toForwardTarget(question.target, permit.route, policy), policy),
    headers: [...withholdCredentials(headers, generation), ...signed],
    responseHeaders: [
      ...toFieldLines(ietf + legacy),
      ...(requestId === EXAMPLE_REQUEST_ID ? NO_REQUEST_ID : ["X-Request-Id", requestId]),
    ],
  };
}

/** Where the config lets the key through to the upstream, it is named and not shown. The app's own credentials are its own. */
function withholdCredentials(headers: readonly string[], generation: Generation): readonly string[] {
  return headers.map((text, index) =>
    index % 2 === 1 && carriesCredential(headers[index - 1] ?? "", text, generation) ? WITHHELD : text,
  );
}

/** A target as it may be shown: without the keys that may stand in it. */
export function withholdKeys(target: string, policy: Policy): string {
  const mark = target.indexOf("?");
  const bare = redactKeys(target, policy.keyFormats);
  if (mark === -1) return bare;
  const inUrl = { ...policy.credentials, inUrl: "reject" } as const;
  const named = findUrlCredentials(target.slice(mark + 1), inUrl, () => false);
  if (named.size === 0) return bare;
  const pairs = target.slice(mark + 1).split("&");
  const shown = pairs.map((pair) => (named.has(pair.split("=", 1)[0] ?? "") ? `${pair.split("=", 1)[0]}=…` : pair));
  return redactKeys(`${target.slice(0, mark)}?${shown.join("&")}`, policy.keyFormats);
}
