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
  // For bcrypt, several workers and large files. Threads themselves have it loaded, and need more of it.
  [
    "node:worker_threads",
    `export function Worker(...args) { return new (require("node:worker_threads").Worker)(...args); }`,
  ],
  // Its file handles bring in readline, the history of the REPL and more: a megabyte. The rest of it is the same as this.
  [
    "node:fs/promises",
    `import * as fs from "node:fs";
     import { promisify } from "node:util";
     export const chmod = promisify(fs.chmod);
     export const mkdir = promisify(fs.mkdir);
     export const mkdtemp = promisify(fs.mkdtemp);
     export const open = (...args) => require("node:fs/promises").open(...args);
     export const readdir = promisify(fs.readdir);
     export const readFile = promisify(fs.readFile);
     export const readlink = promisify(fs.readlink);
     export const realpath = promisify(fs.realpath.native);
     export const rename = promisify(fs.rename);
     export const rm = promisify(fs.rm);
     export const stat = promisify(fs.stat);
     export const symlink = promisify(fs.symlink);
     export const unlink = promisify(fs.unlink);
     export const writeFile = promisify(fs.writeFile);`,
  ],
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

interface Needless {
  readonly importer: RegExp;
  readonly path: string;
  readonly contents: string;
}

/** What packages load at once and need only for what nothing here asks of them. */
const NEEDLESS: readonly Needless[] = [
  {
    // For commands that are programs of their own.
    importer: /node_modules\/commander\//,
    path: "node:child_process",
    contents: `module.exports = { spawn: (...args) => require("node:child_process").spawn(...args) };`,
  },
  {
    importer: /node_modules\/sonic-boom\//,
    path: "assert",
    contents: `module.exports = (...args) => require("node:assert")(...args);`,
  },
  // For log lines that are written by another thread: it finds and loads modules, and starts that thread.
  ...["./transport", "./lib/transport"].map((path) => ({
    importer: /node_modules\/pino\//,
    path,
    contents: `module.exports = () => { throw new Error("this build has no transports"); };`,
  })),
  {
    // Only the first thread writes by itself.
    importer: /node_modules\/pino\//,
    path: "worker_threads",
    contents: "module.exports = { isMainThread: true };",
  },
];

export const deferred: Plugin = {
  name: "deferred",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^/ }, ({ path, kind, importer }) => {
      const isOurs = kind === "import-statement" && !importer.includes("node_modules") && !isThread(importer);
      if (isOurs && SUBSTITUTES.has(path)) return { path, namespace: "deferred" };
      const index = NEEDLESS.findIndex((needless) => needless.path === path && needless.importer.test(importer));
      return index === -1 ? undefined : { path: String(index), namespace: "needless" };
    });
    onLoad({ filter: /^/, namespace: "deferred" }, ({ path }) => load(SUBSTITUTES.get(path)));
    onLoad({ filter: /^/, namespace: "needless" }, ({ path }) => load(NEEDLESS[Number(path)]?.contents));
  },
};

function isThread(importer: string): boolean {
  return importer.endsWith("-worker.ts");
}

function load(contents: string | undefined) {
  return { contents: contents ?? "", resolveDir: process.cwd() };
}
