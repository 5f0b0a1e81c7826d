import { parseArgs } from "node:util";
import { describeFigures, judge } from "../test/reload/soak/judge.ts";
import { soak } from "../test/reload/soak/soak.ts";

// Mixed traffic at a steady rate while the files change every 200 ms, one change in four broken. Needs dist/.
const { values } = parseArgs({
  options: { seconds: { type: "string", default: "600" }, rate: { type: "string", default: "150" } },
});
const result = await soak({
  seconds: Number(values.seconds),
  requestsASecond: Number(values.rate),
  report: (line) => console.log(line),
});
for (const figure of describeFigures(result)) console.log(figure);
const problems = judge(result);
for (const problem of problems) console.log(`PROBLEM ${problem}`);
process.exit(problems.length === 0 ? 0 : 1);
