/** One message as a strict reader (RFC 9112) sees it: what is not exactly right is named in `problems`. */
export interface Message {
  readonly method: string;
  readonly target: string;
  /** In order, as received. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly trailers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly complete: boolean;
  readonly problems: readonly string[];
}

/** A head that was read to its end, and where in the bytes its body begins. */
export interface Head {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly problems: readonly string[];
  readonly bodyAt: number;
}

export type Body =
  | { readonly kind: "whole"; readonly body: string; readonly trailers: Message["trailers"]; readonly endsAt: number }
  | { readonly kind: "partial"; readonly body: string }
  | { readonly kind: "broken"; readonly body: string; readonly problem: string };

const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP\/1\.1$/;
const FIELD =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\x20-\x7e\t\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/;

/** Reads a request's head from the start of the bytes; undefined until the empty line is there. */
export function readHead(bytes: string): Head | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const [line = "", ...rest] = bytes.slice(0, end).split("\r\n");
  const problems: string[] = [];
  const [, method = "", target = ""] = REQUEST_LINE.exec(line) ?? [];
  if (method === "") problems.push(`not a request line: ${JSON.stringify(line.slice(0, 80))}`);
  const fields = readFields(rest, problems);
  for (const name of ["host", "content-length", "transfer-encoding"]) {
    if (valuesOf(fields, name).length > 1) problems.push(`more than one ${name}`);
  }
  if (valuesOf(fields, "host").length === 0) problems.push("no host");
  return { method, target, fields, problems, bodyAt: end + 4 };
}

function readFields(lines: readonly string[], problems: string[]): (readonly [string, string])[] {
  return lines.map((text) => {
    const match = FIELD.exec(text);
    if (match === null) problems.push(`not a header line: ${JSON.stringify(text.slice(0, 80))}`);
    return [match?.[1] ?? text, match?.[2] ?? ""] as const;
  });
}

/** Every value of a header, by name in lower case. */
export function valuesOf(fields: Message["fields"], name: string): readonly string[] {
  return fields.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value);
}

/** Reads a request's body from the start of the bytes, by the framing of its head. */
export function readBody(fields: Message["fields"], bytes: string): Body {
  const [length] = valuesOf(fields, "content-length");
  const [coding] = valuesOf(fields, "transfer-encoding");
  if (length !== undefined && coding !== undefined) return broken("", "framed by both a length and a coding");
  if (coding !== undefined) return coding === "chunked" ? readChunks(bytes) : broken("", `coding ${coding}`);
  if (length === undefined) return { kind: "whole", body: "", trailers: [], endsAt: 0 };
  if (!/^\d+$/.test(length)) return broken("", `length ${length}`);
  const size = Number(length);
  if (bytes.length < size) return { kind: "partial", body: bytes };
  return { kind: "whole", body: bytes.slice(0, size), trailers: [], endsAt: size };
}

function broken(body: string, problem: string): Body {
  return { kind: "broken", body, problem };
}

function readChunks(bytes: string): Body {
  let body = "";
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd === -1) return { kind: "partial", body };
    const sizeText = bytes.slice(at, lineEnd);
    if (!/^[0-9A-Fa-f]{1,8}$/.test(sizeText)) return broken(body, `chunk size ${JSON.stringify(sizeText)}`);
    const size = Number.parseInt(sizeText, 16);
    const dataAt = lineEnd + 2;
    if (size === 0) return readTrailers(bytes, dataAt, body);
    if (bytes.length < dataAt + size + 2) return { kind: "partial", body: body + bytes.slice(dataAt, dataAt + size) };
    body += bytes.slice(dataAt, dataAt + size);
    if (bytes.slice(dataAt + size, dataAt + size + 2) !== "\r\n") return broken(body, "a chunk longer than its size");
    at = dataAt + size + 2;
  }
}

function readTrailers(bytes: string, at: number, body: string): Body {
  if (bytes.startsWith("\r\n", at)) return { kind: "whole", body, trailers: [], endsAt: at + 2 };
  const end = bytes.indexOf("\r\n\r\n", at);
  if (end === -1) return { kind: "partial", body };
  const problems: string[] = [];
  const trailers = readFields(bytes.slice(at, end).split("\r\n"), problems);
  const [problem] = problems;
  return problem === undefined ? { kind: "whole", body, trailers, endsAt: end + 4 } : broken(body, problem);
}
