import type { ContenderFigures, Growth, Report } from "../report.ts";
import { drawBars, drawLine } from "./chart.ts";

const GROWTH: Record<Growth["of"], { readonly title: string; readonly axis: string }> = {
  keys: { title: "CPU µs per request by number of keys", axis: "keys" },
  routes: { title: "CPU µs per request by number of routes", axis: "routes" },
  connections: { title: "CPU µs per request by client connections", axis: "connections" },
  body: { title: "CPU µs per request by size of the answer", axis: "bytes" },
};

/** Every chart that the report has figures for, by file name. */
export function toCharts({ contenders, growth }: Report): ReadonlyMap<string, string> {
  const charts = new Map<string, string>();
  if (contenders !== undefined) {
    const bars = (pick: (figures: ContenderFigures) => number) =>
      contenders.map((figures) => ({
        label: figures.label,
        value: pick(figures),
        ours: figures.name.startsWith("latchkey"),
      }));
    const cost = bars(({ saturated }) => saturated.cpuUs);
    const throughput = bars(({ saturated }) => saturated.perSecond);
    charts.set("cpu.svg", drawBars("CPU µs per request (less is better)", cost));
    charts.set("throughput.svg", drawBars("Requests per second on one core (more is better)", throughput));
  }
  for (const { of, points } of growth ?? []) {
    const { title, axis } = GROWTH[of];
    const line = points.map(({ at, cpuUs }) => ({ at, value: cpuUs }));
    charts.set(`growth-${of}.svg`, drawLine(title, axis, line));
  }
  return charts;
}
