import type { IncomingMessage, ServerResponse } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Denial } from "../policy/decision.ts";
import { type DenialResponse, toDenialResponse } from "./denial-response.ts";
import type { Generation } from "./generation.ts";
import { toLimitHeaders } from "./limit-headers.ts";

// A client that is refused may still be sending. Small remainders are read so that the refusal arrives
// and the connection lives on; past this the connection is cut.
const MAX_DISCARDED_BYTES = 1024 * 1024;

/** The answer to a denial with everything a client gets of it, limits and request id included. */
export function renderDenial(denial: Denial, requestId: string, generation: Generation, nowMs: number): DenialResponse {
  const { policy, settings } = generation.configuration;
  const answer = toDenialResponse(denial, requestId, settings.denials, policy.credentials);
  const limits = toLimitHeaders(denial.quotas, settings.limitHeaders, nowMs);
  return { ...answer, headers: [...answer.headers, ...limits, "X-Request-Id", requestId] };
}

/** Answers a refused request. A body that was announced but not asked for ends the connection. */
export function respond(
  answer: DenialResponse,
  request: IncomingMessage,
  response: ServerResponse,
  close: boolean,
): void {
  const unwanted = request.headers.expect !== undefined;
  const headers = close || unwanted ? [...answer.headers, "Connection", "close"] : [...answer.headers];
  response.writeHead(answer.status, STATUS_CODES[answer.status] ?? "", headers);
  response.end(request.method === "HEAD" ? undefined : answer.body);
  discardBody(request);
}

/** The answer when even a refusal cannot be made: fixed bytes, and the connection ends. */
export function respondBare(response: ServerResponse): void {
  if (response.headersSent || response.destroyed) response.destroy();
  else response.writeHead(500, { "Content-Length": "0", Connection: "close" }).end();
}

function discardBody(request: IncomingMessage): void {
  if (request.complete) return;
  let discarded = 0;
  request.on("data", (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > MAX_DISCARDED_BYTES) request.destroy();
  });
  request.on("error", () => {});
}

/** Answers on a bare socket, where no response object exists: parse errors and refused upgrades. */
export function respondRaw(answer: DenialResponse, socket: Duplex): void {
  const lines = [`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? "Error"}`];
  for (let index = 0; index < answer.headers.length; index += 2) {
    lines.push(`${answer.headers[index] ?? ""}: ${answer.headers[index + 1] ?? ""}`);
  }
  lines.push("Connection: close", "", answer.body);
  socket.end(lines.join("\r\n"));
}
