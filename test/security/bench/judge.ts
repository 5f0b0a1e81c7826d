import { readAnswers } from "./answers.ts";
import type { Arrival, Case, Statuses } from "./case.ts";
import { type Message, valuesOf } from "./message-reader.ts";
import type { Reached, Run } from "./run.ts";
import { CREDENTIALS, fillWords, IDENTITY_OF_KEY } from "./words.ts";

/** What went otherwise than the case allows; nothing when it held. */
export function judge(run: Run, reached: readonly Reached[]): readonly string[] {
  return [
    ...judgeAnswers(run),
    ...judgeArrivals(run, reached),
    ...reached.flatMap(({ message }) => judgeMessage(message, run)),
  ];
}

function judgeAnswers({ sent, tag, received }: Run): readonly string[] {
  const problems: string[] = [];
  const head = (typeof sent.send === "string" ? sent.send : (sent.send[0]?.bytes ?? "")).startsWith("HEAD ");
  const answers = readAnswers(received.bytes, received.ending === "closed", head);
  const statuses = answers.final.map(({ status }) => status);
  if (!fits(statuses, sent.answers)) {
    problems.push(`answered ${JSON.stringify(statuses)}, expected ${JSON.stringify(sent.answers)}`);
  }
  if (received.ending === "deadline") problems.push("no end of the answers in time");
  if (answers.rest !== "" && statuses.at(-1) !== 101) {
    problems.push(`bytes after the last answer: ${JSON.stringify(answers.rest.slice(0, 60))}`);
  }
  const last = answers.final.at(-1);
  if (sent.broken !== true && last?.whole === false) problems.push("the last answer broke off");
  if (sent.broken === true && last?.whole === true && last.status < 400)
    problems.push("a broken answer looks complete");
  for (const text of sent.client?.has ?? []) {
    if (!received.bytes.includes(fillWords(text, tag))) problems.push(`the client did not get ${JSON.stringify(text)}`);
  }
  for (const text of [...(sent.client?.lacks ?? []), ...Object.values(CREDENTIALS)]) {
    if (received.bytes.includes(fillWords(text, tag))) problems.push(`the client got ${JSON.stringify(text)}`);
  }
  return problems;
}

/** `0` in the expected list stands for an answer that may be left out. */
function fits(given: readonly number[], allowed: readonly Statuses[]): boolean {
  const [expected, ...further] = allowed;
  if (expected === undefined) return given.length === 0;
  const statuses = typeof expected === "number" ? [expected] : expected;
  const [status, ...rest] = given;
  if (status !== undefined && statuses.includes(status) && fits(rest, further)) return true;
  return statuses.includes(0) && fits(given, further);
}

function judgeArrivals(run: Run, reached: readonly Reached[]): readonly string[] {
  const { sent, tag } = run;
  const left = [...reached];
  const problems: string[] = [];
  for (const arrival of sent.upstream === "never" ? [] : sent.upstream) {
    const target = fillWords(arrival.target, tag);
    const at = left.findIndex(({ message }) => message.method === arrival.method && message.target === target);
    const [found] = at === -1 ? [] : left.splice(at, 1);
    if (found === undefined && arrival.maybe === true) continue;
    if (found === undefined) problems.push(`${arrival.method} ${arrival.target} did not reach the upstream`);
    else problems.push(...compare(arrival, found, run));
  }
  for (const { message } of left) {
    problems.push(`the upstream also received ${message.method} ${message.target} ${JSON.stringify(message.body)}`);
  }
  return problems;
}

function compare(arrival: Arrival, { message, tunnel }: Reached, { tag }: Run): readonly string[] {
  const problems: string[] = [];
  const body = fillWords(arrival.body ?? "", tag);
  if (message.complete && message.body !== body) {
    problems.push(`its body was ${JSON.stringify(message.body.slice(0, 200))}`);
  }
  if (arrival.complete !== "either" && message.complete !== (arrival.complete ?? true))
    problems.push(`complete: ${message.complete}`);
  for (const name of arrival.absent ?? []) {
    const alias = [...message.fields, ...message.trailers].find(([given]) => fold(given) === fold(name));
    if (alias !== undefined) problems.push(`${alias.join(": ")} reached the upstream`);
  }
  const identity = isPublic(arrival.target) ? {} : toValues(IDENTITY_OF_KEY);
  for (const [name, values] of Object.entries({ ...identity, ...arrival.present })) {
    const given = valuesOf(message.fields, name);
    const wanted = values.map((value) => fillWords(value, tag));
    if (JSON.stringify(given) !== JSON.stringify(wanted)) problems.push(`${name}: ${JSON.stringify(given)}`);
  }
  if (arrival.tunnel !== undefined && tunnel !== fillWords(arrival.tunnel, tag)) {
    problems.push(`the tunnel carried ${JSON.stringify(tunnel)}`);
  }
  return problems;
}

function isPublic(target: string): boolean {
  return target.startsWith("/public/");
}

function toValues(single: Readonly<Record<string, string>>): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(Object.entries(single).map(([name, value]) => [name, [value]]));
}

/** What holds of every message at the upstream, whatever the case. */
function judgeMessage(message: Message, { sent }: Run): readonly string[] {
  const problems = [...message.problems];
  const lines = [...message.fields, ...message.trailers];
  for (const [name, value] of lines) {
    if (/forged/i.test(value)) problems.push(`${name}: ${value} reached the upstream`);
    const folded = fold(name);
    if (folded.startsWith("x-latchkey-") && isPublic(message.target)) problems.push(`${name} on a public route`);
    if (name.toLowerCase() !== folded && isOurs(folded)) problems.push(`the alias ${name} reached the upstream`);
    if (isOurs(folded) && lines.filter(([other]) => fold(other) === folded).length > 1) problems.push(`two of ${name}`);
  }
  if (message.trailers.length > 0) problems.push("the upstream received trailers");
  const text = JSON.stringify(message);
  for (const [word, credential] of Object.entries(CREDENTIALS)) {
    if (text.includes(credential)) problems.push(`the credential {${word}} reached the upstream`);
  }
  const peer = sent.from ?? "127.0.0.1";
  if (!(valuesOf(message.fields, "x-forwarded-for")[0] ?? "").endsWith(peer))
    problems.push("X-Forwarded-For is not ours");
  return problems;
}

function isOurs(folded: string): boolean {
  return folded.startsWith("x-latchkey-") || folded.startsWith("x-forwarded-") || folded === "x-request-id";
}

/** What the loosest upstream makes of a header's name. */
function fold(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "-");
}

/** For people: a case with its advisory. */
export function titleOf({ name, advisory }: Case): string {
  return advisory === undefined ? name : `${advisory}: ${name}`;
}
