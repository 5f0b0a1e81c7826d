import type { AccessChange } from "../config/access-diff.ts";
import { describeChanges, describeDiff } from "../config/policy-diff.ts";
import type { Comparison } from "./compare-configs.ts";
import { createPaint, type Paint } from "./paint.ts";

/** A comparison for programs. */
export function comparisonToJson({ old, next, same, policy, settings, access, refusals }: Comparison) {
  const { lines, ...changes } = { lines: describeDiff(policy), ...policy };
  return {
    same,
    old: { file: old.file, revision: old.configuration.policy.revision },
    new: { file: next.file, revision: next.configuration.policy.revision },
    described: [...lines, ...describeChanges(settings)],
    changes,
    settings,
    access: access.map(({ keyId, gained, lost, lostAll }) => ({ key: keyId ?? null, gained, lost, lostAll })),
    refusals,
  };
}

/** A comparison for people: what changes, who can do more or less, and whether a reload would be refused. */
export function formatComparison(comparison: Comparison, colour: boolean): string {
  const paint = createPaint(colour);
  const { old, next, same, policy, settings, access, refusals } = comparison;
  const [from, to] = [old.configuration.policy.revision, next.configuration.policy.revision];
  const revisions = from === to ? from : `${from} → ${to}`;
  if (same) return `${old.file} and ${next.file} mean the same (revision ${revisions})\n`;
  const changes = [...describeDiff(policy), ...describeChanges(settings)];
  const sections = [
    paint.bold(`${old.file} → ${next.file}, revision ${revisions}`),
    ["Changes", ...changes.map((line) => `  ${line}`)].join("\n"),
    ["Access", ...formatAccess(access, paint)].join("\n"),
    ...refusals.map(
      ({ message, fix }) =>
        `${paint.yellow("A running Latchkey would refuse this reload.")}\n  ${message}\n  ${fix ?? ""}`,
    ),
  ];
  return `${sections.join("\n\n")}\n`;
}

// Names beyond this hide the number that matters; --json has them all.
const MAX_NAMES = 5;
// A change of access for more groups than this is not read line by line.
const MAX_GROUPS = 40;

function formatAccess(access: readonly AccessChange[], paint: Paint): readonly string[] {
  if (access.length === 0) return ["  nobody gains or loses access to a route"];
  const groups = Map.groupBy(access, ({ gained, lost, lostAll }) => JSON.stringify([gained, lost, lostAll]));
  const lines = [...groups.values()].flatMap((group) => formatGroup(group, paint));
  if (lines.length <= MAX_GROUPS) return lines;
  return [...lines.slice(0, MAX_GROUPS), `  and ${lines.length - MAX_GROUPS} more lines; --json has them all`];
}

/** Callers whose access changes alike, on one line for what they lose and one for what they gain. */
function formatGroup(group: readonly AccessChange[], paint: Paint): readonly string[] {
  const [first] = group;
  if (first === undefined) return [];
  const who = nameCallers(group.map(({ keyId }) => keyId));
  const verb = (text: string) => (group.length === 1 ? `${text}s` : text);
  const all = first.lostAll ? "everything: " : "";
  return [
    ...(first.lost.length === 0 ? [] : [`  ${paint.red("-")} ${who} ${verb("lose")} ${all}${first.lost.join("; ")}`]),
    ...(first.gained.length === 0 ? [] : [`  ${paint.green("+")} ${who} ${verb("gain")} ${first.gained.join("; ")}`]),
  ];
}

function nameCallers(ids: readonly (string | undefined)[]): string {
  if (ids.length > MAX_NAMES) return `${ids.length} keys`;
  return ids.map((id) => (id === undefined ? "a caller without a key" : `\`${id}\``)).join(", ");
}
