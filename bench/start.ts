import { cp, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createCredentials, PROGRAM, writeLatchkeyConfig } from "./contenders/latchkey.ts";
import { readCpuUs, readRssMb } from "./machine/proc.ts";
import { startPinned } from "./machine/process.ts";
import { progress } from "./machine/progress.ts";
import { findFreePort } from "./machine/ready.ts";
import { median } from "./measure/open-loop.ts";
import type { StartFigures } from "./report.ts";

const SOURCES = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const KEYS = 1000;
// By then it has let go of what only the start needed, in its first quiet second.
const SETTLE_MS = 3000;

interface Variant {
  readonly name: string;
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Time from exec to the ready line and memory three seconds later, with each measure that shortens a start by itself. */
export async function measureStart(times: number, folder: string): Promise<readonly StartFigures[]> {
  const cache = { NODE_COMPILE_CACHE: join(folder, "compile-cache") };
  const off = { NODE_DISABLE_COMPILE_CACHE: "1" };
  const variants: readonly Variant[] = [
    { name: "sources, unbundled", program: SOURCES, env: off },
    { name: "sources, compile cache", program: SOURCES, env: cache },
    { name: "bundle", program: await copyWithoutCompiled(join(folder, "cold")), env: off },
    { name: "bundle, from what was compiled of it", program: PROGRAM, env: off },
  ];
  const port = await findFreePort();
  const credentials = createCredentials(KEYS);
  const config = await writeLatchkeyConfig(join(folder, "start"), { port, upstreamPort: 1, credentials });
  const runs = new Map(variants.map((variant) => [variant, [] as Omit<StartFigures, "variant">[]]));
  // The first fills the page cache and the compile cache and is not counted.
  for (let turn = 0; turn <= times; turn += 1) {
    for (const [variant, taken] of runs) {
      const figures = await startOnce(variant, config, folder);
      if (turn > 0) taken.push(figures);
    }
    progress(`start ${turn} of ${times}`);
  }
  return [...runs].map(([{ name }, taken]) => ({
    variant: name,
    wallMs: median(taken.map(({ wallMs }) => wallMs)),
    cpuMs: median(taken.map(({ cpuMs }) => cpuMs)),
    rssMb: median(taken.map(({ rssMb }) => rssMb)),
  }));
}

/** The program as somebody installs it from npm, whose Node is another. */
async function copyWithoutCompiled(folder: string): Promise<string> {
  await cp(dirname(PROGRAM), folder, { recursive: true });
  await rm(join(folder, "compiled"), { recursive: true, force: true });
  return join(folder, basename(PROGRAM));
}

async function startOnce({ program, env }: Variant, config: string, folder: string) {
  const begunMs = performance.now();
  const running = startPinned([process.execPath, program, "serve", "--config", config], {
    core: "proxy",
    output: "pipe",
    errorFile: join(folder, "start.stderr.txt"),
    env,
  });
  try {
    const { stdout } = running.child;
    if (stdout === null) throw new Error("no standard output");
    for await (const line of createInterface(stdout)) if (line.includes('"msg":"ready"')) break;
    const end = running.findEnd();
    if (end !== undefined) throw new Error(end);
    const wallMs = performance.now() - begunMs;
    const cpuMs = readCpuUs(running.pid) / 1000;
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    return { wallMs, cpuMs, rssMb: readRssMb(running.pid) };
  } finally {
    await running.stop();
  }
}
