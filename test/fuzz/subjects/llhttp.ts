import { createRequire } from "node:module";

/** A message as Node's own parser reads it. */
export interface Read {
  readonly method: number | undefined;
  readonly target: string | undefined;
  readonly status: number | undefined;
  readonly reason: string | undefined;
  readonly lines: readonly string[];
  readonly persistent: boolean;
  readonly isUpgrade: boolean;
  readonly body: string;
  readonly trailers: readonly string[];
  readonly isWhole: boolean;
}

type Callback = (...given: readonly unknown[]) => number;
interface Parser {
  readonly initialize: (kind: number, resource: object) => void;
  readonly execute: (bytes: Buffer) => unknown;
  [callback: number]: Callback;
}
interface Common {
  readonly HTTPParser: Readonly<Record<string, number>> & (new () => Parser);
  readonly methods: readonly string[];
}

// Not in the documentation, but what `node:http` itself is made of.
const { HTTPParser, methods } = createRequire(import.meta.url)("_http_common") as Common;
const constant = (name: string): number => HTTPParser[name] ?? Number.NaN;

/** The first message of these bytes as llhttp reads it, or the code of its error; undefined while its head is not whole. */
export function readWithLlhttp(kind: "REQUEST" | "RESPONSE", bytes: Buffer): Read | string | undefined {
  const parser = new HTTPParser();
  parser.initialize(constant(kind), {});
  let read: Read | undefined;
  let gathered: readonly string[] = [];
  let early: string | undefined;
  // Of many lines the first come here, and the target with them.
  parser[constant("kOnHeaders")] = (lines, target) => {
    early ||= toText(target);
    gathered = [...gathered, ...toStrings(lines)];
    return 0;
  };
  parser[constant("kOnHeadersComplete")] = (
    _major,
    _minor,
    lines,
    method,
    target,
    status,
    reason,
    upgrade,
    persistent,
  ) => {
    if (read !== undefined) return 0;
    read = {
      method: typeof method === "number" ? method : undefined,
      target: toText(target) ?? early,
      status: typeof status === "number" ? status : undefined,
      reason: toText(reason),
      lines: [...gathered, ...toStrings(lines)],
      ...{ persistent: persistent === true, isUpgrade: upgrade === true, body: "", trailers: [], isWhole: false },
    };
    gathered = [];
    return 0;
  };
  parser[constant("kOnBody")] = (chunk) => {
    if (read !== undefined && !read.isWhole && Buffer.isBuffer(chunk)) {
      read = { ...read, body: read.body + chunk.toString("latin1") };
    }
    return 0;
  };
  parser[constant("kOnMessageComplete")] = () => {
    if (read !== undefined && !read.isWhole) read = { ...read, trailers: gathered, isWhole: true };
    return 0;
  };
  const result = parser.execute(bytes);
  // What is wrong behind a whole message is the next one's affair.
  if (result instanceof Error && read?.isWhole !== true) return "code" in result ? String(result.code) : result.message;
  return read;
}

export function methodName(method: number | undefined): string | undefined {
  return method === undefined ? undefined : methods[method];
}

function toStrings(lines: unknown): readonly string[] {
  return Array.isArray(lines) ? lines.map(String) : [];
}

function toText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
