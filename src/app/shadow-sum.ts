import type { ShadowNumbers, ShadowRow } from "../proxy/shadow.ts";

/** What several threads compared, as if one had; undefined where none compares. */
export function sumShadowNumbers(parts: readonly (ShadowNumbers | undefined)[]): ShadowNumbers | undefined {
  const known = parts.filter((part) => part !== undefined);
  if (known.length === 0) return undefined;
  const rows = new Map<string, ShadowRow>();
  for (const row of known.flatMap((part) => part.rows)) {
    const name = JSON.stringify([row.outcome, row.reason, row.keyId, row.route]);
    const other = rows.get(name);
    const count = row.count + (other?.count ?? 0);
    rows.set(name, { ...row, count, latestMs: Math.max(row.latestMs, other?.latestMs ?? 0) });
  }
  const total = (of: keyof ShadowNumbers["totals"]) => known.reduce((sum, { totals }) => sum + totals[of], 0);
  return {
    totals: {
      same: total("same"),
      wouldAllow: total("wouldAllow"),
      wouldDeny: total("wouldDeny"),
      undecided: total("undecided"),
    },
    rows: [...rows.values()].sort((one, other) => other.count - one.count),
    beyondRows: known.reduce((sum, { beyondRows }) => sum + beyondRows, 0),
  };
}
