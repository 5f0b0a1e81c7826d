import { setTimeout as pause } from "node:timers/promises";
import type { LogLine, Program } from "../../e2e/harness.ts";
import type { Sent } from "./tracker.ts";

const LOGGED_WITHIN_MS = 10_000;

/** What the log says otherwise than the clients saw: each request stands in it once, by a policy that was in force. */
export async function findLogProblems(program: Program, all: readonly Sent[]): Promise<readonly string[]> {
  const deadlineMs = performance.now() + LOGGED_WITHIN_MS;
  let lines = requestLines(program);
  while (lines.length < all.length && performance.now() < deadlineMs) {
    await pause(100);
    lines = requestLines(program);
  }
  const byId = new Map<unknown, LogLine[]>();
  for (const line of lines) byId.set(line["requestId"], [...(byId.get(line["requestId"]) ?? []), line]);
  const problems: string[] = [];
  const known = knownRevisions(program);
  const generations = new Map<unknown, number>();
  for (const sent of all) {
    const own = byId.get(sent.requestId) ?? [];
    byId.delete(sent.requestId);
    const [line = {}] = own;
    const complain = (problem: string) => problems.push(`${sent.requestId} ${sent.kind}: ${problem}`);
    if (sent.ended === undefined) complain("never ended");
    if (own.length !== 1) {
      complain(`${own.length} log lines, answered ${sent.status}, ${sent.ended}: ${JSON.stringify(own)}`);
      continue;
    }
    const told = line["status"];
    // Where the other side went away, the log has no status.
    if (told !== sent.status && told !== 0) complain(`answered ${sent.status}, logged as ${told}`);
    if (!known.has(line["revision"])) complain(`answered by ${line["revision"]}, which was never in force`);
    if (sent.generation === undefined) continue;
    const generation = generations.get(line["revision"]) ?? sent.generation;
    generations.set(line["revision"], generation);
    if (generation !== sent.generation) complain(`one revision is generation ${generation} and ${sent.generation}`);
  }
  for (const [id, own] of byId) problems.push(`${own.length} log lines of a request nobody sent: ${id}`);
  return problems;
}

function requestLines(program: Program): readonly LogLine[] {
  return program.lines.filter(({ msg }) => msg === "request" || msg === "request denied");
}

function knownRevisions(program: Program): ReadonlySet<unknown> {
  const reloads = program.lines.filter(({ msg }) => msg === "policy reloaded");
  return new Set(reloads.flatMap(({ revision, previous }) => [revision, previous]));
}
