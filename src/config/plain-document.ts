import type { Path } from "./diagnostics.ts";
import type { OpenRecords, Position } from "./document.ts";
import { streamPlainRecords } from "./plain-records.ts";
import { parseYaml } from "./yaml-document.ts";

/** A YAML keys file of plain records, read some at a time. */
export function openPlainRecords(text: string): OpenRecords {
  const offsets: number[] = [];
  const lines: number[] = [];
  return {
    *read(batch) {
      offsets.length = 0;
      lines.length = 0;
      let records: unknown[] = [];
      const stream = streamPlainRecords(text);
      for (;;) {
        const step = stream.next();
        if (step.done === true) {
          if (records.length > 0) yield records;
          return step.value.kind === "end" && lines.length > 0;
        }
        offsets.push(step.value.offset);
        lines.push(step.value.line);
        records.push(step.value.record);
        if (records.length < batch) continue;
        yield records;
        records = [];
      }
    },
    recordLine: (index) => lines[index] ?? 0,
    locate: (path, part) => locate(text, offsets, lines, path, part),
  };
}

/** A place in a record is found by reading that record alone; anything else is the list around them. */
function locate(
  text: string,
  offsets: readonly number[],
  lines: readonly number[],
  path: Path,
  part: "value" | "name",
): Position | undefined {
  const [list, index, ...within] = path;
  const [start, line] = typeof index === "number" ? [offsets[index], lines[index]] : [];
  if (list !== "keys" || typeof index !== "number" || start === undefined || line === undefined) return undefined;
  const record = parseYaml(`keys:\n${text.slice(start, offsets[index + 1])}`);
  const place = record.kind === "read" ? record.locate(["keys", 0, ...within], part) : undefined;
  return place && { line: place.line + line - 2, column: place.column };
}
