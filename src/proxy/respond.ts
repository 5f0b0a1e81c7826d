import { STATUS_CODES } from "node:http";
import { toFieldText } from "../http1/fields.ts";
import type { Denial } from "../policy/decision.ts";
import type { ClientExchange } from "./client-exchange.ts";
import { type DenialResponse, toDenialResponse } from "./denial-response.ts";
import type { Generation } from "./generation.ts";
import { toLimitFields } from "./limit-headers.ts";
import { toAddedLines } from "./response-headers.ts";

/** The answer to a denial with everything a client gets of it, limits and request id included. */
export function renderDenial(
  denial: Denial,
  requestId: string,
  generation: Generation,
  now: () => number,
): DenialResponse {
  const { policy, settings } = generation.configuration;
  const answer = toDenialResponse(denial, requestId, settings.denials, policy.credentials);
  const limits = toLimitFields(denial.quotas, settings.limitHeaders, now);
  return { ...answer, headers: [...answer.headers, ...toAddedLines({ ...limits, requestId })] };
}

/** Answers a refused request. */
export function respond(response: DenialResponse, exchange: ClientExchange, close: boolean): void {
  if (close) exchange.endConnection();
  answerUnread(response, exchange);
}

/** An answer of our own. */
interface OwnAnswer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

/** Answers a request whose body nobody wants. One that was announced but not asked for ends the connection. */
export function answerUnread({ status, headers, body }: OwnAnswer, exchange: ClientExchange): void {
  if (exchange.head.expectsContinue) exchange.endConnection();
  exchange.answer(status, STATUS_CODES[status] ?? "", headers, body);
}

/** The answer when even a refusal cannot be made: fixed bytes, and the connection ends. */
export function respondBare(exchange: ClientExchange): void {
  exchange.endConnection();
  if (exchange.isBegun) exchange.abort();
  else exchange.answer(500, "Internal Server Error", ["Content-Length", "0"], "");
}

/**
 * Answers on a bare socket, where there is no exchange, to what is no request. Throws before any word
 * of the config could end a field.
 */
export function toRawAnswer({ status, headers, body }: DenialResponse): string {
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n${toFieldText(headers)}`;
  return `${head}Connection: close\r\n\r\n${Buffer.from(body).toString("latin1")}`;
}
