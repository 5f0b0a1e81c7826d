import { resolve } from "node:path";
import type { Plugin } from "esbuild";

/** Builds the program with the forwarder our own is held against, so that the tests can be run over both. */
export const overUndici: Plugin = {
  name: "over-undici",
  setup: ({ onResolve }) => {
    onResolve({ filter: /\/socket-forwarder\.ts$/ }, ({ importer }) =>
      // It leaves to ours what it does not do.
      importer.endsWith("undici-forwarder.ts") ? undefined : { path: resolve("test/oracle/undici-forwarder.ts") },
    );
  },
};
