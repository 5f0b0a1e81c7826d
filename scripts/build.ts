import { chmod, cp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { deferred } from "./deferred.ts";
import { overUndici } from "./over-undici.ts";

// Every dependency is bundled: the image needs nothing but Node and dist/, and start-up reads a few files instead of a few
// hundred. Each part is one function, so that it can be run from what V8 compiled for it before (compiled-start.ts).
// All is made beside dist/ and takes its place when it is whole: whoever runs the old one meanwhile keeps it.
const made = `dist-${process.pid}`;
const inputs = new Set<string>();

const common = {
  outdir: made,
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node24",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  metafile: true,
} as const satisfies BuildOptions;

const forwarder = process.env["LATCHKEY_FORWARDER"] === "undici" ? [overUndici] : [];
const serve = await buildPart("serve", "src/cli/serve-process.ts", forwarder);
// What serves is a part of its own: the commands are bundled so that they are evaluated when they are called, and what
// answers requests is neither to pay for that nor to hold them.
const toServe = anotherPart(/\/serve-process\.ts$/, serve);
const commands = await buildPart("commands", "src/cli/program.ts", [toServe]);
const cli = await buildPart("cli", "src/main.ts", [toServe, anotherPart(/\/program\.ts$/, commands)]);
const load = await buildPart("load", "src/app/load-worker.ts", []);
const plane = await buildPart("plane", "src/app/plane-worker.ts", forwarder);
const { engines } = JSON.parse(await readFile("package.json", "utf8"));
await buildStart(
  "main",
  cli,
  `requireNode(${JSON.stringify(engines.node)});
beginStart([...process.execArgv, process.env["NODE_OPTIONS"] ?? ""]);`,
);
await buildStart("load-worker", load);
await buildStart("plane-worker", plane);
await buildAlone("bcrypt-worker", "src/app/bcrypt-worker.ts");
await chmod(`${made}/main.js`, 0o755);
await writeFile(`${made}/package.json`, `${JSON.stringify({ type: "commonjs" })}\n`);
await writeFile(`${made}/THIRD-PARTY-LICENSES.txt`, await collectLicences([...inputs]));
// `latchkey init --like` begins with these.
await cp("config/systems", `${made}/systems`, { recursive: true, filter: (source) => !source.endsWith(".md") });

await rm("dist", { recursive: true, force: true });
await rename(made, "dist");

/** Bundles a part; its name holds a digest of what is in it, and so does the name of what is compiled from it. */
async function buildPart(name: string, entry: string, plugins: Plugin[]): Promise<string> {
  const { metafile } = await build({
    ...common,
    entryPoints: { [name]: entry },
    entryNames: "[name]-[hash]",
    banner: { js: "(function (exports, require, module, __filename, __dirname, importMetaUrl) {" },
    footer: { js: "})" },
    define: { "import.meta.url": "importMetaUrl", "import.meta.dirname": "__dirname" },
    // A part is asked for by `require`, which its start gives it.
    supported: { "dynamic-import": false },
    plugins: [deferred, anotherPart(/\/engine\.ts$/, "engine"), ...plugins],
  });
  for (const input of Object.keys(metafile.inputs)) inputs.add(input);
  const [file] = Object.keys(metafile.outputs);
  if (file === undefined) throw new Error(`nothing was built of ${entry}`);
  return basename(file);
}

/** A file that Node is told to run, which runs a part. */
async function buildStart(name: string, part: string, before = ""): Promise<void> {
  const contents = `#!/usr/bin/env node
import { beginStart } from "../src/app/engine.ts";
import { runPart } from "./compiled-start.ts";
import { requireNode } from "./require-node.ts";
${before}
runPart(${JSON.stringify(part)});`;
  await build({ ...common, stdin: { contents, resolveDir: "scripts", sourcefile: "start.ts" }, entryNames: name });
}

async function buildAlone(name: string, entry: string): Promise<void> {
  const { metafile } = await build({ ...common, entryPoints: { [name]: entry } });
  for (const input of Object.keys(metafile.inputs)) inputs.add(input);
}

/** A module that is a part of its own. */
function anotherPart(filter: RegExp, part: string): Plugin {
  return {
    name: "another-part",
    setup: ({ onResolve }) => onResolve({ filter }, () => ({ path: `./${part}`, external: true })),
  };
}

/** The licence texts of every package that went into the bundle, as those licences ask. */
async function collectLicences(inputs: readonly string[]): Promise<string> {
  const folders = new Set(inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []));
  const texts: string[] = [];
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text =
      file === undefined ? `Licensed under ${license}.` : (await readFile(join(folder, file), "utf8")).trim();
    texts.push(`${name} ${version} (${license})\n\n${text}\n`);
  }
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}
