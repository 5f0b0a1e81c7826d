import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { Script } from "node:vm";
import * as engine from "../src/app/engine.ts";

// Joined as texts here: Node walks a path letter by letter, often enough in a start to have that optimised.
const folderUrl = pathToFileURL(`${__dirname}/`).href;

interface Part {
  readonly exports: unknown;
}

/**
 * Runs a part of the built program, from what V8 compiled for it (`keep-compiled.ts`) where that is there and fits: its own
 * check refuses what another version of it made, or was made with other flags. Without it the part starts as well, slower.
 */
export function runPart(name: string): unknown {
  const file = `${__dirname}/${name}`;
  // The bundler writes ASCII alone, and a text of single bytes takes half the memory.
  const source = readFileSync(file, "latin1");
  const part: Part = { exports: {} };
  const cachedData = readCompiled(name);
  const script = engine.withDefaultFlags(() => new Script(source, { filename: file, cachedData }));
  script.runInThisContext()(part.exports, requireFrom, part, file, __dirname, `${folderUrl}${name}`);
  return part.exports;
}

const modules = new Map<string, unknown>();
// What of Node loads its modules is called so often in all that Maglev compiles it; with the nine of these it would be.
const MADE_ANEW = "perf_hooks";

const requireFrom = Object.assign((id: string): unknown => {
  // All parts of a thread share its state.
  if (id === "./engine") return engine;
  if (id.startsWith("./")) return runPart(id.slice("./".length));
  const name = id.replace(/^node:/, "");
  let exports = modules.get(name);
  if (exports === undefined) {
    const load = () => process.getBuiltinModule(id) ?? require(id);
    exports = name === MADE_ANEW ? load() : engine.withDefaultFlags(load);
    modules.set(name, exports);
  }
  return exports;
}, require);

function readCompiled(name: string): Buffer | undefined {
  try {
    return readFileSync(`${__dirname}/compiled/${name}.${process.version}-${process.arch}`);
  } catch {
    return undefined;
  }
}
