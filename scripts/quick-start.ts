import type { Plugin } from "esbuild";

/**
 * `node:http` by `require`. An `import` of one of Node's modules reads all of its exports, and among those of
 * `node:http` are getters that load the undici inside Node: 20 ms of every start. A name that is missing here
 * fails the build.
 */
export const requireHttp: Plugin = {
  name: "require-http",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^node:http$/ }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "required" } : undefined,
    );
    onLoad({ filter: /^node:http$/, namespace: "required" }, () => ({
      contents: `export const { createServer, get, IncomingMessage, METHODS, STATUS_CODES } = require("node:http");`,
    }));
  },
};
