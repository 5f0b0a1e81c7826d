import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { DenialResponse } from "../proxy/denial-response.ts";

/** Sends a whole answer on the admin port. */
export function respond(
  { status, headers, body }: DenialResponse,
  request: IncomingMessage,
  response: ServerResponse,
  close: boolean,
): void {
  response.writeHead(status, STATUS_CODES[status] ?? "", close ? [...headers, "Connection", "close"] : [...headers]);
  response.end(request.method === "HEAD" ? undefined : body);
}
