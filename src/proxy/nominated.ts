import { type FieldKind, type FieldLines, toFieldName } from "../http1/fields.ts";

/**
 * The lines but for `Connection` and for all it names (RFC 9110 §7.6.1). `kept`: fields that stay although they are
 * named, since they are no option of a connection.
 */
export function withoutNominated(lines: readonly string[], kept: ReadonlySet<FieldKind>): FieldLines {
  const nominated = new Set(["connection"]);
  for (let index = 0; index < lines.length; index += 2) {
    if (toFieldName(lines[index] ?? "").kind !== "connection") continue;
    for (const option of (lines[index + 1] ?? "").split(",")) nominated.add(option.trim().toLowerCase());
  }
  return lines.filter((_, index) => {
    const { lower, kind } = toFieldName(lines[index - (index % 2)] ?? "");
    return kept.has(kind) || !nominated.has(lower);
  });
}
