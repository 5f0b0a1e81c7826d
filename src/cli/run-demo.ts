import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { systemClock } from "../app/clock.ts";
import { formatDiagnostics } from "../config/diagnostics.ts";
import type { Overrides } from "../config/load.ts";
import { createSourceIo } from "../config/source.ts";
import { addKey } from "./add-key.ts";
import { DEMO_KEYS, type DemoKeyName, formatGuide } from "./demo-guide.ts";
import { findFreePort } from "./free-port.ts";
import { startSampleApp } from "./sample-app.ts";
import { startProcess } from "./serve-process.ts";
import type { Terminal } from "./terminal.ts";

const PREFERRED_PORTS = { listen: 8080, app: 3000, admin: 9090 } as const;

interface Files {
  readonly root: string;
  readonly app: string;
  readonly config: string;
  readonly keys: string;
}

/** Runs the demo until it is asked to stop; false when it could not start. */
export async function runDemo(terminal: Terminal): Promise<boolean> {
  const files = findFiles(import.meta.dirname);
  if (files === undefined) {
    terminal.err("latchkey demo: the sample app is part of the repository, and is not installed here\n");
    return false;
  }
  const shownConfig = toShown(files.config, terminal.cwd);
  const shownKeys = toShown(files.keys, terminal.cwd);
  const ports = await choosePorts();
  const origin = "latchkey demo";
  const overrides = {
    listen: { value: `127.0.0.1:${ports.listen}`, origin },
    upstream: { value: `http://127.0.0.1:${ports.app}`, origin },
    admin: { value: `127.0.0.1:${ports.admin}`, origin },
  };
  const credentials = await createDemoKeys(shownConfig, shownKeys, overrides, terminal);
  if (credentials === undefined) return false;

  const started = await startSampleApp(files.app, ports.app, terminal.env);
  if (started.kind === "failed") {
    terminal.err(`latchkey demo: ${started.problem}\n`);
    return false;
  }
  const { app } = started;
  terminal.onExit(app.kill);
  const served = await startProcess(terminal, { configFile: shownConfig, overrides });
  if (served === undefined) {
    await app.stop();
    return false;
  }
  const places = {
    listen: `127.0.0.1:${ports.listen}`,
    app: `127.0.0.1:${ports.app}`,
    admin: `127.0.0.1:${ports.admin}`,
    configFile: shownConfig,
    keysFile: shownKeys,
    program: `node ${toShown(join(files.root, import.meta.url.endsWith(".ts") ? "src/main.ts" : "dist/main.js"), terminal.cwd)}`,
    moved: ports.moved,
  };
  terminal.out(formatGuide(places, credentials, terminal.colour));

  terminal.onHangUp(
    () =>
      void served.reload().catch((error: unknown) => served.log.error({ error: String(error) }, "reload broke off")),
  );
  await new Promise<string>((resolve) => terminal.onStop(resolve));
  terminal.out("\nStopping.\n");
  await served.stop();
  await app.stop();
  return true;
}

/** The repository's own files, found from where this program stands, built or not. */
function findFiles(start: string): Files | undefined {
  for (let root = start; ; root = dirname(root)) {
    const app = join(root, "demo", "app.js");
    const config = join(root, "config", "latchkey.yaml");
    if (existsSync(app) && existsSync(config))
      return { root, app, config, keys: join(root, "config", "demo-keys.yaml") };
    if (dirname(root) === root) return undefined;
  }
}

/** A path as somebody in `cwd` would type it. */
function toShown(path: string, cwd: string): string {
  const shown = relative(cwd, path);
  return shown.startsWith("..") ? path : shown;
}

const KEYS_HEADER = `# Keys of \`latchkey demo\`, written anew at each of its starts. While it runs, edit them and save:
# take a scope away, set \`status: revoked\`, add \`expiresAt: 2020-01-01T00:00:00Z\`.
keys: []
`;

/** Makes fresh demo keys the way \`keys create\` does; what they are is told in the guide and kept nowhere. */
async function createDemoKeys(
  mainFile: string,
  keysFile: string,
  overrides: Overrides,
  terminal: Terminal,
): Promise<Readonly<Record<DemoKeyName, string>> | undefined> {
  try {
    await rm(keysFile, { force: true });
    await writeFile(keysFile, KEYS_HEADER, { mode: 0o600 });
  } catch (error) {
    terminal.err(
      `latchkey demo: ${keysFile} cannot be written: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    return undefined;
  }
  const io = createSourceIo(terminal.env);
  const made = { reader: "", writer: "", office: "", slow: "" };
  for (const name of ["reader", "writer", "office", "slow"] as const) {
    const added = await addKey(DEMO_KEYS[name], { mainFile, overrides, keysFile, force: true }, io, systemClock.now());
    if (added.kind === "added") {
      made[name] = added.credential;
      continue;
    }
    const said =
      added.kind === "problem" ? added.problem : formatDiagnostics(added.diagnostics, { color: terminal.colour });
    terminal.err(`${said}\nlatchkey demo: no demo keys could be made\n`);
    return undefined;
  }
  return made;
}

async function choosePorts() {
  const taken = new Set<number>();
  const moved: string[] = [];
  const choose = async (name: keyof typeof PREFERRED_PORTS): Promise<number> => {
    const preferred = PREFERRED_PORTS[name];
    const port = await findFreePort(preferred, taken);
    taken.add(port);
    if (port !== preferred) moved.push(`Port ${preferred} is taken, so this uses ${port}.`);
    return port;
  };
  return { listen: await choose("listen"), app: await choose("app"), admin: await choose("admin"), moved };
}
