import type { Source } from "../policy/route.ts";
import type { CheckResult, CheckState } from "./checks.ts";
import type { Explanation, Outcome } from "./explain-request.ts";
import { createPaint, type Paint } from "./paint.ts";

const STATE_WORDS: Record<CheckState, string> = {
  passed: "pass",
  refused: "REFUSE",
  unmatched: "none",
  skipped: "skip",
  "not reached": "·",
};

/** An explanation for people: the checks from top to bottom, then what is answered or forwarded. */
export function formatExplanation(explanation: Explanation, asked: string, colour: boolean): string {
  const paint = createPaint(colour);
  const lines = [paint.bold(asked), "", ...explanation.checks.map((result) => formatCheck(result, paint)), ""];
  for (const note of explanation.notes) lines.push(`Note: ${note}`, "");
  lines.push(...formatOutcome(explanation, paint));
  return `${lines.join("\n")}\n`;
}

const STATE_WIDTH = 8;
const CHECK_WIDTH = 12;

function formatCheck({ check, state, detail, source }: CheckResult, paint: Paint): string {
  const word = paintState(state, STATE_WORDS[state].padEnd(STATE_WIDTH), paint);
  const place = source === undefined || state === "not reached" ? "" : paint.dim(`  [${formatSource(source)}]`);
  return `  ${word}${check.padEnd(CHECK_WIDTH)}${state === "not reached" ? paint.dim("not reached") : detail}${place}`.trimEnd();
}

function paintState(state: CheckState, text: string, paint: Paint): string {
  switch (state) {
    case "passed":
      return paint.green(text);
    case "refused":
      return paint.red(text);
    case "unmatched":
      return paint.yellow(text);
    case "skipped":
    case "not reached":
      return paint.dim(text);
    default:
      return state satisfies never;
  }
}

export function formatSource({ file, line }: Source): string {
  return line === 0 ? file : `${file}:${line}`;
}

function formatOutcome({ decision, outcome }: Explanation, paint: Paint): readonly string[] {
  if (outcome.kind === "refused") {
    const reason = decision.kind === "deny" ? decision.reason : "";
    return [
      `${paint.red("Refused")}: ${reason}. The client is answered:`,
      "",
      `  HTTP/1.1 ${outcome.status} ${outcome.statusText}`,
      ...formatHeaders(outcome.headers),
      "",
      `  ${outcome.body}`,
    ];
  }
  if (outcome.kind === "operation") {
    const { operation, id } = outcome;
    return [
      `${paint.green("Allowed")}. Latchkey itself would ${operation} the key ${id}; the upstream hears nothing of it.`,
    ];
  }
  const added = outcome.responseHeaders;
  return [
    `${paint.green("Allowed")}. The upstream receives:`,
    "",
    `  ${outcome.method} ${outcome.target} HTTP/1.1`,
    ...formatHeaders(outcome.headers),
    ...(added.length === 0 ? [] : ["", "and to its answer is added:", "", ...formatHeaders(added)]),
  ];
}

function formatHeaders(headers: readonly string[]): readonly string[] {
  return toPairs(headers).map(([name, value]) => `  ${name}: ${value}`);
}

function toPairs(headers: readonly string[]): readonly (readonly [string, string])[] {
  return headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1] ?? ""] as const] : []));
}

/** An explanation for programs; the shape is part of the command's contract. */
export function explanationToJson({ decision, checks, outcome, notes }: Explanation, revision: string) {
  return {
    decision: decision.kind,
    reason: decision.kind === "deny" ? decision.reason : null,
    route: decision.route?.match ?? null,
    keyId: decision.principal?.key.id ?? null,
    revision,
    checks: checks.map(({ check, state, detail, source }) => ({ check, state, detail, source: source ?? null })),
    ...outcomeToJson(outcome),
    notes,
  };
}

function outcomeToJson(outcome: Outcome) {
  if (outcome.kind === "refused") {
    const { status, headers, body } = outcome;
    return { response: { status, headers: toPairs(headers), body } };
  }
  if (outcome.kind === "operation") return { operation: { name: outcome.operation, keyId: outcome.id } };
  const { method, target, headers, responseHeaders } = outcome;
  return { upstream: { method, target, headers: toPairs(headers) }, addedToResponse: toPairs(responseHeaders) };
}
