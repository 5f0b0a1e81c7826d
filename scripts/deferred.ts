import type { Plugin } from "esbuild";

/**
 * What stands in the bundle in place of modules that few starts need, and loads them at their first use. A name that is
 * missing here fails the build.
 */
const SUBSTITUTES: ReadonlyMap<string, string> = new Map([
  // Takes 5 MB and 11 ms, whether or not anything is encrypted.
  [
    "node:tls",
    `export const connect = (...args) => require("node:tls").connect(...args);
     export const createSecureContext = (...args) => require("node:tls").createSecureContext(...args);
     export const createServer = (...args) => require("node:tls").createServer(...args);
     export const Server = { [Symbol.hasInstance]: (value) => value instanceof require("node:tls").Server };`,
  ],
  ["node:https", `export const get = (...args) => require("node:https").get(...args);`],
  // Begins with HTTP/2, TLS and more. `createUpgradeForwarder` is the only one that calls it.
  ["http-proxy-3", `export const createProxyServer = (...args) => require("http-proxy-3").createProxyServer(...args);`],
  // Its index also loads what pushes metrics elsewhere, and with it TLS; its sums load `node:cluster`.
  [
    "prom-client",
    `export { default as Counter } from "prom-client/lib/counter.js";
     export { default as Gauge } from "prom-client/lib/gauge.js";
     export { default as Histogram } from "prom-client/lib/histogram.js";
     export { default as Registry } from "prom-client/lib/registry.js";
     export { default as collectDefaultMetrics } from "prom-client/lib/defaultMetrics.js";
     export const AggregatorRegistry = {
       aggregate: (...args) => require("prom-client/lib/cluster.js").aggregate(...args),
     };`,
  ],
]);

export const deferred: Plugin = {
  name: "deferred",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^(?:node:tls|node:https|http-proxy-3|prom-client)$/ }, ({ path, kind, importer }) =>
      kind === "import-statement" && !importer.includes("node_modules") ? { path, namespace: "deferred" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "deferred" }, ({ path }) => ({
      contents: SUBSTITUTES.get(path) ?? "",
      resolveDir: process.cwd(),
    }));
  },
};
