import type { Case, Part, Setup } from "./case.ts";
import { type Received, sendBytes } from "./client.ts";
import type { Message } from "./message-reader.ts";
import type { RecordingUpstream } from "./recording-upstream.ts";
import { fillWords } from "./words.ts";

/** A case as it went. */
export interface Run {
  readonly sent: Case;
  readonly tag: string;
  readonly received: Received;
}

/** Something that listens in front of a recording upstream. */
export interface Front {
  readonly port: number;
  readonly upstream: RecordingUpstream;
}

/** One message at the upstream and what was tunnelled after it. */
export interface Reached {
  readonly message: Message;
  readonly tunnel: string;
}

const AT_ONCE = 16;

/** Runs every case, some at a time, and resolves when all were answered or given up. */
export async function runCases(
  cases: readonly Case[],
  fronts: Readonly<Record<Setup, Front>>,
  deadlineMs: number,
): Promise<readonly Run[]> {
  const runs: Run[] = [];
  const waiting = cases.entries();
  const work = async (): Promise<void> => {
    for (const [index, sent] of waiting) {
      runs[index] = await runCase(sent, toTag(index), fronts, deadlineMs);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return runs;
}

/** As long as `{tag}`, so that a template's own lengths hold, and in no id or digest by chance. */
function toTag(index: number): string {
  return `Q${String(index).padStart(4, "0")}`;
}

async function runCase(
  sent: Case,
  tag: string,
  fronts: Readonly<Record<Setup, Front>>,
  deadlineMs: number,
): Promise<Run> {
  const { port, upstream } = fronts[sent.setup ?? "plain"];
  if (sent.reply !== undefined) {
    upstream.script(tag, { ...sent.reply, bytes: fillWords(sent.reply.bytes, tag) });
  }
  const parts: readonly Part[] = typeof sent.send === "string" ? [{ bytes: sent.send }] : sent.send;
  const received = await sendBytes({
    port,
    from: sent.from,
    parts: parts.map((part) => ({ ...part, bytes: fillWords(part.bytes, tag) })),
    ending: sent.ending ?? "wait",
    until: sent.until === undefined ? undefined : fillWords(sent.until, tag),
    deadlineMs,
  });
  return { sent, tag, received };
}

/** Every message at any of these upstreams that holds the tag: a forged one holds it as well as the true one. */
export function findReached(tag: string, upstreams: Iterable<RecordingUpstream>): readonly Reached[] {
  const found: Reached[] = [];
  for (const { connections } of upstreams) {
    for (const { messages, tunnel, bytes } of connections) {
      if (!bytes.includes(tag)) continue;
      for (const message of messages) {
        if (JSON.stringify(message).includes(tag)) found.push({ message, tunnel });
      }
    }
  }
  return found;
}
