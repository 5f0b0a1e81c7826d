/** The header line that presents the key of an ordinary, allowed caller. */
export const KEY = "X-API-Key: {key}";

/** A whole request: request line, Host, the case's tag, the lines given, `Connection: close`, and the body. */
export function message(requestLine: string, lines: readonly string[] = [], body = ""): string {
  return toBytes([requestLine, "Host: api.test", "X-Case: {tag}", ...lines, "Connection: close"], body);
}

/** The same, on a connection that stays open for what follows. */
export function keepAlive(requestLine: string, lines: readonly string[] = [], body = ""): string {
  return toBytes([requestLine, "Host: api.test", "X-Case: {tag}", ...lines], body);
}

/** Exactly these lines, the empty one and the body. */
export function toBytes(lines: readonly string[], body = ""): string {
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** A GET by the ordinary caller. */
export function get(target: string, ...lines: readonly string[]): string {
  return message(`GET ${target} HTTP/1.1`, [KEY, ...lines]);
}

/** A POST by the ordinary caller; framed by the lines given. */
export function post(target: string, lines: readonly string[], body = ""): string {
  return message(`POST ${target} HTTP/1.1`, [KEY, ...lines], body);
}

/** A complete request that must never be one upstream: what smuggling would bring there. */
export const SMUGGLED = "GET /admin/smuggled-{tag} HTTP/1.1\r\nHost: api.test\r\nX-Latchkey-Key-Id: forged\r\n\r\n";

/** Bytes as one chunk, and the end of the body. */
export function chunked(...chunks: readonly string[]): string {
  return `${chunks.map(chunk).join("")}0\r\n\r\n`;
}

export function chunk(bytes: string): string {
  return `${bytes.length.toString(16)}\r\n${bytes}\r\n`;
}

export const CHUNKED = "Transfer-Encoding: chunked";

/** A byte by its number, for those that are better not seen in a source text. */
export function byte(code: number): string {
  return String.fromCharCode(code);
}

/** `0x0b` and the like, for names of cases. */
export function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, "0")}`;
}
