import type { Report } from "../report.ts";
import {
  describe,
  toCostTable,
  toJobTable,
  toLatencyTable,
  toMemoryTable,
  toMicroTable,
  toStartTable,
  toTargetTable,
} from "./tables.ts";

/** The sections of docs/performance.md that are made of a report. */
function toSections({ circumstances, contenders, checks, start, micro }: Report): Readonly<Record<string, string>> {
  return {
    circumstances: describe(circumstances),
    jobs: toJobTable(contenders ?? []),
    cost: toCostTable(contenders ?? []),
    latency: toLatencyTable(contenders ?? []),
    memory: toMemoryTable(contenders ?? []),
    targets: toTargetTable(contenders ?? [], checks),
    start: toStartTable(start ?? []),
    parts: toMicroTable(micro ?? []),
  };
}

/** The page with every section between its markers written anew; one that is missing or unknown is an error. */
export function renderPage(page: string, report: Report): string {
  const sections = toSections(report);
  const left = new Set(Object.keys(sections));
  const rendered = page.replaceAll(
    /(<!-- bench:(\w+) -->\n)[\s\S]*?(<!-- end of bench:\2 -->)/g,
    (_, begin: string, name: string, end: string) => {
      const section = sections[name];
      if (section === undefined) throw new Error(`the page asks for ${name}, which no report has`);
      left.delete(name);
      return `${begin}\n${section}\n\n${end}`;
    },
  );
  if (left.size > 0) throw new Error(`the page has no place for ${[...left].join(", ")}`);
  return rendered;
}
