import type { Overrides } from "../config/load.ts";
import type { Terminal } from "./terminal.ts";

type Overridden = keyof Overrides;

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
