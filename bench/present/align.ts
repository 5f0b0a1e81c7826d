type Side = "left" | "right";

/** A Markdown table that reads well unrendered too. Columns with a title hold figures, but for the first. */
export function alignTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  sides: readonly Side[] = head.map((title, column) => (column === 0 || title === "" ? "left" : "right")),
): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const toLine = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => fill(cells[column] ?? "", width, sides[column])).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    sides[column] === "right" ? `${"-".repeat(width - 1)}:` : "-".repeat(width),
  );
  return [toLine(head), `| ${rule.join(" | ")} |`, ...rows.map(toLine)].join("\n");
}

const fill = (text: string, width: number, side: Side | undefined): string =>
  side === "right" ? text.padStart(width) : text.padEnd(width);
