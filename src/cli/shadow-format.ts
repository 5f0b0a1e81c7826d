import * as z from "zod";
import { formatDiagnostics } from "../config/diagnostics.ts";
import { diagnosticShape, toDiagnostic } from "./status-format.ts";

const row = z.object({
  outcome: z.enum(["would_allow", "would_deny"]),
  keyId: z.string().optional(),
  route: z.string(),
  reason: z.string(),
  count: z.number(),
  latest: z.string(),
});

const report = z.discriminatedUnion("state", [
  z.object({ state: z.literal("off") }),
  z.object({ state: z.literal("rejected"), file: z.string(), diagnostics: z.array(diagnosticShape) }),
  z.object({
    state: z.literal("comparing"),
    file: z.string(),
    live: z.string(),
    candidate: z.string(),
    since: z.string(),
    requests: z.object({ same: z.number(), wouldAllow: z.number(), wouldDeny: z.number(), undecided: z.number() }),
    rows: z.array(row),
    beyondRows: z.number(),
  }),
]);

/** What `GET /-/shadow` says, as far as this command shows it. */
export type Report = z.infer<typeof report>;

export function parseReport(body: unknown): Report | undefined {
  return report.safeParse(body).data;
}

/** Whether nothing is known to change if the candidate became the policy. */
export function isUneventful(shown: Report): boolean {
  if (shown.state !== "comparing") return shown.state === "off";
  return shown.requests.wouldAllow === 0 && shown.requests.wouldDeny === 0;
}

export function formatReport(shown: Report, colour: boolean): string {
  switch (shown.state) {
    case "off":
      return "There is no shadow policy. Name one in the config: shadow: candidate.yaml\n";
    case "rejected":
      return `${shown.file} cannot be used, so nothing is compared\n\n${formatDiagnostics(shown.diagnostics.map(toDiagnostic), { color: colour })}\n`;
    case "comparing":
      return formatComparing(shown);
    default:
      return shown satisfies never;
  }
}

function formatComparing({
  file,
  live,
  candidate,
  since,
  requests,
  rows,
  beyondRows,
}: Extract<Report, { state: "comparing" }>): string {
  const { same, wouldAllow, wouldDeny, undecided } = requests;
  const total = same + wouldAllow + wouldDeny + undecided;
  const lines = [
    `${file}, revision ${candidate}, beside revision ${live} since ${since}`,
    `${total} requests: ${same} the same, ${wouldDeny} would be denied, ${wouldAllow} would be allowed, ${undecided} undecided`,
  ];
  if (rows.length > 0) lines.push("", ...formatTable(rows));
  if (beyondRows > 0) lines.push(`and ${beyondRows} more requests, of more kinds than are told apart`);
  return `${lines.join("\n")}\n`;
}

type Row = z.infer<typeof row>;

const COLUMNS: readonly (readonly [title: string, text: (row: Row) => string])[] = [
  ["OUTCOME", ({ outcome }) => outcome.replace("_", " ")],
  ["KEY", ({ keyId }) => keyId ?? "-"],
  ["ROUTE", ({ route }) => route],
  ["REASON", ({ reason }) => reason],
  ["REQUESTS", ({ count }) => String(count)],
  ["LATEST", ({ latest }) => latest],
];

function formatTable(rows: readonly Row[]): readonly string[] {
  const cells = [COLUMNS.map(([title]) => title), ...rows.map((each) => COLUMNS.map(([, text]) => text(each)))];
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  return cells.map((line) =>
    line
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
