import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";
import { Script } from "node:vm";

// Compiled code takes what has lived long where it was made for what always will, and makes it in old memory from then
// on. With a thousand requests under way all of them live long, and their garbage would wait for a full collection.
setFlagsFromString("--no-allocation-site-pretenuring");

interface Part {
  readonly exports: unknown;
}

/**
 * Runs a part of the built program, from what V8 compiled for it (`keep-compiled.ts`) where that is there and fits: its own
 * check refuses what another version of it made, or was made with other flags. Without it the part starts as well, slower.
 */
export function runPart(name: string): unknown {
  const file = join(__dirname, name);
  // The bundler writes ASCII alone, and a text of single bytes takes half the memory.
  const source = readFileSync(file, "latin1");
  const part: Part = { exports: {} };
  const script = new Script(source, { filename: file, cachedData: readCompiled(name) });
  script.runInThisContext()(part.exports, requireFrom, part, file, __dirname, pathToFileURL(file).href);
  return part.exports;
}

const requireFrom = Object.assign(
  (id: string): unknown => (id.startsWith("./") ? runPart(id.slice("./".length)) : require(id)),
  require,
);

function readCompiled(name: string): Buffer | undefined {
  try {
    return readFileSync(join(__dirname, "compiled", `${name}.${process.version}-${process.arch}`));
  } catch {
    return undefined;
  }
}
