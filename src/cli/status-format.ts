import * as z from "zod";
import { type Diagnostic, formatDiagnostics } from "../config/diagnostics.ts";
import { createPaint } from "./paint.ts";

/** A diagnostic as the admin port tells it. */
export const diagnosticShape = z.object({
  severity: z.enum(["error", "warning"]),
  file: z.string(),
  line: z.number(),
  column: z.number(),
  path: z.string(),
  message: z.string(),
  fix: z.string().optional(),
});

const outcome = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("swapped"), revision: z.string(), previous: z.string() }),
  z.object({ kind: z.literal("unchanged") }),
  z.object({ kind: z.literal("rejected"), diagnostics: z.array(diagnosticShape) }),
]);

const status = z.object({
  status: z.string(),
  revision: z.string(),
  since: z.string(),
  /** When the copy was made that the process started on, where the files could not be used. */
  lastGoodCopy: z.string().optional(),
  lastReload: z.object({ atMs: z.number(), outcome }).optional(),
});

/** What `GET /readyz` says, as far as this command shows it. */
export type Status = z.infer<typeof status>;

export function parseStatus(body: unknown): Status | undefined {
  return status.safeParse(body).data;
}

/** Whether requests are taken, by the policy that the files say. */
export function isGood({ status: state, lastReload, lastGoodCopy }: Status): boolean {
  return state === "ready" && lastGoodCopy === undefined && lastReload?.outcome.kind !== "rejected";
}

export function formatStatus(shown: Status, nowMs: number, colour: boolean): string {
  const paint = createPaint(colour);
  const state = shown.status === "ready" ? paint.green("ready") : paint.yellow(shown.status);
  const since = `since ${shown.since} (${formatAge(nowMs - Date.parse(shown.since))} ago)`;
  const lines = [`${state}, revision ${paint.bold(shown.revision)} ${since}`];
  const { lastReload, lastGoodCopy } = shown;
  if (lastGoodCopy !== undefined) {
    lines.push(paint.yellow(`started on the last good copy, of ${lastGoodCopy}: the files could not be used`));
  }
  if (lastReload === undefined) return `${[...lines, "no reload since the start"].join("\n")}\n`;
  const at = `${new Date(lastReload.atMs).toISOString()} (${formatAge(nowMs - lastReload.atMs)} ago)`;
  switch (lastReload.outcome.kind) {
    case "swapped":
      lines.push(`last reload ${at}: taken up, in place of revision ${lastReload.outcome.previous}`);
      break;
    case "unchanged":
      lines.push(`last reload ${at}: nothing to take up, the files are the policy in force`);
      break;
    case "rejected":
      lines.push(`last reload ${at}: ${paint.red("rejected")}, the last good policy stays`, "");
      lines.push(formatDiagnostics(lastReload.outcome.diagnostics.map(toDiagnostic), { color: colour }));
      break;
    default:
      lastReload.outcome satisfies never;
  }
  return `${lines.join("\n")}\n`;
}

export function toDiagnostic({ fix, ...rest }: z.infer<typeof diagnosticShape>): Diagnostic {
  return fix === undefined ? rest : { ...rest, fix };
}

const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
];

/** An age in its largest unit; clocks of two machines may differ, so nothing is older than now. */
function formatAge(ms: number): string {
  const [name, unitMs] = UNITS.find(([, size]) => ms >= size) ?? ["s", 1000];
  return `${Math.max(0, Math.floor(ms / unitMs))} ${name}`;
}
