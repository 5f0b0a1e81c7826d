import { mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { cachedDataVersionTag, setFlagsFromString } from "node:v8";
import vm from "node:vm";
import { isMainThread, parentPort } from "node:worker_threads";
import { SERVING, toOptions } from "../src/app/engine.ts";

// Imported before the built program, it keeps what V8 has compiled of each part for `compiled-start.ts`: when the process
// ends, and whenever a thread has said something, since a thread that is ended runs nothing more. Node's own module
// compile cache keeps a module as it was before it ran, without the functions that V8 compiles at their first call.
const parts = new Map<string, vm.Script>();
const asStarted = cachedDataVersionTag();
const MAX_CALLS = 100_000;

class KeptScript extends vm.Script {
  constructor(source: string, options: { readonly filename: string }) {
    super(source, options);
    parts.set(options.filename, this);
  }
}
Object.assign(vm, { Script: KeptScript });

process.on("exit", keep);
if (parentPort !== null) {
  const port = parentPort;
  const { postMessage } = port;
  const keepFirst = (...message: readonly unknown[]): unknown => {
    keep();
    return Reflect.apply(postMessage, port, message);
  };
  Object.assign(port, { postMessage: keepFirst });
}

function keep(): void {
  // What is kept bears the flags it was made with, and is to fit those under which it will be loaded (`src/app/engine.ts`):
  // those that V8 has by itself in the first thread, those of a process that serves in the others.
  for (const option of toOptions(isMainThread ? {} : SERVING)) setFlagsFromString(option);
  if (isMainThread) setBackCalls();
  for (const [file, script] of parts) {
    const folder = join(dirname(file), "compiled");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${basename(file)}.${process.version}-${process.arch}`), script.createCachedData());
  }
}

/** Sets back what V8 does not tell of: the calls after which it optimises are what they were when its tag is. */
function setBackCalls(): void {
  for (let calls = 0; cachedDataVersionTag() !== asStarted; calls += 1) {
    if (calls > MAX_CALLS) throw new Error("V8 cannot be set back to the flags it started with");
    setFlagsFromString(`--invocation-count-for-turbofan=${calls}`);
  }
}
