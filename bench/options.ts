import { parseArgs } from "node:util";
import { CONTENDERS } from "./contenders/all.ts";
import type { Contender } from "./contenders/contender.ts";

export interface Options {
  readonly contenders: readonly Contender[];
  readonly quick: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly json: string | undefined;
  /** Also what checks cost, growth, start and the parts; then docs/performance.md is written anew. */
  readonly docs: boolean;
  readonly growth: boolean;
  readonly install: boolean;
}

// Until a Node proxy is compiled as far as it will be, its compiler sharing the core.
const WARM_UP_SECONDS = 8;

export const USAGE = `Usage: npm run bench -- [options]

Measures Latchkey beside other proxies: CPU, throughput, latency, memory. Needs Linux, two cores, wrk and nginx.

  --only a,b       only these: ${CONTENDERS.map(({ name }) => name).join(", ")}
  --quick          one short round of everything: under two minutes, figures are rough
  --rounds N       rounds of saturation, alternating between the contenders (3)
  --seconds N      seconds of one measurement (4)
  --json FILE      write all figures there; SVG charts go beside it
  --growth         only Latchkey's cost against keys, routes, connections and body size
  --docs           everything, and write docs/performance.md and its charts anew
  --install        install what is missing with apt-get
`;

/** The options, or what is wrong with them. */
export function parseOptions(args: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        only: { type: "string" },
        quick: { type: "boolean", default: false },
        rounds: { type: "string" },
        seconds: { type: "string" },
        json: { type: "string" },
        docs: { type: "boolean", default: false },
        growth: { type: "boolean", default: false },
        install: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    const { quick, docs, growth, install, json } = values;
    const contenders = pickContenders(values.only);
    const rounds = Number(values.rounds ?? (quick ? 1 : 3));
    const seconds = Number(values.seconds ?? (quick ? 1 : 4));
    if (values.help) return USAGE;
    if (typeof contenders === "string") return contenders;
    if (!Number.isInteger(rounds) || rounds < 1) return "--rounds takes a whole number of at least 1\n";
    // wrk knows whole seconds only.
    if (!Number.isInteger(seconds) || seconds < 1) return "--seconds takes a whole number of at least 1\n";
    if (docs && values.only !== undefined) return "--docs is of all contenders; leave out --only\n";
    return {
      contenders,
      quick,
      rounds,
      seconds,
      warmUpSeconds: quick ? 1 : WARM_UP_SECONDS,
      json,
      docs,
      growth,
      install,
    };
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`;
  }
}

function pickContenders(only: string | undefined): readonly Contender[] | string {
  if (only === undefined) return CONTENDERS;
  const names = only.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !CONTENDERS.some((contender) => contender.name === name));
  if (unknown !== undefined) return `--only: there is no ${unknown}\n\n${USAGE}`;
  return CONTENDERS.filter(({ name }) => names.includes(name));
}
