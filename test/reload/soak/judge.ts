import { median, type Sample, slopeAMinute } from "./gauges.ts";
import type { SoakResult } from "./soak.ts";

// What remains open after the last request differs by a few: connections to the upstream that are kept for the next.
const DESCRIPTORS_LEFT = 4;
// Between the middle and the last third of the time. A leak of 1 KiB a request would be far more in ten minutes.
const GROWTH_MB = 24;
// Until then the heap grows to the size it then keeps.
const WARM_AFTER_MS = 120_000;
const WARMING_MB = 80;
// Enough to see what kind of thing went wrong.
const TOLD = 20;

/** All that a soak must not show, in words. */
export function judge(result: SoakResult): readonly string[] {
  const { problems, before, after, during } = result;
  const found = problems.slice(0, TOLD);
  if (problems.length > TOLD) found.push(`and ${problems.length - TOLD} more problems`);
  const left = (name: string, of: (sample: Sample) => number, allowed: number): void => {
    const surplus = of(after) - of(before);
    if (surplus > allowed) found.push(`${surplus} more ${name} after the last request than before the first`);
  };
  left("file descriptors", ({ descriptors }) => descriptors, DESCRIPTORS_LEFT);
  left("active handles", ({ handles }) => handles, DESCRIPTORS_LEFT);
  left("active resources", ({ resources }) => resources, DESCRIPTORS_LEFT);
  left("upgraded connections", ({ upgrades }) => upgrades, 0);
  const growth = growthMb(during);
  const lastedMs = (during.at(-1)?.atMs ?? 0) - before.atMs;
  if (!(growth <= (lastedMs < WARM_AFTER_MS ? WARMING_MB : GROWTH_MB)))
    found.push(`resident memory grew by ${growth.toFixed(1)} MB in a third of the time`);
  return found;
}

/** From the middle third of the time to the last; the first third is warming up. */
function growthMb(during: readonly Sample[]): number {
  const third = Math.floor(during.length / 3);
  const rss = (samples: readonly Sample[]) => median(samples.map(({ rssMb }) => rssMb));
  return rss(during.slice(-third)) - rss(during.slice(third, 2 * third));
}

/** The figures worth writing down. */
export function describeFigures(result: SoakResult): readonly string[] {
  const { requests, statuses, edits, during, before, after } = result;
  const settled = during.slice(Math.floor(during.length / 3));
  const peak = (of: (sample: Sample) => number) => Math.max(...during.map(of));
  const show = ({ rssMb, heapMb, descriptors, handles, resources }: Sample) =>
    `RSS ${rssMb.toFixed(0)} MB, heap ${heapMb.toFixed(0)} MB, ${descriptors} descriptors, ${handles} handles, ${resources} resources`;
  return [
    `requests ${JSON.stringify(requests)}, statuses ${JSON.stringify(statuses)}`,
    `changes: ${edits.sound} sound, ${edits.broken} broken; upstream restarts: ${result.restarts}`,
    `cut ${result.cut}; excused by an outage ${result.excused}; problems ${result.problems.length}`,
    `before: ${show(before)}`,
    `peak: RSS ${peak(({ rssMb }) => rssMb).toFixed(0)} MB, ${peak(({ descriptors }) => descriptors)} descriptors`,
    `after: ${show(after)}`,
    `RSS slope over the last two thirds: ${slopeAMinute(settled, ({ rssMb }) => rssMb).toFixed(2)} MB a minute`,
    `heap slope over the last two thirds: ${slopeAMinute(settled, ({ heapMb }) => heapMb).toFixed(2)} MB a minute`,
  ];
}
