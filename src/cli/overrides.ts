import type { Overrides } from "../config/load.ts";
import { type Parsed, parseAdminAddress, parseSocketAddress, parseUpstream, parseWorkers } from "../config/values.ts";
import type { Terminal } from "./terminal.ts";

type Overridden = keyof Overrides;

const NAMES: readonly Overridden[] = ["listen", "upstream", "admin", "workers"];

/** Flags of the names that `serve` gives them. */
export type OverrideFlags = { readonly [name in Overridden]?: string };

/** For the help of commands that judge a config as `serve` would. */
export const OVERRIDES_NOTE =
  "As for serve, LATCHKEY_LISTEN, LATCHKEY_UPSTREAM, LATCHKEY_ADMIN and LATCHKEY_WORKERS beat the file.";

/** What flags and environment say over the file, each blamed under its own name. */
export function toOverrides(flags: OverrideFlags, env: Terminal["env"]): Overrides {
  const pick = (name: Overridden) => {
    const flag = flags[name];
    if (flag !== undefined) return { value: flag, origin: `--${name}` };
    const variable = `LATCHKEY_${name.toUpperCase()}`;
    const value = env[variable];
    return value === undefined || value === "" ? undefined : { value, origin: variable };
  };
  return { listen: pick("listen"), upstream: pick("upstream"), admin: pick("admin"), workers: pick("workers") };
}

const PARSERS: Readonly<Record<Overridden, (text: string) => Parsed<unknown>>> = {
  listen: parseSocketAddress,
  upstream: parseUpstream,
  admin: parseAdminAddress,
  workers: parseWorkers,
};

/** What a flag takes, where it was given something else; undefined where all make sense. */
export function findFlagProblem(flags: OverrideFlags): string | undefined {
  for (const name of NAMES) {
    const flag = flags[name];
    const parsed = flag === undefined ? undefined : PARSERS[name](flag);
    if (parsed?.kind === "problem") return `--${name} takes ${parsed.problem}`;
  }
  return undefined;
}
