import { parseAddress } from "../policy/network.ts";
import type { Question, QuestionKey } from "./explain-request.ts";
import { parseMoment } from "./instant.ts";

/** What was typed. */
export interface AskedFlags {
  readonly method: string;
  readonly path: string;
  readonly key?: string;
  readonly keyId?: string;
  readonly address: string;
  readonly header: readonly string[];
  readonly https?: true;
  readonly at?: string;
  readonly times: string;
}

export type ParsedQuestion =
  | { readonly kind: "question"; readonly question: Question }
  | { readonly kind: "problem"; readonly problem: string };

const METHOD = /^[A-Za-z][A-Za-z-]*$/;
// RFC 9110 §5.6.2 for the name; a value holds no control byte.
const HEADER = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;
// Enough to exhaust any limit a config would be tried with, and over in a moment.
const MAX_TIMES = 1_000_000;

/** Understands a described request; `input` is standard input where the key stands there. */
export function toQuestion(flags: AskedFlags, input: string, nowMs: number): ParsedQuestion {
  if (!METHOD.test(flags.method)) return problem(`expected a request method such as GET, found '${flags.method}'`);
  if (flags.path === "" || /[\s]/.test(flags.path)) return problem("expected a path without blanks, such as /orders");
  if (flags.key !== undefined && flags.keyId !== undefined) return problem("--key and --key-id exclude each other");
  const address = parseAddress(flags.address);
  if (address === undefined) return problem(`--address takes an IPv4 or IPv6 address, not '${flags.address}'`);
  const atMs = flags.at === undefined ? nowMs : parseMoment(flags.at, nowMs);
  if (atMs === undefined)
    return problem(`--at takes an instant such as 2027-01-01T00:00:00Z or a duration such as 30d`);
  const times = Number(flags.times);
  if (!Number.isInteger(times) || times < 1 || times > MAX_TIMES) return problem("--times takes a number from 1 on");
  const headers: (readonly [string, string])[] = [];
  for (const [index, line] of flags.header.entries()) {
    const [, name, value] = HEADER.exec(line) ?? [];
    // The line itself may hold a key, so it is named by its place.
    if (name === undefined || value === undefined) return problem(`--header ${index + 1} is not "Name: value"`);
    headers.push([name, value.trim()]);
  }
  const key = toKey(flags, input);
  if (key.kind === "credential" && key.credential === "") return problem("the key is empty");
  return {
    kind: "question",
    question: {
      method: flags.method,
      target: flags.path,
      key,
      address,
      headers,
      https: flags.https === true,
      atMs,
      times,
    },
  };
}

function problem(text: string): ParsedQuestion {
  return { kind: "problem", problem: text };
}

function toKey({ key, keyId }: AskedFlags, input: string): QuestionKey {
  if (keyId !== undefined) return { kind: "id", id: keyId };
  if (key === undefined) return { kind: "none" };
  return { kind: "credential", credential: key === "-" ? input.trim() : key };
}
