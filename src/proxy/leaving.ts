import type { FieldText } from "../http1/fields.ts";
import type { BodyFraming } from "../http1/framing.ts";
import type { RequestHead } from "../http1/request-head.ts";
import type { Allowed, Denial } from "../policy/decision.ts";
import type { Origin, Peer } from "./client-address.ts";
import type { Generation } from "./generation.ts";
import { buildRequestFields } from "./request-headers.ts";
import { findProtocol } from "./tunnel.ts";
import { denyAfter } from "./turn.ts";

/** The fields of an allowed request towards the upstream, or why its head may not leave all the same. */
export type Leaving = { readonly kind: "fields"; readonly fields: FieldText } | Denial;

export function prepareToLeave(
  head: RequestHead,
  permit: Allowed,
  origin: Origin,
  peer: Peer,
  requestId: string,
  generation: Generation,
): Leaving {
  const built = buildRequestFields(head.rawHeaders, permit, origin, peer, requestId, generation);
  if (built.kind === "invalid") return denyAfter(permit, "request_invalid", built.problem);
  if (findProtocol(head) !== undefined && head.framing.kind !== "none") {
    // Its bytes would travel as the first of the other protocol.
    return denyAfter(permit, "request_invalid", "an upgrade with a body");
  }
  const tooLong = findLengthProblem(head.framing, generation.configuration.settings.listen.maxBodyBytes);
  if (tooLong !== undefined) return denyAfter(permit, "body_too_large", tooLong);
  return { kind: "fields", fields: built.fields };
}

/** What is wrong with a body that says how long it is; undefined too where only its end will tell. */
function findLengthProblem(framing: BodyFraming, maxBodyBytes: number | undefined): string | undefined {
  if (framing.kind !== "length" || maxBodyBytes === undefined || framing.bytes <= maxBodyBytes) return undefined;
  return `${framing.bytes} bytes announced, ${maxBodyBytes} allowed`;
}
