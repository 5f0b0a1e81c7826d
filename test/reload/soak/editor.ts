import { setTimeout as pause } from "node:timers/promises";
import type { Program } from "../../e2e/harness.ts";
import { swapVolume } from "../changes.ts";
import { keysOf, mainYaml, recordOf, STEADY } from "../deployment.ts";
import { reload } from "../traffic.ts";
import { allows, type Ledger, LIVES, REMEMBERED } from "./ledger.ts";

export const rollingId = (rolling: number): string => `rolling${rolling}`;

type Volume = Readonly<Record<string, string>>;

/** Both files of a sound generation: steady keys, rolling ones that are in use, and some that were revoked. */
export function soundVolume(upstreamUrl: string, generation: number): Volume {
  const records = STEADY.map((id) => recordOf(id, generation));
  for (let rolling = Math.max(0, generation - LIVES - REMEMBERED); rolling <= generation; rolling += 1) {
    const status = allows(generation, rolling) ? "active" : "revoked";
    records.push(recordOf(rollingId(rolling), generation, status));
  }
  return { "latchkey.yaml": mainYaml(upstreamUrl, generation, "keys.yaml"), "keys.yaml": keysOf(records) };
}

// A request that any broken generation answers is told apart from every sound one.
const BROKEN_OFFSET = 1_000_000;

/** What goes wrong with files, one way after another. */
const BREAKAGES: readonly ((volume: Volume) => Volume)[] = [
  ({ "latchkey.yaml": main = "", "keys.yaml": keys = "" }) => ({
    "latchkey.yaml": main,
    // In the middle of a record: what remains is no YAML.
    "keys.yaml": keys.slice(0, keys.lastIndexOf("hash")),
  }),
  ({ "latchkey.yaml": main = "" }) => ({ "latchkey.yaml": main, "keys.yaml": "" }),
  ({ "latchkey.yaml": main = "" }) => ({ "latchkey.yaml": main }),
  ({ "latchkey.yaml": main = "", "keys.yaml": keys = "" }) => ({
    "latchkey.yaml": main.replace("routes:", "roots:"),
    "keys.yaml": keys,
  }),
  ({ "keys.yaml": keys = "" }) => ({ "latchkey.yaml": "", "keys.yaml": keys }),
  ({ "latchkey.yaml": main = "", "keys.yaml": keys = "" }) => ({
    "latchkey.yaml": main,
    "keys.yaml": keys + recordOf(STEADY[0], 0),
  }),
];

export interface Editor {
  /** Changes the files every so often until the signal; resolves when the last change is made. */
  readonly run: (everyMs: number, signal: AbortSignal) => Promise<Edits>;
}

export interface Edits {
  readonly sound: number;
  readonly broken: number;
}

export function createEditor(
  volume: string,
  upstreamUrl: string,
  program: Program,
  ledger: Ledger,
  problems: string[],
  nowMs: () => number,
): Editor {
  /** Tells the program of a change in one of three ways: by asking, by a signal, or not at all. */
  const tell = async (turn: number, expected: readonly string[]): Promise<boolean> => {
    if (turn % 3 === 1) program.process.kill("SIGHUP");
    if (turn % 3 !== 0) return false;
    const outcome = await reload(program);
    if (!expected.includes(String(outcome)))
      problems.push(`change ${turn} was ${outcome}, not ${expected.join(" or ")}`);
    return true;
  };

  return {
    run: async (everyMs, signal) => {
      const startedMs = nowMs();
      let broken = 0;
      let turn = 0;
      for (; !signal.aborted; turn += 1) {
        if (turn % 4 === 3) {
          const breakUp = BREAKAGES[broken % BREAKAGES.length] ?? ((whole: Volume) => whole);
          broken += 1;
          await swapVolume(volume, breakUp(soundVolume(upstreamUrl, BROKEN_OFFSET + broken)));
          await tell(turn, ["rejected"]);
        } else {
          const generation = ledger.offer();
          await swapVolume(volume, soundVolume(upstreamUrl, generation));
          // The watcher may have taken it up by itself before it was asked.
          if (await tell(turn, ["swapped", "unchanged"])) ledger.confirm(generation, nowMs());
        }
        await pause(Math.max(0, startedMs + (turn + 1) * everyMs - nowMs()));
      }
      return { sound: turn - broken, broken };
    },
  };
}
