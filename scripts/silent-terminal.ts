import type { Terminal } from "../src/cli/terminal.ts";

/** A terminal that nobody sits at: for who wants the program's commands described and not run. */
export const SILENT_TERMINAL: Terminal = {
  env: {},
  cwd: "/",
  out: () => {},
  deliver: async () => undefined,
  err: () => {},
  interactive: false,
  colour: false,
  ask: async () => "",
  readInput: async () => "",
  onStop: () => {},
  onHangUp: () => {},
  onExit: () => {},
};
